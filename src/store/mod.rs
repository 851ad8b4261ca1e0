//! Ordered keys and values with optimistic transactions.
//!
//! A [`Backend`] knows how to get, scan and "write all of this if nothing you read has changed".
//! Everything else is built above it once: [`sealed`] encrypts every row and notices rows that were
//! edited, swapped or put back; [`cache`] keeps decoded records; [`Tx`] is one call's view.
mod backend;
mod cache;
mod embedded;
mod engine;
mod export;
mod file;
mod knowledge;
mod ledger;
mod memory;
mod numbers;
pub mod postgres;
mod record;
mod sealed;
mod sum;
mod tx;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod flip_tests;
#[cfg(test)]
mod prove_tests;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod verify_tests;

pub use backend::{
    Backend, Changed, Changes, Commit, Digest, Feed, Mark, Revision, StoreError, Sum, Witness,
};
pub use embedded::Embedded;
pub use engine::Options;
pub use export::{Export, Exported, Loader, RowCheck, SealedRow};
pub use knowledge::Freshness;
pub use memory::Memory;
pub use record::{Record, row_key};
pub use sealed::{RowKeys, Verify};
pub use tx::{Page, Tx};

use crate::random::Random;
use cache::Cache;
use knowledge::Follower;
use sealed::Sealed;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a record stays in memory that nobody uses, at least.
const UNUSED: Duration = Duration::from_secs(300);

/// The store of one deployment: sealed rows, cached records, transactions.
#[derive(Debug)]
pub struct Store {
    sealed: Sealed,
    cache: Arc<Cache>,
    /// When what nobody had used was let go last, in seconds since 1970.
    tidied: AtomicI64,
    commits: Arc<Commits>,
    /// Where others write too.
    follower: Option<Arc<Follower>>,
    following: Option<AbortHandle>,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// How old the knowledge of what other nodes commit may get.
    pub staleness: Duration,
    pub verify: Verify,
}

impl Default for Opening {
    fn default() -> Self {
        Self { staleness: Duration::from_secs(1), verify: Verify::default() }
    }
}

/// Counts this process's commits, so that a reading transaction can see at a glance that nothing
/// has changed since it began.
#[derive(Debug, Default)]
struct Commits {
    started: AtomicU64,
    finished: AtomicU64,
}

impl Commits {
    fn start(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
    }
    fn finish(&self) {
        self.finished.fetch_add(1, Ordering::SeqCst);
    }
    /// The count, unless a commit is under way.
    fn quiet(&self) -> Option<u64> {
        let finished = self.finished.load(Ordering::SeqCst);
        (self.started.load(Ordering::SeqCst) == finished).then_some(finished)
    }
    fn none_since(&self, began: u64) -> bool {
        began == self.started.load(Ordering::SeqCst)
    }
}

/// A moment at which what is in memory was all of one moment.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    commits: u64,
    /// The number of groups that any read had come upon; 0 where there is one writer only.
    seen: u64,
}

impl Store {
    /// Opens the store and verifies that its rows are the ones it last acknowledged: none missing,
    /// none added, none put back. A store without any state is taken for new only when `new` says so.
    pub async fn open(
        backend: Arc<dyn Backend>,
        keys: Arc<RowKeys>,
        random: Arc<dyn Random>,
        new: bool,
    ) -> Result<Self, StoreError> {
        Self::open_with(backend, keys, random, new, Opening::default()).await
    }

    /// The same, as `opening` says.
    pub async fn open_with(
        backend: Arc<dyn Backend>,
        keys: Arc<RowKeys>,
        random: Arc<dyn Random>,
        new: bool,
        opening: Opening,
    ) -> Result<Self, StoreError> {
        let Opening { staleness, verify } = opening;
        let feed = backend.feed();
        let sealed = Sealed::open(backend, keys, random, new, verify).await?;
        let (cache, commits) = (Arc::new(Cache::default()), Arc::new(Commits::default()));
        let follower = feed
            .map(|feed| Arc::new(Follower::new(feed, cache.clone(), commits.clone(), staleness)));
        let mut following = None;
        if let Some(follower) = &follower {
            follower.catch_up().await?;
            following = Some(tokio::spawn(follower.clone().run()).abort_handle());
        }
        let tidied = AtomicI64::default();
        Ok(Self { sealed, cache, tidied, commits, follower, following })
    }

