//! How much of what other nodes commit is known here, and how old that knowledge is: what is in memory
//! may be used only as long as it is young enough.
use super::Commits;
use super::backend::{Changed, Changes, Feed, StoreError};
use super::cache::Cache;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How often the feed is read when nothing says that there is something new.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a call waits for the feed before it is refused.
const DEADLINE: Duration = Duration::from_secs(2);

/// How old what a transaction reads may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Younger than the store's bound (`staleness`).
    Bounded,
    /// All that was committed before the transaction's first read is seen.
    Latest,
}

/// Reads the feed in order and forgets what it says has changed.
#[derive(Debug)]
pub(super) struct Follower {
    feed: Arc<dyn Feed>,
    cache: Arc<Cache>,
    commits: Arc<Commits>,
    bound: Duration,
    /// The groups whose changes are known.
    applied: AtomicU64,
    /// The [`uptime`] at which the query began that said so, in nanoseconds. 0: never.
    asked: AtomicU64,
    /// Numbers those who want to be served by a query that begins after they came.
    tickets: AtomicU64,
    served: Mutex<Served>,
    /// Why the feed does not go on from where it was. For good: what is in memory may never have been.
    broken: OnceLock<StoreError>,
}

/// The last ticket that a query has served, and how that ended.
#[derive(Debug)]
struct Served {
    ticket: u64,
    outcome: Result<(), StoreError>,
}

impl Follower {
    pub(super) fn new(
        feed: Arc<dyn Feed>,
        cache: Arc<Cache>,
        commits: Arc<Commits>,
        bound: Duration,
    ) -> Self {
        Self {
            feed,
            cache,
            commits,
            bound,
            applied: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
            served: Mutex::new(Served { ticket: 0, outcome: Ok(()) }),
            broken: OnceLock::new(),
        }
    }

    /// Follows until it is aborted.
    pub(super) async fn run(self: Arc<Self>) {
        let mut failing = false;
        loop {
            // Either is a reason to look.
            let _ = timeout(INTERVAL, self.feed.changed()).await;
            self.apply_own().await;
            match self.catch_up().await {
                Ok(()) if failing => {
                    failing = false;
                    tracing::info!("the change feed can be read again");
                }
                Ok(()) => {}
                Err(error) => {
                    // Once an outage, not ten times a second.
                    if !failing {
                        tracing::warn!(%error, age = ?self.age(), "the change feed cannot be read");
                    }
                    failing = true;
                    tokio::time::sleep(INTERVAL).await;
                }
            }
        }
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }

    pub(super) fn seen(&self) -> u64 {
        self.feed.seen()
    }

    pub(super) fn age(&self) -> Duration {
        uptime().saturating_sub(Duration::from_nanos(self.asked.load(Ordering::SeqCst)))
    }

    pub(super) fn is_within_bound(&self) -> bool {
        self.broken.get().is_none() && self.age() < self.bound
    }

    /// Ends when knowledge is younger than the bound, or fails.
    pub(super) async fn within_bound(&self) -> Result<(), StoreError> {
        if self.is_within_bound() {
            return Ok(());
        }
        self.catch_up().await?;
        // The answer may itself have taken longer than the bound.
        if self.is_within_bound() { Ok(()) } else { Err(late()) }
    }

    /// Ends when all is known that was committed before the call, or fails. Whoever comes while a
    /// query is under way waits for the next one, which serves all who have come until it begins.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        timeout(DEADLINE, self.serve()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn serve(&self) -> Result<(), StoreError> {
        let ticket = self.tickets.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if served.ticket >= ticket {
            return served.outcome.clone();
        }
        let all = self.tickets.load(Ordering::SeqCst);
        let outcome = self.read().await;
        *served = Served { ticket: all, outcome: outcome.clone() };
        outcome
    }

    /// What this node has committed itself needs no asking. It says nothing of the others.
    async fn apply_own(&self) {
        let _in_order = self.served.lock().await;
        while let Some(changes) = self.feed.own(self.applied()) {
            self.apply(changes);
        }
    }

    /// Only with `served` held: groups are applied in order.
    async fn read(&self) -> Result<(), StoreError> {
        if let Some(broken) = self.broken.get() {
            return Err(broken.clone());
        }
        let asked = uptime();
        let changes = match self.feed.since(self.applied()).await {
            Err(error @ StoreError::Corrupt(_)) => {
                return Err(self.broken.get_or_init(|| error).clone());
            }
            told => told?,
        };
        if changes.sequence != self.applied() {
            self.apply(changes);
        }
        let asked = u64::try_from(asked.as_nanos()).unwrap_or_default();
        self.asked.store(asked, Ordering::SeqCst);
        Ok(())
    }

    fn apply(&self, changes: Changes) {
        self.commits.start();
        match changes.what {
            Changed::Keys(keys) => keys.iter().for_each(|key| self.cache.forget(key)),
            Changed::Everything => self.cache.clear(),
        }
        self.applied.store(changes.sequence, Ordering::SeqCst);
        self.commits.finish();
    }
}

