//! Ordered keys and values with optimistic transactions.
//!
//! A [`Backend`] knows how to get, scan and "write all of this if nothing you read has changed".
//! Everything else is built above it once: [`sealed`] encrypts every row and notices rows that were
//! edited, swapped or put back; [`cache`] keeps decoded records; [`Tx`] is one call's view.
mod backend;
mod cache;
mod embedded;
mod engine;
mod file;
mod ledger;
mod memory;
mod record;
mod sealed;
mod tx;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod flip_tests;
#[cfg(test)]
mod suite;

pub use backend::{Backend, Commit, Digest, Revision, StoreError, Witness};
pub use embedded::Embedded;
pub use engine::Options;
pub use memory::Memory;
pub use record::{Record, row_key};
pub use sealed::RowKeys;
pub use tx::{Page, Tx};

use crate::random::Random;
use cache::Cache;
use sealed::Sealed;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The store of one deployment: sealed rows, cached records, transactions.
#[derive(Debug)]
pub struct Store {
    sealed: Sealed,
    cache: Cache,
    commits: Commits,
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
    fn none_since(&self, began: Option<u64>) -> bool {
        began == Some(self.started.load(Ordering::SeqCst))
    }
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
        let sealed = Sealed::open(backend, keys, random, new).await?;
        Ok(Self { sealed, cache: Cache::default(), commits: Commits::default() })
    }

    /// Begins a transaction: reads see what is committed, writes stay inside until `commit`.
    pub fn begin(&self) -> Tx<'_> {
        Tx::new(self, self.commits.quiet())
    }

    /// The highest revision that this store has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.sealed.acknowledged()
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
