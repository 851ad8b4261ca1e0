//! How often a key store may be asked: a bucket that holds a second's worth of requests.
use crate::types::Timestamp;
use std::sync::{Mutex, PoisonError};

const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Rate {
    /// From one request to the next.
    interval_ns: u64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// The time that must pass until it is full.
    debt_ns: u64,
    /// When that was so.
    seen: Timestamp,
}

impl Rate {
    pub(super) fn new(per_second: u32) -> Self {
        let bucket = Mutex::new(Bucket { debt_ns: 0, seen: Timestamp(0) });
        Self { interval_ns: NS_PER_SECOND / u64::from(per_second.max(1)), bucket }
    }

    /// Whether there is room for one more request; if so, takes it.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        // Two numbers that belong together whoever died holding them.
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed_ms = u64::try_from(now.0.saturating_sub(bucket.seen.0)).unwrap_or(0);
        let debt = bucket.debt_ns.saturating_sub(passed_ms.saturating_mul(NS_PER_MS));
        let after = debt.saturating_add(self.interval_ns);
        let fits = after <= NS_PER_SECOND.max(self.interval_ns);
        *bucket = Bucket { debt_ns: if fits { after } else { debt }, seen: now };
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many_and_no_more() {
        let rate = Rate::new(10);
        let at = |ms: i64| Timestamp(1_767_225_600_000 + ms);
        let taken = |ms, asked| (0..asked).filter(|_| rate.take(at(ms))).count();
        assert_eq!(taken(0, 50), 10);
        assert_eq!(taken(99, 50), 0);
        assert_eq!(taken(100, 50), 1);
        assert_eq!(taken(5_000, 50), 10);
        // A clock that is set back gives nothing and takes nothing.
        assert_eq!(taken(0, 50), 0);
        assert_eq!(taken(1_000, 50), 10);
        let slow = Rate::new(1);
        assert!(slow.take(at(0)) && !slow.take(at(999)) && slow.take(at(1_000)));
    }
}