    /// Begins a transaction: reads see all that was committed before, writes stay inside until
    /// `commit`.
    pub fn begin(&self) -> Tx<'_> {
        self.begin_with(Freshness::Latest)
    }

    /// One whose reads may be as old as `freshness` says. What it writes is checked all the same.
    pub fn begin_with(&self, freshness: Freshness) -> Tx<'_> {
        Tx::new(self, freshness)
    }

    /// How old the knowledge of other nodes' commits is. `None` where there are no others.
    pub fn knowledge_age(&self) -> Option<Duration> {
        self.follower.as_ref().map(|follower| follower.age())
    }

    /// Whether calls can be answered from memory: knowledge is younger than the bound.
    pub fn is_current(&self) -> bool {
        self.follower.as_ref().is_none_or(|follower| follower.is_within_bound())
    }

    fn quiet(&self) -> Option<Quiet> {
        let commits = self.commits.quiet()?;
        let Some(follower) = &self.follower else { return Some(Quiet { commits, seen: 0 }) };
        // Else rows from memory and rows from the database would be of different moments: also among
        // those in memory, where each stays that a call has loaded.
        let seen = follower.seen();
        (follower.applied() == seen).then_some(Quiet { commits, seen })
    }

    fn none_since(&self, began: Option<Quiet>) -> bool {
        began.is_some_and(|began| {
            let seen = self.follower.as_ref().map_or(0, |follower| follower.seen());
            self.commits.none_since(began.commits) && seen == began.seen
        })
    }

    /// Names what is in the store at present, for whoever keeps what was made of it: it is another one
    /// after any commit. None while a commit is under way, or too old knowledge must be renewed first.
    pub fn state_number(&self) -> Option<u64> {
        self.commits.quiet().filter(|_| self.is_current())
    }

    /// Verifies the rows if the store was opened without. Answers whether it was. Where they are not those that
    /// were last acknowledged, this fails with `Corrupt`, and from then on everything.
    pub async fn check_rows(&self) -> Result<bool, StoreError> {
        let checked = self.sealed.check().await;
        match &checked {
            Err(error @ StoreError::Corrupt(_)) => self.distrust(error.clone()),
            // What was read before need not be what was compared.
            Ok(true) => self.forget_all(),
            Ok(false) | Err(_) => {}
        }
        checked
    }

    /// Whether the rows have been compared with what the store says of itself.
    pub fn is_verified(&self) -> bool {
        self.sealed.is_verified()
    }

    /// Nothing is answered from this store any more: everything fails with this.
    pub fn distrust(&self, why: StoreError) {
        self.sealed.distrust(why);
        self.forget_all();
    }

    /// Lets go of records that nobody has used for [`UNUSED`], and twice that at most: opened keys do not stay in
    /// memory because they were used once. For being called now and then; `now` in seconds since 1970.
    pub fn forget_unused(&self, now: i64) {
        // A clock that is set back must not keep them either.
        if now.abs_diff(self.tidied.load(Ordering::Relaxed)) >= UNUSED.as_secs() {
            self.tidied.store(now, Ordering::Relaxed);
            self.cache.forget_unused();
        }
    }

    /// Also what others made of it ([`state_number`](Self::state_number)).
    fn forget_all(&self) {
        self.commits.start();
        self.cache.clear();
        self.commits.finish();
    }

    /// Fails if the store was found to be [not the right one](Self::distrust).
    pub fn trusted(&self) -> Result<(), StoreError> {
        self.sealed.trusted()
    }

    /// Fails if the store has given up writing until it is opened anew.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.sealed.check_writable()
    }

    /// How far the store has come with what it acknowledged here: the highest revision; where others write too
    /// perhaps more, and further with each commit.
    pub fn acknowledged(&self) -> u64 {
        self.sealed.acknowledged()
    }

    /// How far the store has come, whoever wrote. Asks the backend if there are other writers.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.sealed.newest().await
    }

    /// All rows as of now, still sealed, for a backup. Commits go on meanwhile.
    pub fn export(&self) -> Result<Exported, StoreError> {
        self.sealed.export()
    }

    /// Deletes everything. Only `claviger dev` offers it.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.commits.start();
        let outcome = self.sealed.clear().await;
        self.cache.clear();
        self.commits.finish();
        outcome
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}
