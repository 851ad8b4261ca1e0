//! Where time enters. Nothing else may read the system clock (`clippy.toml` forbids it), so a test
//! that fixes the clock sees the same bytes every run.
use crate::types::Timestamp;
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

pub trait Clock: Debug + Send + Sync {
    /// The time the domain lives in: creation dates, deletion windows, schedules.
    fn now(&self) -> Timestamp;
    /// The time the outside world lives in: signatures and the `Date` header. It differs from
    /// [`Clock::now`] only where a developer moved the clock on purpose.
    fn wall(&self) -> Timestamp {
        self.now()
    }
}

#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp(now.saturating_add(crate::failpoints::clock_ahead_ms()))
    }
}

/// The system's clock, moved forward by hand: `claviger dev` serves `POST /_claviger/clock`.
#[derive(Debug, Default)]
pub struct MovableClock {
    ahead_ms: AtomicI64,
}

impl MovableClock {
    pub fn ahead_by(seconds: i64) -> Self {
        Self { ahead_ms: AtomicI64::new(seconds.saturating_mul(1000)) }
    }
    pub fn advance(&self, seconds: i64) {
        self.ahead_ms.fetch_add(seconds.saturating_mul(1000), Ordering::SeqCst);
    }
    pub fn ahead_seconds(&self) -> i64 {
        self.ahead_ms.load(Ordering::SeqCst) / 1000
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.ahead_ms.load(Ordering::SeqCst)))
    }
    fn wall(&self) -> Timestamp {
        SystemClock.now()
    }
}

/// A clock that stands still until it is told to move. For tests.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn at_secs(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds * 1000))
    }
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}
