//! A server as a process: started, waited for, killed; never left behind.
use super::wire::plain;
use super::{Trouble, now};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A start takes a fraction of a second; the machine may be busy with other things.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
pub(super) const LOOK: Duration = Duration::from_millis(4);

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
    /// Whether it was killed, or may end itself at a point: then calls may have no answer.
    pub(super) may_be_dead: Arc<AtomicBool>,
    /// From the start of the process to the first answer of /readyz.
    pub(super) took: Duration,
}

impl Process {
    /// Waits until it is ready. The status instead if it ended before.
    pub(super) fn start(
        mut command: Command,
        address: SocketAddr,
    ) -> Result<Result<Self, ExitStatus>, Trouble> {
        let began = now();
        let child = command.spawn().map_err(Trouble::setup("starting a server"))?;
        let may_be_dead = Arc::default();
        let mut process = Self { child, address, may_be_dead, took: Duration::ZERO };
        loop {
            if let Some(status) = process.ended()? {
                return Ok(Err(status));
            }
            if plain(address, "GET", "/readyz", b"").is_ok_and(|answer| answer.status == 200) {
                process.took = began.elapsed();
                return Ok(Ok(process));
            }
            if began.elapsed() > START {
                return Err(Trouble::Violation(format!("a server is not ready after {START:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, Trouble> {
        self.child.try_wait().map_err(Trouble::setup("waiting for a server"))
    }

    /// Waits for its end until then.
    pub(super) fn ends_until(&mut self, until: Instant) -> Result<Option<ExitStatus>, Trouble> {
        loop {
            let ended = self.ended()?;
            if ended.is_some() || now() >= until {
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// kill -9. That it runs until then is promised.
    pub(super) fn kill(&mut self) -> Result<(), Trouble> {
        if let Some(status) = self.ended()? {
            return Err(Trouble::Violation(format!("a server ended by itself: {status}")));
        }
        // First: who has no answer looks at it.
        self.may_be_dead.store(true, Ordering::SeqCst);
        self.child.kill().map_err(Trouble::setup("killing a server"))?;
        self.child.wait().map(drop).map_err(Trouble::setup("waiting for a server"))
    }

    /// Asks it to stop, as an orchestrator would.
    pub(super) fn stop(mut self) -> Result<(), Trouble> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(|e| Trouble::Setup(format!("stopping a server: {e}")))?;
        match self.ends_until(now() + STOP)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Trouble::Violation(format!("a stop ended in {status}"))),
            None => Err(Trouble::Violation(format!("a server does not stop within {STOP:?}"))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
