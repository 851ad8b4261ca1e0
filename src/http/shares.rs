//! Fairness between accounts: how many calls each may have under way while others want theirs.
//!
//! A call keeps its place until it is answered. Who alone asks gets half of the places at most, and the
//! more accounts ask, the less each of them: who has more than its share gets no other place until it is
//! below it again, and who has none gets one, however much the others want. Beyond its share an account's
//! calls wait for a place in the order in which they came, a moment only, and are then told to slow down:
//! whoever is told at once comes again at once, and the core would do nothing else.
//!
//! Requests that nobody signed name what account they like: all of them together are as one account,
//! have no place for certain, and do not wait.
use crate::types::AccountId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

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
    of: HashMap<Option<AccountId>, Own>,
    /// How many calls wait for a place.
    waiting: usize,
}

/// What one account has.
#[derive(Debug, Default)]
struct Own {
    places: usize,
    /// Only who has a place has calls that wait: each place that it gives back may be theirs.
    waiting: VecDeque<oneshot::Sender<Share>>,
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
        self.next(&mut self.taken(), account)
    }

    /// The same for who has had its share: a place that another of its calls gives back within this time, if
    /// not as many as its share wait already (one may always).
    pub(super) async fn wait(
        self: &Arc<Self>,
        account: &AccountId,
        patience: Duration,
    ) -> Option<Share> {
        let (next, given) = oneshot::channel();
        let next = {
            let mut taken = self.taken();
            let share = taken.share(self.places).max(1);
            let is_room = taken.waiting < self.places;
            let own = taken.of.entry(Some(account.clone())).or_default();
            if own.waiting.len() >= share || !is_room {
                return None;
            }
            own.waiting.push_back(next);
            taken.waiting += 1;
            // Its share may have grown since it last gave a place back.
            taken.hand_over(self.places, &Some(account.clone()))
        };
        self.give(next, &Some(account.clone()));
        let mut waiting = Waiting { of: self, account, given };
        if let Ok(share) = tokio::time::timeout(patience, &mut waiting.given).await {
            return share.ok();
        }
        drop(waiting);
        // It has waited longest.
        let account = Some(account.clone());
        let next = {
            let mut guard = self.taken();
            let taken = &mut *guard;
            let own = taken.of.entry(account.clone()).or_default();
            if !own.take(self.places, true, &mut taken.all, &mut taken.accounts) {
                return None;
            }
            taken.hand_over(self.places, &account)
        };
        self.give(next, &account);
        Some(Share { of: Arc::clone(self), account })
    }

    fn next(self: &Arc<Self>, taken: &mut Taken, account: Option<&AccountId>) -> Option<Share> {
        if taken.of.len() > 2 * taken.accounts + LEFT {
            taken.of.retain(|_, own| own.places > 0);
        }
        let own = taken.of.entry(account.cloned()).or_default();
        let account = account.cloned();
        let (all, accounts) = (&mut taken.all, &mut taken.accounts);
        // Those that came before have the next ones.
        (own.waiting.is_empty() && own.take(self.places, account.is_some(), all, accounts))
            .then(|| Share { of: Arc::clone(self), account })
    }

    /// Tells calls of this account that they have a place.
    fn give(self: &Arc<Self>, to: Vec<oneshot::Sender<Share>>, account: &Option<AccountId>) {
        for call in to {
            // One that has just ceased to wait gives it back.
            drop(call.send(Share { of: Arc::clone(self), account: account.clone() }));
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing between a change of the map and that of the sum can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits, and makes room when it ceases to.
struct Waiting<'s> {
    of: &'s Shares,
    account: &'s AccountId,
    given: oneshot::Receiver<Share>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.given.close();
        self.of.taken().tidy(&Some(self.account.clone()));
    }
}

impl Own {
    /// Takes one of `places` if it may: of an account, or of nobody's.
    fn take(
        &mut self,
        places: usize,
        is_account: bool,
        all: &mut usize,
        accounts: &mut usize,
    ) -> bool {
        let others = *accounts - usize::from(self.places > 0);
        // One more than there are: whoever comes next finds a share of the same size.
        let share = places / (others + 2);
        let is_first = self.places == 0 && is_account;
        if !is_first && (self.places >= share || *all >= places) {
            return false;
        }
        *accounts += usize::from(self.places == 0);
        self.places += 1;
        *all += 1;
        true
    }
}

impl Taken {
    /// What each account may have that has any.
    fn share(&self, places: usize) -> usize {
        places / (self.accounts + 1)
    }

    /// Gives a place back. Answers which of the account's calls have one now.
    fn give_back(
        &mut self,
        places: usize,
        account: &Option<AccountId>,
    ) -> Vec<oneshot::Sender<Share>> {
        let Some(own) = self.of.get_mut(account) else { return Vec::new() };
        own.places = own.places.saturating_sub(1);
        self.all = self.all.saturating_sub(1);
        self.accounts -= usize::from(own.places == 0 && self.accounts > 0);
        if own.waiting.is_empty() {
            return Vec::new();
        }
        self.hand_over(places, account)
    }

    /// Takes places for calls of this account that wait: as many as it may have.
    fn hand_over(
        &mut self,
        places: usize,
        account: &Option<AccountId>,
    ) -> Vec<oneshot::Sender<Share>> {
        self.tidy(account);
        let Self { all, accounts, of, waiting } = self;
        let mut next = Vec::new();
        let Some(own) = of.get_mut(account) else { return next };
        while own.waiting.front().is_some()
            && own.take(places, account.is_some(), all, accounts)
            && let Some(first) = own.waiting.pop_front()
        {
            *waiting = waiting.saturating_sub(1);
            next.push(first);
        }
        next
    }

