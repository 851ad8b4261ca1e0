//! The revisions of one process's commits: each higher than all that it has come upon, and none that
//! another writer could choose as well.
use super::Revision;
use std::sync::atomic::{AtomicU64, Ordering};

/// The slots that writers of one store can have.
pub(super) const SLOTS: u16 = 1024;

/// A revision is `count * step + slot`. One that conflicted is never used again.
#[derive(Debug)]
pub(super) struct Numbers {
    step: u64,
    slot: u64,
    count: AtomicU64,
}

impl Numbers {
    /// Goes on after `last`, `skip` counts later.
    pub(super) fn new(slot: Option<u16>, last: Revision, skip: u32) -> Self {
        let step = slot.map_or(1, |_| u64::from(SLOTS));
        let count = last.0 / step + 1 + u64::from(skip);
        Self { step, slot: slot.map_or(0, u64::from), count: AtomicU64::new(count) }
    }

    /// What is chosen from now on is higher than this.
    pub(super) fn saw(&self, revision: Revision) {
        // A single writer has chosen all that there is.
        if self.step > 1 {
            self.count.fetch_max(revision.0 / self.step + 1, Ordering::SeqCst);
        }
    }

    pub(super) fn next(&self) -> Revision {
        Revision(self.count.fetch_add(1, Ordering::SeqCst) * self.step + self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_writer_counts_by_one() {
        let numbers = Numbers::new(None, Revision(7), 2);
        assert_eq!(numbers.next(), Revision(10));
        assert_eq!(numbers.next(), Revision(11));
    }

    #[test]
    fn writers_never_meet_and_each_is_ahead_of_what_it_saw() {
        let (one, other) =
            (Numbers::new(Some(3), Revision(0), 0), Numbers::new(Some(1023), Revision(0), 0));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let first = one.next();
            other.saw(first);
            let second = other.next();
            assert!(second > first);
            one.saw(second);
            assert!(seen.insert(first) && seen.insert(second));
        }
    }
}
