//! Fairness between accounts: how many calls each may have under way while others want theirs.
//!
//! A call keeps its place until it is answered. Who alone asks gets half of the places at most, and the
//! more accounts ask, the less each of them: who has more than its share gets no other place until it is
//! below it again, and who has none gets one, however much the others want. Beyond its share an account
//! is told to slow down at once instead of waiting: what is accepted is answered as soon as ever.
use crate::types::AccountId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places, and how many of them each account has taken.
#[derive(Debug)]
pub(super) struct Shares {
    places: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<AccountId, usize>,
}

/// A place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    account: AccountId,
}

impl Shares {
    pub(super) fn new(places: usize) -> Self {
        Self { places, taken: Mutex::default() }
    }

    /// A place for a call of this account, if it has not had its share.
    pub(super) fn enter(self: &Arc<Self>, account: &AccountId) -> Option<Share> {
        let mut taken = self.taken();
        let own = taken.of.get(account).copied().unwrap_or_default();
        let others = taken.of.len() - usize::from(own > 0);
        // One more than there are: whoever comes next finds a share of the same size.
        let share = self.places / (others + 2);
        if own > 0 && (own >= share || taken.all >= self.places) {
            return None;
        }
        taken.all += 1;
        taken.of.insert(account.clone(), own + 1);
        Some(Share { of: Arc::clone(self), account: account.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing between a change of the map and that of the sum can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.of.get_mut(&self.account) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.of.remove(&self.account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> AccountId {
        format!("{n:012}").parse().unwrap()
    }

    /// As many places as it gets.
    fn fill(shares: &Arc<Shares>, n: u8) -> Vec<Share> {
        std::iter::from_fn(|| shares.enter(&account(n))).collect()
    }

    #[test]
    fn the_more_ask_the_less_each_gets_and_who_comes_gets_one() {
        let shares = Arc::new(Shares::new(1000));
        let mut held: Vec<Vec<Share>> = (0..9).map(|n| fill(&shares, n)).collect();
        let counts: Vec<usize> = held.iter().map(Vec::len).collect();
        assert_eq!(
            counts,
            [500, 333, 167, 1, 1, 1, 1, 1, 1],
            "half, a third, the rest; then one each"
        );
        // Who has more than its share gets no other until it is below it: of nine now.
        held[0].clear();
        assert!(shares.enter(&account(1)).is_none());
        held[1].truncate(100);
        held[1].extend(fill(&shares, 1));
        assert_eq!(held[1].len(), 1000 / 9);
        drop(held);
        assert!(shares.taken().of.is_empty() && shares.taken().all == 0);
        assert_eq!(fill(&shares, 7).len(), 500);
    }

    #[test]
    fn nobody_is_left_without_any() {
        let shares = Arc::new(Shares::new(2));
        let held: Vec<Share> = (0..9).filter_map(|n| shares.enter(&account(n))).collect();
        assert_eq!(held.len(), 9);
    }
}