    /// Forgets the first of those that have ceased to wait: they came before the others.
    fn tidy(&mut self, account: &Option<AccountId>) {
        let Some(own) = self.of.get_mut(account) else { return };
        while own.waiting.front().is_some_and(oneshot::Sender::is_closed) {
            own.waiting.pop_front();
            self.waiting = self.waiting.saturating_sub(1);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let next = self.of.taken().give_back(self.of.places, &self.account);
        self.of.give(next, &self.account);
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

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A call that waits, until it does.
    async fn waiting(
        shares: &Arc<Shares>,
        n: u8,
        patience: Duration,
    ) -> tokio::task::JoinHandle<Option<Share>> {
        let before = shares.taken().waiting;
        let waits = {
            let shares = shares.clone();
            tokio::spawn(async move { shares.wait(&account(n), patience).await })
        };
        while shares.taken().waiting == before {
            assert!(!waits.is_finished(), "it has not waited");
            tokio::task::yield_now().await;
        }
        waits
    }

    #[tokio::test]
    async fn beyond_its_share_it_waits_for_its_own_places_in_order() {
        let shares = Arc::new(Shares::new(8));
        let mut held = fill(&shares, 1);
        assert_eq!(held.len(), 4);
        let first = waiting(&shares, 1, PATIENCE).await;
        let second = waiting(&shares, 1, PATIENCE).await;
        // Another account's places are not theirs.
        let other = shares.enter(Some(&account(2))).unwrap();
        drop(other);
        assert_eq!(shares.taken().waiting, 2);
        held.pop();
        let first = first.await.unwrap().expect("it was the first");
        assert_eq!(shares.taken().waiting, 1);
        assert!(shares.enter(Some(&account(1))).is_none(), "one that came before waits");
        drop(first);
        drop(second.await.unwrap().expect("it was the next"));
        drop(held);
        let taken = shares.taken();
        assert_eq!((taken.all, taken.accounts, taken.waiting), (0, 0, 0));
    }

    #[tokio::test]
    async fn it_waits_a_moment_only_and_leaves_its_turn_to_the_next() {
        let shares = Arc::new(Shares::new(8));
        let mut held = fill(&shares, 1);
        let impatient = waiting(&shares, 1, Duration::from_millis(5)).await;
        let gone = waiting(&shares, 1, PATIENCE).await;
        let patient = waiting(&shares, 1, PATIENCE).await;
        assert!(impatient.await.unwrap().is_none());
        gone.abort();
        assert!(gone.await.is_err());
        held.pop();
        drop(patient.await.unwrap().expect("the others have ceased to wait"));
        assert!(shares.enter(Some(&account(1))).is_some(), "nobody waits any more");
        assert_eq!(shares.taken().waiting, 0);
    }

    #[tokio::test]
    async fn no_more_wait_than_its_share() {
        let shares = Arc::new(Shares::new(4));
        let mut held = vec![shares.wait(&account(1), PATIENCE).await.expect("one is free")];
        held.extend(fill(&shares, 1));
        let mut crowd = vec![waiting(&shares, 1, PATIENCE).await];
        crowd.push(waiting(&shares, 1, PATIENCE).await);
        assert!(shares.wait(&account(1), PATIENCE).await.is_none(), "told at once");
        // Another account's calls wait all the same. Its share is a third.
        let others = fill(&shares, 2);
        assert_eq!((held.len(), others.len()), (2, 1));
        let other = waiting(&shares, 2, PATIENCE).await;
        drop(held);
        for waits in crowd {
            assert!(waits.await.unwrap().is_some());
        }
        drop(others);
        assert!(other.await.unwrap().is_some());
        assert_eq!(shares.taken().waiting, 0);
    }

    #[tokio::test]
    async fn among_many_one_call_of_each_may_wait() {
        let shares = Arc::new(Shares::new(2));
        let mut held: Vec<Share> = (0..9).filter_map(|n| shares.enter(Some(&account(n)))).collect();
        let waits = waiting(&shares, 8, PATIENCE).await;
        assert!(shares.wait(&account(8), PATIENCE).await.is_none(), "told at once");
        held.pop();
        assert!(waits.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_ceased_to_wait_takes_nobodys_room() {
        let shares = Arc::new(Shares::new(4));
        let _held = fill(&shares, 1);
        for _ in 0..100 {
            let waits = shares.wait(&account(1), Duration::from_millis(1)).await;
            assert!(waits.is_none());
            assert_eq!(shares.taken().waiting, 0);
        }
    }

    #[tokio::test]
    async fn a_share_that_has_grown_is_found_at_the_end_of_the_wait_or_by_the_next_call() {
        let shares = Arc::new(Shares::new(8));
        let enter = || shares.enter(Some(&account(1))).unwrap();
        let slow = [enter(), enter()];
        let others: Vec<_> = (2..4).flat_map(|n| fill(&shares, n)).collect();
        let short = waiting(&shares, 1, Duration::from_millis(50)).await;
        let long = waiting(&shares, 1, PATIENCE).await;
        drop(others);
        assert!(short.await.unwrap().is_some(), "its share has grown");
        assert!(long.await.unwrap().is_some(), "and with it the next one's");
        let others = fill(&shares, 2);
        let first = waiting(&shares, 1, PATIENCE).await;
        drop(others);
        drop(shares.wait(&account(1), PATIENCE).await.expect("behind the first"));
        assert!(first.await.unwrap().is_some());
        drop(slow);
        let taken = shares.taken();
        assert_eq!((taken.all, taken.accounts, taken.waiting), (0, 0, 0));
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
