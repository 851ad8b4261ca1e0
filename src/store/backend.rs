//! What every store backend offers. One suite (`suite.rs`) holds all of them to it.
use super::export::Export;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{AddAssign, Range, SubAssign};
use std::sync::Arc;

/// Identifies one commit.
///
/// Reserved by the caller before it seals its rows (the revision is in their associated data); a
/// row carries the revision of the commit that wrote it. 0 = absent, so no commit may use it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub struct Revision(pub u64);

/// All of `write`, if nothing in `read` has changed. `None` deletes the row.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub revision: Revision,
    pub read: BTreeMap<Bytes, Revision>,
    pub write: BTreeMap<Bytes, Option<Bytes>>,
    pub delta: Digest,
}

/// A running digest over all rows: four lanes, each added with wrap-around. Opaque to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Digest(pub [u64; 4]);

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        for (lane, more) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(more);
        }
    }
}

impl SubAssign for Digest {
    fn sub_assign(&mut self, other: Self) {
        for (lane, less) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_sub(less);
        }
    }
}

/// What a row adds to the sum over all of them, by its key and revision.
pub type Mark = Arc<dyn Fn(&[u8], Revision) -> Digest + Send + Sync>;

/// All rows of one moment, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub digest: Digest,
    pub rows: u64,
    /// The state bytes of that moment.
    pub state: Option<Bytes>,
}

/// Turns the running digest into the bytes stored beside the rows.
///
/// Sealed by the caller's key: the backend must be able neither to read nor to forge it. Two
/// seals must differ (a fresh nonce), because the embedded backend tells by them whether a
/// commit of unknown outcome was applied.
pub trait Witness: Send + Sync + Debug {
    fn seal(&self, digest: Digest, last: Revision) -> Bytes;

    /// What was sealed. A backend with several writers adds to what another one left.
    fn open(&self, state: &[u8]) -> Result<(Digest, Revision), StoreError>;
}

/// What was committed since some moment, by whomever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// How many groups of commits there are by now.
    pub sequence: u64,
    pub what: Changed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The keys of all groups that came in between.
    Keys(Vec<Bytes>),
    /// It is no longer known what came in between.
    Everything,
}

/// What a backend with several writers tells of their commits.
#[async_trait::async_trait]
pub trait Feed: Debug + Send + Sync {
    /// All groups after the one numbered `after`, at least those that were committed when the call
    /// began. `Corrupt` if there are fewer groups than that.
    async fn since(&self, after: u64) -> Result<Changes, StoreError>;

    /// The group that comes next after `after`, if this process has just committed it: known without
    /// asking.
    fn own(&self, after: u64) -> Option<Changes>;

    /// Waits until the backend says that there may be something new. May say it too often or never.
    async fn changed(&self);

    /// The highest sequence that any read of this process has come upon.
    fn seen(&self) -> u64;
}

#[async_trait::async_trait]
pub trait Backend: Debug + Send + Sync {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError>;

    /// Up to `limit` rows of `range`, in key order.
    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError>;

    /// All writes or none: `Conflict` if anything in `read` has changed since (absent =
    /// `Revision(0)`). Durable when it returns `Ok`. Dropping the future does not take it back.
    async fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// The state bytes last written with a commit (`None` in a new store).
    async fn state(&self) -> Result<Option<Bytes>, StoreError>;

    /// From now on every group of commits also stores
    /// `witness.seal(start + Σ delta of the applied commits, highest revision)` in the same
    /// durable write; where several write, one more than before it if that is higher. No commit may be under way.
    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision);

    /// Sums up all rows (start-up verification), off the async threads, as of one moment. Marks are asked for in
    /// any order, and several at a time where that is quicker.
    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError>;

    /// All rows with their values and the state, of one moment, for a backup. A store that has tools
    /// of its own for that refuses.
    fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        let text = "this store is backed up by the tools of its database";
        Err(StoreError::Unavailable(text.into()))
    }

    /// Deletes every row and takes the digest back to zero (development reset), durably. The
    /// highest revision stays, so that none is ever used twice.
    async fn clear(&self) -> Result<(), StoreError>;

    /// The revisions of these rows, in their order (absent = `Revision(0)`). A backend that is far away
    /// answers them together.
    async fn revisions(&self, keys: &[&[u8]]) -> Result<Vec<Revision>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            found.push(self.get(key).await?.map_or(Revision(0), |(revision, _)| revision));
        }
        Ok(found)
    }

    /// Which of several writers this is: revisions of different slots never meet. `None` if there is
    /// one writer only.
    fn slot(&self) -> Option<u16> {
        None
    }

    /// How far the state was at the last commit of this process: where others write too, that is further with
    /// each group, whatever its revisions. Zero before the first one, and where there is one writer only.
    fn reached(&self) -> Revision {
        Revision(0)
    }

    /// `ReadOnly` if it is known beforehand that every commit would be refused until a restart.
    fn check_writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// `None` if every commit goes through this process.
    fn feed(&self) -> Option<Arc<dyn Feed>> {
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Someone else wrote first. The pipeline runs the call again.
    #[error("conflict")]
    Conflict,
    /// Nothing was written. Reads go on, and writes do when there is space again.
    #[error("no space left for the store: {0}")]
    Full(String),
    /// A commit that ends so may or may not have been applied; it was never acknowledged.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The store cannot be looked for with these settings.
    #[error("{0}")]
    Settings(String),
    /// What is stored cannot be read, or the engine broke over it.
    #[error("store corrupt: {0}")]
    Corrupt(String),
    /// The store refuses every further write until it is opened anew.
    #[error("store refuses writes: {0}")]
    ReadOnly(String),
}