fn late() -> StoreError {
    StoreError::Unavailable("what other nodes have committed cannot be learned in time".into())
}

/// How long the machine has been up, asleep or not: knowledge grows old while a machine sleeps too, which
/// `Instant` does not count. No clock that is set moves it.
fn uptime() -> Duration {
    // Never negative. If it were, knowledge would count as too old.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Revision;

    #[test]
    fn uptime_is_the_systems() {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let system: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let ours = uptime().as_secs_f64();
        assert!((ours - system).abs() < 5.0, "{ours}, the system says {system}");
    }
    /// Its questions are never answered; what this process committed is group 1 and group 3.
    #[derive(Debug)]
    struct Silent;

    #[async_trait::async_trait]
    impl Feed for Silent {
        async fn since(&self, _after: u64) -> Result<Changes, StoreError> {
            std::future::pending().await
        }
        fn own(&self, after: u64) -> Option<Changes> {
            let what = Changed::Keys(vec!["a".into()]);
            matches!(after, 0 | 2).then(|| Changes { sequence: after + 1, what })
        }
        async fn changed(&self) {}
        fn seen(&self) -> u64 {
            3
        }
    }

    /// Broken off once, and then as if nothing had been.
    #[derive(Debug, Default)]
    struct BrokenOff(AtomicU64);

    #[async_trait::async_trait]
    impl Feed for BrokenOff {
        async fn since(&self, _after: u64) -> Result<Changes, StoreError> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                1 => Err(StoreError::Corrupt("it went back".into())),
                _ => Ok(Changes { sequence: 7, what: Changed::Everything }),
            }
        }
        fn own(&self, _after: u64) -> Option<Changes> {
            None
        }
        async fn changed(&self) {}
        fn seen(&self) -> u64 {
            7
        }
    }

    #[tokio::test]
    async fn a_feed_that_broke_off_is_not_taken_up_again() {
        let feed = Arc::new(BrokenOff::default());
        let follower = Follower::new(feed, Arc::default(), Arc::default(), Duration::from_secs(9));
        follower.catch_up().await.unwrap();
        assert!(follower.is_within_bound());
        for _ in 0..3 {
            let broken = follower.catch_up().await;
            assert!(matches!(broken, Err(StoreError::Corrupt(_))), "{broken:?}");
            let broken = follower.within_bound().await;
            assert!(matches!(broken, Err(StoreError::Corrupt(_))), "{broken:?}");
        }
    }

    #[tokio::test]
    async fn own_groups_are_applied_in_order_without_asking() {
        let (cache, commits) = (Arc::new(Cache::default()), Arc::new(Commits::default()));
        for key in ["a", "b"] {
            let Err(ticket) = cache.find(key.as_bytes()) else { panic!("nothing is cached yet") };
            cache.remember(&key.into(), ticket, Revision(1), Arc::new(()));
        }
        let bound = Duration::from_secs(1);
        let follower = Follower::new(Arc::new(Silent), cache.clone(), commits.clone(), bound);
        follower.apply_own().await;
        // Group 2 is another node's: group 3 waits for it.
        assert_eq!(follower.applied(), 1);
        let kept = [b"a", b"b"].map(|key| cache.revision(key));
        assert_eq!(kept, [None, Some(Revision(1))]);
        assert!(!follower.is_within_bound(), "it says nothing of the others");
        assert!(commits.quiet().is_some_and(|count| count == 1));
    }
}
