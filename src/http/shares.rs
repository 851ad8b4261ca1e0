//! Fairness between accounts: how many calls each may have under way while others want theirs.
//!
//! A call keeps its place until it is answered. Who alone asks gets half of the places at most, and the
//! more accounts ask, the less each of them: who has more than its share gets no other place until it is
//! below it again, and who has none gets one, however much the others want. Beyond its share an account
//! is told to slow down instead of waiting: what is accepted is answered as soon as ever.
//!
//! Requests that nobody signed name what account they like: all of them together are as one account, and
//! have no place for certain.
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
    /// How many accounts have any.
    accounts: usize,
    /// Those that have none any more are left in it for a while: they come again. None: nobody's.
    of: HashMap<Option<AccountId>, usize>,
}

/// Accounts without a place that are left before they are looked for.
const LEFT: usize = 64;

/// A place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    account: Option<AccountId>,
}

impl Shares {
    pub(super) fn new(places: usize) -> Self {
        Self { places, taken: Mutex::default() }
    }

    /// A place for a call of this account, if it has not had its share. None: of nobody's.
    pub(super) fn enter(self: &Arc<Self>, account: Option<&AccountId>) -> Option<Share> {
        let mut guard = self.taken();
        let taken = &mut *guard;
        if taken.of.len() > 2 * taken.accounts + LEFT {
            taken.of.retain(|_, own| *own > 0);
        }
        let own = taken.of.entry(account.cloned()).or_default();
        let others = taken.accounts - usize::from(*own > 0);
        // One more than there are: whoever comes next finds a share of the same size.
        let share = self.places / (others + 2);
        let is_first = *own == 0 && account.is_some();
        if !is_first && (*own >= share || taken.all >= self.places) {
            return None;
        }
        taken.accounts += usize::from(*own == 0);
        *own += 1;
        taken.all += 1;
        Some(Share { of: Arc::clone(self), account: account.cloned() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing between a change of the map and that of the sum can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut guard = self.of.taken();
        let taken = &mut *guard;
        if let Some(own) = taken.of.get_mut(&self.account) {
            *own = own.saturating_sub(1);
            taken.all = taken.all.saturating_sub(1);
            taken.accounts -= usize::from(*own == 0 && taken.accounts > 0);
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
        std::iter::from_fn(|| shares.enter(Some(&account(n)))).collect()
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
        assert!(shares.enter(Some(&account(1))).is_none());
        held[1].truncate(100);
        held[1].extend(fill(&shares, 1));
        assert_eq!(held[1].len(), 1000 / 9);
        drop(held);
        let none = |taken: &Taken| taken.accounts == 0 && taken.all == 0;
        assert!(none(&shares.taken()));
        assert_eq!(fill(&shares, 7).len(), 500);
    }

    #[test]
    fn nobody_is_left_without_any() {
        let shares = Arc::new(Shares::new(2));
        let held: Vec<Share> = (0..9).filter_map(|n| shares.enter(Some(&account(n)))).collect();
        assert_eq!(held.len(), 9);
    }

    #[test]
    fn what_nobody_signed_has_one_share_whatever_it_names() {
        let shares = Arc::new(Shares::new(1000));
        let nobodys: Vec<Share> = std::iter::from_fn(|| shares.enter(None)).collect();
        assert_eq!(nobodys.len(), 500);
        assert_eq!(fill(&shares, 1).len(), 333, "as beside any other account");
        // Where all is taken there is none for it.
        let full = Arc::new(Shares::new(1));
        let held = full.enter(Some(&account(1))).unwrap();
        assert!(full.enter(None).is_none());
        assert!(full.enter(Some(&account(2))).is_some(), "one for whom somebody answers");
        drop(held);
    }

    #[test]
    fn accounts_that_went_are_forgotten() {
        let shares = Arc::new(Shares::new(10));
        for n in 0..u64::try_from(LEFT).unwrap() * 10 {
            drop(shares.enter(Some(&format!("{n:012}").parse().unwrap())));
        }
        assert!(shares.taken().of.len() <= LEFT + 1);
    }
}
