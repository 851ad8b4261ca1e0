//! The one thread that owns the TPM's connection, and how calls come to it and back.
//!
//! Calls wait in a bounded queue and have a deadline. A connection that breaks is made anew with
//! growing pauses, and the call is made once more; while the TPM stays away later calls try once and
//! fail at once. Where others hold the TPM's few slots, a call is tried again for a short while.

use super::device::Device;
use super::fault::{Fault, Remedy};
use crate::HsmError;
use crate::elapsed::now;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

/// Calls that wait. More than this many callers are not served in time anyway.
const QUEUE: usize = 256;
/// How long a call tries to reach a TPM that was there a moment ago: a restart of it.
const RECONNECT: Duration = Duration::from_secs(3);
/// How long a call waits for slots that other clients hold.
const BUSY: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long the end of the device waits for the last call, so that what it loaded is flushed.
const GOODBYE: Duration = Duration::from_secs(2);

/// Whether a call may be made again after its connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or the same each time.
    Again,
    Never,
}

struct Job {
    until: Instant,
    run: Box<dyn FnOnce(&mut Worker) + Send>,
}

/// The callers' end.
pub(super) struct Actor {
    jobs: Option<SyncSender<Job>>,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
    deadline: Duration,
}

/// The thread's end.
struct Worker {
    device: Device,
    /// The last call found no TPM: the next does not wait for it.
    away: bool,
}

impl Actor {
    pub fn start(device: Device, deadline: Duration) -> Result<Self, HsmError> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let (end, ended) = mpsc::sync_channel(0);
        let serve = move || {
            let _end: SyncSender<()> = end;
            let mut worker = Worker { device, away: false };
            while let Ok(job) = queue.recv() {
                // Who has stopped waiting gets nothing done.
                if now() < job.until {
                    (job.run)(&mut worker);
                }
            }
        };
        thread::Builder::new()
            .name("claviger-tpm".into())
            .spawn(serve)
            .map_err(|e| HsmError::Unavailable(format!("no thread for the TPM: {e}")))?;
        Ok(Self { jobs: Some(jobs), ended: Mutex::new(ended), deadline })
    }

    /// Runs `op` on the thread that owns the TPM, and waits for its answer.
    pub fn call<T: Send + 'static>(
        &self,
        repeat: Repeat,
        op: impl Fn(&mut Device) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, HsmError> {
        let (answer, answered) = mpsc::sync_channel(1);
        let until = now() + self.deadline;
        let run = Box::new(move |worker: &mut Worker| {
            // Nobody may be waiting any more; then the answer is dropped.
            drop(answer.send(worker.run(repeat, until, &op)));
        });
        let job = Job { until, run };
        let ended = || HsmError::Unavailable("the TPM's thread has ended".into());
        self.jobs.as_ref().ok_or_else(ended)?.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                HsmError::Unavailable(format!("{QUEUE} calls are waiting for the TPM already"))
            }
            TrySendError::Disconnected(_) => ended(),
        })?;
        answered.recv_timeout(self.deadline).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => {
                    let seconds = self.deadline.as_secs_f32();
                    HsmError::Unavailable(format!("the TPM did not answer within {seconds} s"))
                }
                RecvTimeoutError::Disconnected => {
                    HsmError::Unavailable("the TPM's call ended without an answer".into())
                }
            })
        })
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.jobs = None;
        // A TPM that does not answer is left to its thread.
        let ended = self.ended.get_mut();
        let ended = ended.unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = ended.recv_timeout(GOODBYE);
    }
}

impl Worker {
    fn run<T>(
        &mut self,
        repeat: Repeat,
        until: Instant,
        op: &dyn Fn(&mut Device) -> Result<T, Fault>,
    ) -> Result<T, HsmError> {
        let began = now();
        let mut pause = FIRST_PAUSE;
        let mut repeated = false;
        loop {
            let fault = match self.attempt(op) {
                Ok(value) => {
                    self.away = false;
                    return Ok(value);
                }
                Err(fault) => fault,
            };
            let again = match fault.remedy() {
                Remedy::None => false,
                Remedy::Wait => began.elapsed() < BUSY,
                Remedy::Reconnect => {
                    self.device.disconnect();
                    // A call that reached the TPM is made once more; one that did not, until it does.
                    let reached = !fault.is_no_connection();
                    let allowed = if reached { !repeated } else { !self.away };
                    repeated |= reached;
                    allowed && repeat == Repeat::Again && began.elapsed() < RECONNECT
                }
            };
            if !again || now() + pause >= until {
                self.away = fault.is_no_connection();
                return Err(fault.into());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn attempt<T>(&mut self, op: &dyn Fn(&mut Device) -> Result<T, Fault>) -> Result<T, Fault> {
        // The device is left without its connection, so nothing half done is seen again.
        let result = catch_unwind(AssertUnwindSafe(|| op(&mut self.device))).unwrap_or_else(|_| {
            self.device.disconnect();
            Err(HsmError::Unavailable("the TPM's library panicked".into()).into())
        });
        self.device.settle();
        result
    }
}
