//! When to heal again after healing has failed: not at once, and ever later.
//!
//! Without it a token that is gone was asked 50 000 times in 0.7 s. While the back-off lasts,
//! whoever would need the device healed is told at once why it is not.

use crate::HsmError;
use crate::elapsed::now;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// An attempt that took long is followed by a pause this many times as long: other tokens of the
/// module stand still while it is restarted.
const PAUSE_PER_ATTEMPT: u32 = 4;

#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    state: Mutex<Option<Trouble>>,
    /// Whether there is any: asked after every call that went well.
    troubled: AtomicBool,
}

#[derive(Clone, Debug)]
struct Trouble {
    delay: Duration,
    until: Instant,
    why: HsmError,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(LONGEST)
    }
}

impl Backoff {
    pub(super) fn up_to(longest: Duration) -> Self {
        Self { longest, state: Mutex::default(), troubled: AtomicBool::default() }
    }

    /// The trouble is over.
    pub(super) fn end(&self) {
        *self.state() = None;
        self.troubled.store(false, Ordering::Relaxed);
    }

    /// Whether it may be tried now; else why not.
    pub(super) fn check(&self) -> Result<(), HsmError> {
        let Some(trouble) = self.state().clone() else { return Ok(()) };
        let left = trouble.until.saturating_duration_since(now());
        if left.is_zero() {
            return Ok(());
        }
        Err(match trouble.why {
            HsmError::Unavailable(why) => {
                HsmError::Unavailable(format!("{why}; tried again in {} ms", left.as_millis()))
            }
            // What an operator has to mend is said as it is.
            other => other,
        })
    }

    /// Healing has failed, or has not helped.
    pub(super) fn failed(&self, why: HsmError, took: Duration) {
        let mut state = self.state();
        let before = state.as_ref().map_or(Duration::ZERO, |trouble| trouble.delay);
        let delay = (before * 2).clamp(FIRST, self.longest);
        let until = now() + delay.max(took * PAUSE_PER_ATTEMPT);
        *state = Some(Trouble { delay, until, why });
        self.troubled.store(true, Ordering::Relaxed);
    }

    /// A call went well. Trouble is over only when none has come for a while, so that good calls
    /// beside bad ones do not make each bad one the first.
    pub(super) fn succeeded(&self) {
        if !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        if state.as_ref().is_none_or(|trouble| now() > trouble.until + LONGEST) {
            *state = None;
            self.troubled.store(false, Ordering::Relaxed);
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<Trouble>> {
        // Replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> HsmError {
        HsmError::Unavailable("gone".into())
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let backoff = Backoff::default();
        assert_eq!(backoff.check(), Ok(()));
        let mut delays = Vec::new();
        for _ in 0..8 {
            backoff.failed(gone(), Duration::ZERO);
            delays.push(backoff.state().as_ref().unwrap().delay.as_millis());
        }
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        let said = backoff.check().unwrap_err().to_string();
        assert!(said.contains("gone; tried again in"), "{said}");
    }

    #[test]
    fn it_may_be_tried_again_after_the_pause_and_good_calls_do_not_end_it_early() {
        let backoff = Backoff::default();
        backoff.failed(gone(), Duration::ZERO);
        backoff.succeeded();
        assert!(backoff.check().is_err());
        std::thread::sleep(FIRST + Duration::from_millis(5));
        assert_eq!(backoff.check(), Ok(()));
        backoff.succeeded();
        backoff.failed(gone(), Duration::ZERO);
        assert_eq!(backoff.state().as_ref().unwrap().delay, FIRST * 2);
    }

    #[test]
    fn a_slow_attempt_has_a_long_pause() {
        let backoff = Backoff::default();
        backoff.failed(gone(), Duration::from_secs(5));
        let left = backoff.state().as_ref().unwrap().until - now();
        assert!(left > Duration::from_secs(19), "{left:?}");
    }

    #[test]
    fn what_an_operator_must_mend_is_said_as_it_is() {
        let backoff = Backoff::default();
        let locked = HsmError::PinLocked { token: "t".into(), flags: "none".into() };
        backoff.failed(locked.clone(), Duration::ZERO);
        assert_eq!(backoff.check(), Err(locked));
    }
}
