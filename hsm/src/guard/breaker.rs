//! The circuit breaker: after several failures in a row no call is let through until a probe has
//! found the device alive. A pure state machine; the time is an argument.
//!
//! ```text
//!            failures in a row                  back-off is over
//!  Closed ─────────────────────▶ Open ────────────────────────────▶ HalfOpen (one probe)
//!    ▲                             ▲    the probe fails: doubled back-off    │
//!    │                             └──────────────────────────────────────────┤
//!    └──────────────────── the probe succeeds ────────────────────────────────┘
//! ```
//!
//! After a probe that succeeded one failure opens it again: a device may answer the probe and
//! still fail at its work.

use crate::HsmError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// Whether calls are let through to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Circuit {
    /// They are.
    Closed,
    /// They fail at once: the device has failed, and is left alone for a while.
    Open,
    /// They fail at once; a probe asks whether the device works again.
    HalfOpen,
}

impl fmt::Display for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}

/// What the end of a call says about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered, be it with an error about the request.
    Alive,
    /// It did not answer, or said that it cannot work; why.
    Failed(String),
    /// Nothing: the request may have been refused before the device was asked.
    Unknown,
}

impl Outcome {
    pub(super) fn of<T>(result: &Result<T, HsmError>) -> Self {
        match result {
            Ok(_) => Self::Alive,
            Err(e) if blames_device(e) => Self::Failed(e.to_string()),
            Err(HsmError::Refused(_) | HsmError::Unsupported(_) | HsmError::WrongUse { .. }) => {
                Self::Unknown
            }
            Err(_) => Self::Alive,
        }
    }
}

/// Whether an error says that the device does not work at all, whatever is asked of it.
fn blames_device(error: &HsmError) -> bool {
    matches!(
        error,
        HsmError::Unavailable(_)
            | HsmError::ModuleMissing { .. }
            | HsmError::NotAModule { .. }
            | HsmError::ModuleInitialize { .. }
            | HsmError::NoSuchToken { .. }
            | HsmError::DuplicateToken { .. }
            | HsmError::TokenNotInitialised { .. }
            | HsmError::UserPinNotSet { .. }
            | HsmError::WrongToken { .. }
            | HsmError::WrongPin { .. }
            | HsmError::PinNotTried { .. }
            | HsmError::PinExpired { .. }
            | HsmError::PinUnreadable { .. }
            | HsmError::PinLocked { .. }
            | HsmError::PinFinalTry { .. }
    )
}

/// The first pause that is made for calls that hang, and the longest.
const HANG_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_HANG_PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many failures in a row open it.
    pub(super) failures: u32,
    /// From the opening to the first probe; doubled with every probe that fails …
    pub(super) backoff: Duration,
    /// … up to this.
    pub(super) longest_backoff: Duration,
}

#[derive(Debug)]
pub(super) struct Breaker {
    limits: Limits,
    circuit: Circuit,
    /// When the next probe is due, while open.
    probe_at: Option<Instant>,
    failures: u32,
    backoff: Duration,
    /// When it was last opened or closed.
    since: Instant,
    last_error: Option<String>,
}

