//! One process that runs a Python function: how it is started, asked and ended.
use super::remains::Remains;
use super::{Failure, Made, family};
use crate::functions::{PROGRAMS, RunsAs};
use crate::identity::Issued;
use crate::random::{Random, SystemRandom};
use crate::rotation::payload::{FunctionError, MAX_LOG_BYTES, log_tail};
use serde::Deserialize;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

const BOOTSTRAP: &str = include_str!("bootstrap.py");
/// Of the line that answers an invocation.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// What a function may print in one step. Only the end of it is kept.
const MAX_PRINTED_BYTES: usize = 16 * 1024 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Worker {
    pub made: Made,
    pub credentials: Issued,
    pub uses: u32,
    /// Its name: random, and in the environment of all that it starts.
    pub marker: String,
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    log: ChildStderr,
    /// Until somebody sees to them.
    remains: Option<Remains>,
}

/// The line that answers an invocation.
#[derive(Deserialize)]
struct Said {
    id: String,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(flatten)]
    error: FunctionError,
    lasting: bool,
}

/// What a function printed, as far as it is kept.
#[derive(Default)]
struct Printed {
    tail: Vec<u8>,
    bytes: usize,
}

impl Printed {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(MAX_LOG_BYTES);
        self.tail.drain(..surplus);
    }
}

/// How the wait for an answer ended.
enum End {
    Answered(Vec<u8>),
    Exited(Option<ExitStatus>),
    TooLate,
    /// Too much to be a line, or too much printed.
    TooMuch(&'static str),
}

impl Worker {
    /// Starts a process, in an empty directory of its own and with nothing of the server's.
    pub(super) fn start(made: Made, credentials: Issued) -> Result<Self, Failure> {
        // Never the same twice on a machine, however the server's own randomness is made.
        let marker = (&SystemRandom as &dyn Random).uuid().to_string();
        let program = made.python.program().map_err(Failure::lasting)?;
        let runs_as = made.python.runs_as().map_err(Failure::lasting)?;
        let directory = std::env::temp_dir().join(format!("claviger-{marker}"));
        let failed = |error: std::io::Error| {
            Failure::lasting(format!("python: the function cannot be started: {error}"))
        };
        std::fs::DirBuilder::new().mode(0o700).create(&directory).map_err(failed)?;
        let spawned = spawn(&program, runs_as, &directory, &marker);
        let Spawned { child, requests, answers, log } = spawned.map_err(|error| {
            // Empty still.
            let _ = std::fs::remove_dir(&directory);
            failed(error)
        })?;
        let process = child.id();
        let remains = Some(Remains { marker: marker.clone(), process, directory, runs_as });
        Ok(Self { made, credentials, uses: 0, marker, child, requests, answers, log, remains })
    }

    /// Ends it with what it started, and waits for that. Its directory goes later.
    pub(super) async fn end(mut self) {
        let Some(mut remains) = self.remains.take() else { return };
        let ended = tokio::task::spawn_blocking(move || {
            remains.end();
            drop(tokio::task::spawn_blocking(move || drop(remains)));
        });
        let _ = ended.await;
    }

    /// Whether it lives and has said nothing that it was not asked for.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drain(&mut Printed::default());
        let mut unasked = [0; 1];
        let silent = rustix::io::read(self.answers.as_fd(), &mut unasked);
        silent == Err(rustix::io::Errno::AGAIN) && matches!(self.child.try_wait(), Ok(None))
    }

    /// One invocation. Answers the end of what the function printed.
    pub(super) async fn step(
        &mut self,
        request: &[u8],
        id: &str,
        timeout: Duration,
        deadline: Instant,
    ) -> Result<Option<String>, Failure> {
        self.uses = self.uses.saturating_add(1);
        let mut printed = Printed::default();
        let end = tokio::select! {
            end = self.exchange(request, &mut printed) => end,
            () = tokio::time::sleep_until(deadline) => End::TooLate,
        };
        self.drain(&mut printed);
        let log = log_tail(&printed.tail);
        match judged(end, id, timeout) {
            Ok(()) => Ok(log),
            Err(failure) => Err(Failure { log, ..failure }),
        }
    }

