//! When a batch waits a little for more records.
//!
//! Group commit alone shares a sync among the records that came while the one before was under way. On
//! work that takes longer than a sync (an RSA operation, on a busy core) that is one or two, so every
//! record pays for a sync of its own: measured, a third of the server's CPU. Waiting for 2 ms makes it
//! seven. It must not cost those who are few: a lone caller's records never come during a sync, so it
//! waits once after a crowd and then no more; two or four callers wait once in a while, bring no more
//! records by it, and are then left alone.
//!
//! Nor may it be a pause: callers who all wait for the batch bring nothing more, and the core is idle.
//! A wait that has lasted to its end tells how many come in that time, and the next ones end when these
//! are there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a batch waits at most. Beside what callers wait for their turn on a busy core, nothing.
pub(super) const LONGEST: Duration = Duration::from_millis(2);
/// Whoever wakes later than this after he began to wait had no processor.
pub(super) const OVERSLEPT: Duration = Duration::from_micros(2500);
/// Waiting is worth while if so many records share the sync.
const WORTH: usize = 5;
/// Batches until it is tried again after it was not worth while.
const REST: u32 = 512;
/// Batches until it is found out whether there are more by now.
const SETTLED: u32 = 128;
/// A batch of so many shares its sync among enough, however many there are: a sync takes the processor
/// time of two or three calls.
const MOST: usize = 48;

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
#[derive(Debug)]
pub(super) struct Gather {
    rest: u32,
    waited: bool,
    /// A batch of so many waits no longer.
    enough: usize,
    /// Batches until it is found out whether there are more.
    settled: u32,
}

impl Default for Gather {
    fn default() -> Self {
        Self { rest: 0, waited: false, enough: MOST, settled: 0 }
    }
}

impl Gather {
    /// For how many records a batch that has `records` should wait, if it should. `in_company`: some of
    /// them had come already when the sync before was done.
    pub(super) fn waits(&mut self, records: usize, in_company: bool) -> Option<usize> {
        self.rest = self.rest.saturating_sub(1);
        match self.settled.checked_sub(1) {
            Some(left) => self.settled = left,
            None => self.enough = MOST,
        }
        // Once it has proved worth while it goes on by itself: a sync that waited leaves no queue.
        let busy = in_company || self.waited;
        self.waited = busy && self.rest == 0 && records < self.enough;
        self.waited.then_some(self.enough)
    }

    /// Learns how many records a batch had that waited.
    pub(super) fn learn(&mut self, records: usize) {
        if records < WORTH {
            self.rest = REST;
            self.waited = false;
        } else if records < self.enough {
            (self.enough, self.settled) = (records, SETTLED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gather, MOST, REST, SETTLED, Wanted};

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
        assert!((0..1000).all(|_| gather.waits(1, false).is_none()));
    }

    #[test]
    fn a_crowd_waits_as_long_as_it_is_one() {
        let mut gather = Gather::default();
        assert!(gather.waits(1, true).is_some());
        for _ in 0..100 {
            gather.learn(7);
            assert!(gather.waits(1, false).is_some());
        }
        gather.learn(2);
        assert!(gather.waits(1, true).is_none(), "waiting was not worth while");
    }

    /// So many callers, each of whom waits for its record: how many batches waited to the end for more than
    /// there are.
    fn pauses(gather: &mut Gather, callers: usize, batches: u32) -> usize {
        let in_vain = (0..batches).filter(|_| {
            let wanted = gather.waits(1, true);
            if let Some(wanted) = wanted {
                gather.learn(callers.min(wanted));
            }
            wanted.is_some_and(|wanted| wanted > callers)
        });
        in_vain.count()
    }

    #[test]
    fn a_few_callers_wait_seldom() {
        let waits = pauses(&mut Gather::default(), 2, 10 * REST);
        assert!(waits <= 11, "{waits}");
    }

    #[test]
    fn callers_who_are_all_there_are_kept_no_longer() {
        for callers in [5, 16, 40] {
            let pauses = pauses(&mut Gather::default(), callers, 10 * SETTLED);
            assert!((1..=10).contains(&pauses), "{callers}: {pauses}");
        }
    }

    #[test]
    fn what_is_enough_follows_how_many_there_are() {
        let mut gather = Gather::default();
        for callers in [16, 8, 30] {
            pauses(&mut gather, callers, SETTLED);
            assert_eq!(gather.enough, callers);
        }
        // Who never waits, since there are more anyway, finds out too.
        for _ in 0..=SETTLED {
            gather.waits(31, true);
        }
        assert_eq!(gather.enough, MOST);
    }

    #[test]
    fn a_batch_that_is_large_already_does_not_wait() {
        assert!(Gather::default().waits(MOST, true).is_none());
    }
}
