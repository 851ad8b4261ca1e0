//! A device behind a guard: a few threads, a short queue, a deadline for every call, and a
//! circuit breaker. However the device misbehaves, a call of the guard ends, and soon.
//!
//! ```text
//!  caller ──▶ circuit open? ──▶ queue full? ──▶ queue ──▶ one of n threads ──▶ device
//!               fails at once     fails at once     │            │
//!                                                   └─ watch ────┘  past its deadline: the caller
//!                                                                   is told, the thread replaced
//! ```
//!
//! A call that hangs inside a vendor's module cannot be cancelled: its thread is lost for as long
//! as it hangs. It is replaced, up to a bound; beyond that calls fail at once. What a call gives
//! after its deadline is thrown away, so a call that timed out may have been done.
//!
//! | module | role |
//! |---|---|
//! | `breaker` | the circuit breaker |
//! | `state` | queues, running calls, counts: what is behind the lock |
//! | `pool` | the threads |
//! | `watch` | the thread that sees to deadlines and probes |
//! | `device` | the guard as a device |

mod breaker;
mod device;
mod pool;
mod state;
mod watch;

pub use breaker::Circuit;

use crate::{DeviceInfo, Hsm, HsmError, ResidentSpec, elapsed};
use breaker::Limits;
use pool::Shared;
use serde::{Deserialize, Serialize};
use state::{Finished, Job};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many, how long, how often.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Calls inside the device at once; never more than it works on at once
    /// ([`Hsm::calls_at_once`]): to wait inside it would look like hanging in it.
    pub threads: usize,
    /// Calls that wait for a thread, at most; one more fails at once.
    pub queue: usize,
    /// From the call to its end, the wait in the queue included.
    pub deadline: Duration,
    /// The same for calls that make keys. They never hold more than half of the threads.
    pub slow_deadline: Duration,
    /// Threads that may be lost in calls that hang, and are replaced.
    pub spare_threads: usize,
    /// So many failures in a row open the circuit.
    pub failures: u32,
    /// From the opening of the circuit to the first probe; doubled up to `longest_backoff`.
    pub backoff: Duration,
    pub longest_backoff: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            threads: 16,
            queue: 512,
            deadline: Duration::from_secs(5),
            slow_deadline: Duration::from_secs(60),
            spare_threads: 16,
            failures: 5,
            backoff: Duration::from_millis(50),
            longest_backoff: Duration::from_secs(2),
        }
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// [`GuardConfig::deadline`].
    Usual,
    /// [`GuardConfig::slow_deadline`]: making keys.
    Slow,
}

/// What a guard knows of its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardStatus {
    pub circuit: Circuit,
    /// How many whole seconds the circuit has been closed, or has not been.
    pub for_seconds: u64,
    /// Calls inside the device whose callers wait for them.
    pub in_flight: usize,
    /// Calls that wait for a thread.
    pub queued: usize,
    /// Threads lost in calls that are past their deadlines and have not come back.
    pub hanging: usize,
    /// Calls that were past their deadlines, since the start.
    pub timeouts: u64,
    /// Calls that failed at once, since the start: circuit open, queue full, no thread left.
    pub refused: u64,
    /// The last error that told against the device, even if it works again.
    pub last_error: Option<String>,
}

/// A device behind a guard. Is a device itself, with the same keys.
pub struct Guarded {
    info: DeviceInfo,
    /// None if it has no resident keys.
    specs: Option<Vec<ResidentSpec>>,
    shared: Arc<Shared>,
}

impl Guarded {
    pub fn new(device: Arc<dyn Hsm>, mut config: GuardConfig) -> Result<Self, HsmError> {
        let at_once = device.calls_at_once().unwrap_or(config.threads);
        config.threads = config.threads.min(at_once);
        let info = device.info();
        let specs = device.resident().map(crate::ResidentKeys::specs);
        let limits = Limits {
            failures: config.failures.max(1),
            backoff: config.backoff,
            longest_backoff: config.longest_backoff,
        };
        let shared = Arc::new(Shared::new(device, config, limits));
        let watched = Arc::clone(&shared);
        thread::Builder::new()
            .name("device-watch".into())
            .spawn(move || watch::run(&watched))
            .map_err(|e| HsmError::Unavailable(format!("no thread to watch over it: {e}")))?;
        Ok(Self { info, specs, shared })
    }

    /// Runs `op` with the device on a thread of the guard, and `done` with what came of it:
    /// exactly once, on a thread of the guard, or on this one if the call is refused at once.
    /// `done` must be short and must not block: it holds up other calls.
    pub fn submit<T, Op, Done>(&self, pace: Pace, op: Op, done: Done)
    where
        T: 'static,
        Op: FnOnce(&dyn Hsm) -> Result<T, HsmError> + Send + 'static,
        Done: FnOnce(Result<T, HsmError>) + Send + 'static,
    {
        // Whoever takes it first, the call or the watch, tells the caller.
        let done = Arc::new(Mutex::new(Some(done)));
        let take =
            |slot: &Mutex<Option<Done>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let canceled = Arc::clone(&done);
        let cancel = Box::new(move |why: HsmError| {
            if let Some(done) = take(&canceled) {
                done(Err(why));
            }
        });
        let work = Box::new(move |device: &dyn Hsm| {
            let result = catch_unwind(AssertUnwindSafe(|| op(device))).unwrap_or_else(|_| {
                Err(HsmError::Unavailable("the code of the device panicked".into()))
            });
            let outcome = breaker::Outcome::of(&result);
            let deliver: Box<dyn FnOnce()> = Box::new(move || {
                if let Some(done) = take(&done) {
                    done(result);
                }
            });
            Finished { outcome, deliver }
        });
        if let Err((job, why)) = self.shared.enqueue(Job::new(pace, work, cancel)) {
            job.cancel.tell(why);
        }
    }

    /// [`Guarded::submit`], waited for. Not from within `done`.
    pub fn call<T, Op>(&self, pace: Pace, op: Op) -> Result<T, HsmError>
    where
        T: Send + 'static,
        Op: FnOnce(&dyn Hsm) -> Result<T, HsmError> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        self.submit(pace, op, move |result| {
            // Nobody waits for it only if the caller's thread is gone.
            let _ = answer.send(result);
        });
        answered.recv().unwrap_or_else(|_| {
            Err(HsmError::Unavailable("the guard ended before the call".into()))
        })
    }

    pub fn status(&self) -> GuardStatus {
        self.shared.status(elapsed::now())
    }
}

impl Drop for Guarded {
    /// Calls that wait are refused; those inside the device end by themselves, and with the last
    /// one the device is let go.
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("device", &self.info).finish_non_exhaustive()
    }
}