    async fn exchange(&mut self, request: &[u8], printed: &mut Printed) -> End {
        let mut answer = Vec::new();
        let (mut answered, mut logged) = ([0; CHUNK_BYTES], [0; CHUNK_BYTES]);
        let mut rest = request;
        let mut log_open = true;
        loop {
            tokio::select! {
                written = self.requests.write(rest), if !rest.is_empty() => match written {
                    Ok(n) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
                    _ => return End::Exited(self.child.wait().await.ok()),
                },
                read = self.answers.read(&mut answered) => match read {
                    Ok(n) if n > 0 => answer.extend_from_slice(answered.get(..n).unwrap_or_default()),
                    // Closed, by its end or by the function.
                    _ => return End::Exited(self.child.wait().await.ok()),
                },
                read = self.log.read(&mut logged), if log_open => match read {
                    Ok(n) if n > 0 => printed.add(logged.get(..n).unwrap_or_default()),
                    _ => log_open = false,
                },
                // Children that the function left behind may keep its pipes open.
                status = self.child.wait() => return End::Exited(status.ok()),
            }
            if answer.last() == Some(&b'\n') {
                return End::Answered(answer);
            }
            if answer.len() > MAX_ANSWER_BYTES {
                return End::TooMuch("the function's process answered too much");
            }
            if printed.bytes > MAX_PRINTED_BYTES {
                return End::TooMuch("the function printed too much");
            }
        }
    }

    /// Takes what was printed and is in the pipe still: it was there before the answer.
    fn drain(&mut self, printed: &mut Printed) {
        let mut chunk = [0; CHUNK_BYTES];
        while printed.bytes <= MAX_PRINTED_BYTES {
            match rustix::io::read(self.log.as_fd(), &mut chunk) {
                Ok(n) if n > 0 => printed.add(chunk.get(..n).unwrap_or_default()),
                _ => break,
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(remains) = self.remains.take() else { return };
        remains.strike();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // The server's end waits for such work.
            drop(runtime.spawn_blocking(move || drop(remains)));
        }
    }
}

/// What the end of an invocation means for the step.
fn judged(end: End, id: &str, timeout: Duration) -> Result<(), Failure> {
    let answer = match end {
        End::Answered(answer) => answer,
        End::TooLate => return Err(Failure::timed_out(timeout)),
        End::TooMuch(what) => return Err(Failure::passing(what)),
        End::Exited(status) => {
            let how = status.map_or_else(|| "unknown".into(), |status| status.to_string());
            return Err(Failure::passing(format!("the function's process ended: {how}")));
        }
    };
    let said: Option<Said> = serde_json::from_slice(&answer).ok();
    let Some(said) = said.filter(|said| said.id == id) else {
        return Err(Failure::passing("the function's process answered something unreadable"));
    };
    match said.error {
        None => Ok(()),
        Some(problem) if problem.lasting => Err(Failure::lasting(problem.error.text())),
        Some(problem) => Err(Failure::passing(problem.error.text())),
    }
}

/// A process that was started, and the ends of its pipes.
struct Spawned {
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    log: ChildStderr,
}

fn spawn(
    program: &Path,
    runs_as: Option<RunsAs>,
    directory: &Path,
    marker: &str,
) -> std::io::Result<Spawned> {
    let mut command = Command::new(program);
    // Isolated: no variables, no directory of the caller's decide what is imported.
    command.args(["-I", "-B", "-c", BOOTSTRAP]).current_dir(directory).env_clear().envs([
        ("PATH", PROGRAMS),
        ("LANG", "C.UTF-8"),
        ("TZ", ":UTC"),
        // Each arena of glibc's takes a good part of the address space that there is.
        ("MALLOC_ARENA_MAX", "1"),
        (family::MARKER, marker),
    ]);
    command.env("HOME", directory).env("TMPDIR", directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    if let Some(RunsAs { user, group }) = runs_as {
        std::os::unix::fs::chown(directory, Some(user), Some(group))?;
        // The server is root, whose further groups are dropped with it.
        command.uid(user).gid(group);
    }
    let mut child = command.spawn()?;
    let missing = || std::io::Error::other("a pipe is missing");
    let requests = child.stdin.take().ok_or_else(missing)?;
    let answers = child.stdout.take().ok_or_else(missing)?;
    let log = child.stderr.take().ok_or_else(missing)?;
    Ok(Spawned { child, requests, answers, log })
}
