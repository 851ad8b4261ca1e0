//! What a worker leaves: processes, and a directory with whatever its function put there. To end both
//! takes time, and not that of the runtime's threads.
use super::family;
use crate::functions::{PROGRAMS, RunsAs};
use std::io::{Error, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A minute for the directory: nobody waits for it, and there may be much in it.
const LOOKS: u32 = 3000;
const LOOK: Duration = Duration::from_millis(20);

/// Seen to when dropped, so that the runtime's end, which takes work back that has not begun, leaves
/// nothing. That blocks.
#[derive(Debug)]
pub(super) struct Remains {
    pub marker: String,
    /// The number of the process, and of its process group.
    pub process: Option<u32>,
    pub directory: PathBuf,
    pub runs_as: Option<RunsAs>,
}

impl Remains {
    /// Kills at least those of its group, at once.
    pub(super) fn strike(&self) {
        family::end_group(self.process);
    }

    /// Ends the processes. It blocks.
    pub(super) fn end(&mut self) {
        family::end(&self.marker, self.process.take());
    }

    /// By a process that may take too long, and that cannot be led to what is not the function's own.
    fn remove(&self) -> std::io::Result<()> {
        let mut command = Command::new("rm");
        command.args(["-rf", "--"]).arg(&self.directory).current_dir("/");
        command.env_clear().env("PATH", PROGRAMS);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(RunsAs { user, group }) = self.runs_as {
            // Further groups are dropped with it.
            command.uid(user).gid(group);
        }
        let mut child = command.spawn()?;
        for _ in 0..LOOKS {
            if child.try_wait()?.is_some() {
                // Where it lies in a directory that only the server may write to, it is there still.
                return match std::fs::remove_dir(&self.directory) {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    outcome => outcome,
                };
            }
            std::thread::sleep(LOOK);
        }
        child.kill()?;
        child.wait()?;
        Err(Error::from(ErrorKind::TimedOut))
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        self.end();
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "the directory of a rotation function stays");
        }
    }
}