impl Breaker {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            circuit: Circuit::Closed,
            probe_at: None,
            failures: 0,
            backoff: limits.backoff,
            since: now,
            last_error: None,
        }
    }

    /// Whether a call may go to the device; else the error that says since when not, and why.
    pub(super) fn admit(&self, now: Instant) -> Result<(), HsmError> {
        if self.circuit == Circuit::Closed {
            return Ok(());
        }
        Err(HsmError::Unavailable(format!(
            "it has not worked for {:.1} s, and is probed until it does; the last error was: {}",
            self.since(now).as_secs_f64(),
            self.last_error.as_deref().unwrap_or("none")
        )))
    }

    /// Notes how a call ended. True if this opened the circuit.
    pub(super) fn record(&mut self, outcome: Outcome, now: Instant) -> bool {
        match outcome {
            Outcome::Unknown => false,
            Outcome::Alive if self.circuit == Circuit::Closed => {
                self.failures = 0;
                self.backoff = self.limits.backoff;
                false
            }
            Outcome::Alive => {
                // A call from before the opening has come back after all: worth a probe now.
                self.probe_at = self.probe_at.map(|_| now);
                self.probe_at.is_some()
            }
            Outcome::Failed(why) => {
                self.last_error = Some(why);
                self.failures = self.failures.saturating_add(1);
                let opens =
                    self.circuit == Circuit::Closed && self.failures >= self.limits.failures;
                if opens {
                    self.since = now;
                    self.open(now);
                }
                opens
            }
        }
    }

    /// Notes a call that hangs, one of so many. What is answered beside them does not make up for them:
    /// else each round of hangs would take threads and sessions until none is left.
    /// Each chance that the device is given may cost one more, so the pause before it doubles with each.
    pub(super) fn lost(&mut self, why: String, hanging: usize, now: Instant) {
        let hanging = u32::try_from(hanging).unwrap_or(u32::MAX);
        let Some(beyond) = hanging.checked_sub(self.limits.failures) else {
            self.record(Outcome::Failed(why), now);
            return;
        };
        if self.circuit == Circuit::Closed {
            self.failures = self.limits.failures;
        }
        if self.record(Outcome::Failed(why), now) {
            let pause = HANG_PAUSE.saturating_mul(2_u32.saturating_pow(beyond));
            self.probe_at = Some(now + pause.min(LONGEST_HANG_PAUSE));
        }
    }

    fn open(&mut self, now: Instant) {
        self.circuit = Circuit::Open;
        self.probe_at = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(self.limits.longest_backoff);
    }

    /// When the next probe is due, if one is.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.probe_at
    }

    /// Begins the probe that is due. False if none is.
    pub(super) fn begin_probe(&mut self, now: Instant) -> bool {
        let due = self.probe_at.is_some_and(|at| at <= now);
        if due {
            self.probe_at = None;
            self.circuit = Circuit::HalfOpen;
        }
        due
    }

    /// Notes how the probe ended.
    pub(super) fn probed(&mut self, outcome: Outcome, now: Instant) {
        if let Outcome::Failed(why) = outcome {
            self.last_error = Some(why);
            return self.open(now);
        }
        self.circuit = Circuit::Closed;
        self.probe_at = None;
        self.since = now;
        self.failures = self.limits.failures.saturating_sub(1);
    }

    pub(super) fn circuit(&self) -> Circuit {
        self.circuit
    }

    /// How long it has been closed, or not been closed.
    pub(super) fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LIMITS: Limits = Limits {
        failures: 3,
        backoff: Duration::from_millis(50),
        longest_backoff: Duration::from_secs(2),
    };

    fn failed() -> Outcome {
        Outcome::Failed("no answer".into())
    }

    fn opened(start: Instant) -> Breaker {
        let mut breaker = Breaker::new(LIMITS, start);
        assert!(!breaker.record(failed(), start));
        assert!(!breaker.record(failed(), start));
        assert!(breaker.record(failed(), start));
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_the_error_says_since_when_and_why() {
        let start = crate::elapsed::now();
        let breaker = opened(start);
        assert_eq!(breaker.circuit(), Circuit::Open);
        let refused = breaker.admit(start + 1500 * MS).unwrap_err();
        assert!(matches!(refused, HsmError::Unavailable(_)));
        let text = refused.to_string();
        assert!(text.contains("1.5 s") && text.contains("no answer"), "{text}");
    }

    #[test]
    fn an_answer_between_failures_keeps_it_closed_and_a_refusal_says_nothing() {
        let start = crate::elapsed::now();
        let mut breaker = Breaker::new(LIMITS, start);
        for _ in 0..100 {
            assert!(!breaker.record(failed(), start));
            assert!(!breaker.record(failed(), start));
            assert!(!breaker.record(Outcome::Alive, start));
        }
        breaker.record(failed(), start);
        breaker.record(failed(), start);
        breaker.record(Outcome::Unknown, start);
        assert_eq!(breaker.admit(start), Ok(()));
        assert!(breaker.record(failed(), start), "a refusal must not hide a device that fails");
    }

    #[test]
    fn errors_about_the_request_are_a_sign_of_life() {
        let about = |e: HsmError| Outcome::of::<()>(&Err(e));
        assert_eq!(about(HsmError::Authentication), Outcome::Alive);
        let id = crate::RootKeyId::new("a");
        assert_eq!(about(HsmError::KeyExists(id.clone())), Outcome::Alive);
        assert_eq!(about(HsmError::NoSuchKey { wanted: id, found: vec![] }), Outcome::Alive);
        assert_eq!(about(HsmError::Refused("long".into())), Outcome::Unknown);
        assert_eq!(about(HsmError::Unsupported("no".into())), Outcome::Unknown);
        assert!(matches!(about(HsmError::Unavailable("gone".into())), Outcome::Failed(_)));
        assert_eq!(Outcome::of(&Ok(())), Outcome::Alive);
    }

    #[test]
    fn probes_back_off_from_50_ms_to_2_s_and_one_that_succeeds_closes_it() {
        let mut now = crate::elapsed::now();
        let mut breaker = opened(now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let at = breaker.next_probe().unwrap();
            waits.push(at.duration_since(now).as_millis());
            assert!(!breaker.begin_probe(at - MS), "too early");
            now = at;
            assert!(breaker.begin_probe(now));
            assert!(!breaker.begin_probe(now), "one probe at a time");
            assert_eq!(breaker.circuit(), Circuit::HalfOpen);
            assert!(breaker.admit(now).is_err());
            breaker.probed(failed(), now);
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        now = breaker.next_probe().unwrap();
        assert!(breaker.begin_probe(now));
        breaker.probed(Outcome::Alive, now);
        assert_eq!(breaker.circuit(), Circuit::Closed);
        assert_eq!(breaker.admit(now), Ok(()));
        assert_eq!(breaker.next_probe(), None);
    }

    #[test]
    fn after_a_probe_one_failure_opens_it_again_and_an_answer_forgets() {
        let now = crate::elapsed::now();
        let mut breaker = opened(now);
        let at = breaker.next_probe().unwrap();
        assert!(breaker.begin_probe(at));
        breaker.probed(Outcome::Alive, at);
        assert!(breaker.record(failed(), at), "the device only pretended");
        // And the back-off goes on where it was.
        let at = breaker.next_probe().unwrap();
        assert!(breaker.begin_probe(at));
        breaker.probed(Outcome::Alive, at);
        breaker.record(Outcome::Alive, at);
        assert!(!breaker.record(failed(), at));
        assert!(!breaker.record(failed(), at));
        assert!(breaker.record(failed(), at));
        assert_eq!(breaker.next_probe(), Some(at + LIMITS.backoff));
    }

    #[test]
    fn calls_that_hang_open_it_by_their_number_and_answers_reset_only_the_rest() {
        let now = crate::elapsed::now();
        let mut breaker = Breaker::new(LIMITS, now);
        for hanging in 1..3 {
            breaker.lost("late".into(), hanging, now);
            breaker.record(Outcome::Alive, now);
            assert_eq!(breaker.circuit(), Circuit::Closed);
        }
        breaker.lost("late".into(), 3, now);
        assert_eq!(breaker.circuit(), Circuit::Open);
        let at = breaker.next_probe().unwrap();
        assert!(breaker.begin_probe(at));
        breaker.probed(Outcome::Alive, at);
        // Other failures count as they did, however many hang for ever.
        breaker.record(Outcome::Alive, at);
        assert!(!breaker.record(failed(), at));
        assert!(!breaker.record(failed(), at));
        breaker.record(Outcome::Alive, at);
        breaker.lost("late".into(), 4, at);
        assert_eq!(breaker.circuit(), Circuit::Open, "the next one that hangs");
        // Each one has cost more than the last.
        assert_eq!(breaker.next_probe(), Some(at + 2 * HANG_PAUSE));
        assert!(breaker.begin_probe(at + 2 * HANG_PAUSE));
        breaker.probed(Outcome::Alive, at);
        breaker.lost("late".into(), 16, at);
        assert_eq!(breaker.next_probe(), Some(at + LONGEST_HANG_PAUSE));
    }

    #[test]
    fn a_late_answer_brings_the_probe_forward() {
        let now = crate::elapsed::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.next_probe(), Some(now + 50 * MS));
        assert!(breaker.record(Outcome::Alive, now + MS));
        assert_eq!(breaker.next_probe(), Some(now + MS));
        assert_eq!(breaker.circuit(), Circuit::Open, "only a probe closes it");
    }
}
