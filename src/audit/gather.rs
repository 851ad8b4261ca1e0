//! When a batch waits a little for more records.
//!
//! Group commit alone shares a sync among the records that came while the one before was under way. On
//! work that takes longer than a sync (an RSA operation, on a busy core) that is one or two, so every
//! record pays for a sync of its own: measured, a third of the server's CPU. Waiting for 2 ms makes it
//! seven. It must not cost those who are few: a lone caller's records never come during a sync, so it
//! never waits; two or four callers wait once, bring no more records by it, and are then left alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a batch waits at most. Beside what callers wait for their turn on a busy core, nothing.
pub(super) const LONGEST: Duration = Duration::from_millis(2);
/// Waiting is worth while if so many records share the sync.
const WORTH: usize = 5;
/// Batches until it is tried again after it was not worth while.
const REST: u32 = 512;
/// A batch of so many shares its sync among enough.
pub(super) const FULL: usize = 24;

/// How many records must be in the queue before whoever adds one wakes the writer: it sleeps until then,
/// for a look at the queue now and then would cost it a timer and the core a change of threads each time.
#[derive(Debug)]
pub(super) struct Wanted(AtomicUsize);

impl Default for Wanted {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl Wanted {
    /// The writer looks at the queue after this, before it sleeps: no record is overlooked.
    pub(super) fn set(&self, records: usize) {
        self.0.store(records, Ordering::SeqCst);
    }

    /// The writer needs nobody to wake it.
    pub(super) fn clear(&self) {
        self.set(usize::MAX);
    }

    pub(super) fn are_there(&self, queued: usize) -> bool {
        queued >= self.0.load(Ordering::SeqCst)
    }
}

/// Decides by what the last batches were like.
#[derive(Debug, Default)]
pub(super) struct Gather {
    rest: u32,
    waited: bool,
}

impl Gather {
    /// Whether a batch that has `records` should wait. `in_company`: some of them had come already
    /// when the sync before was done.
    pub(super) fn waits(&mut self, records: usize, in_company: bool) -> bool {
        self.rest = self.rest.saturating_sub(1);
        // Once it has proved worth while it goes on by itself: a sync that waited leaves no queue.
        let busy = in_company || self.waited;
        self.waited = busy && self.rest == 0 && records < FULL;
        self.waited
    }

    /// Learns how many records a batch had that waited.
    pub(super) fn learn(&mut self, records: usize) {
        if records < WORTH {
            self.rest = REST;
            self.waited = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FULL, Gather, REST, Wanted};

    #[test]
    fn nobody_wakes_a_writer_that_does_not_wait() {
        let wanted = Wanted::default();
        assert!(!wanted.are_there(1 << 20));
        wanted.set(3);
        assert!(!wanted.are_there(2) && wanted.are_there(3) && wanted.are_there(4));
        wanted.clear();
        assert!(!wanted.are_there(1 << 20));
    }

    #[test]
    fn a_lone_caller_never_waits() {
        let mut gather = Gather::default();
        assert!((0..1000).all(|_| !gather.waits(1, false)));
    }

    #[test]
    fn a_crowd_waits_as_long_as_it_is_one() {
        let mut gather = Gather::default();
        assert!(gather.waits(1, true));
        for _ in 0..100 {
            gather.learn(7);
            assert!(gather.waits(1, false));
        }
        gather.learn(2);
        assert!(!gather.waits(1, true), "waiting was not worth while");
    }

    #[test]
    fn a_few_callers_wait_seldom() {
        let mut gather = Gather::default();
        let mut waits = 0;
        for _ in 0..10 * REST {
            if gather.waits(1, true) {
                waits += 1;
                gather.learn(2);
            }
        }
        assert!(waits <= 11, "{waits}");
    }

    #[test]
    fn a_batch_that_is_large_already_does_not_wait() {
        assert!(!Gather::default().waits(FULL, true));
    }
}
