//! Decoded records of the newest revision, so that a hot call neither opens nor parses a row.
//!
//! Right for one process that owns its store: every commit forgets what it wrote before it is
//! acknowledged, and a reader that loaded a row while a commit overtook it may not remember it.
use super::Revision;
use bytes::Bytes;
use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shards keep readers of different rows from waiting for one another.
const SHARDS: usize = 64;
/// Two generations of this many records in each shard: at most 32 768 records in all.
const RECORDS_PER_GENERATION: usize = 256;
/// Rows that can be opened once at a time; those that share a place wait for one another.
const OPENINGS: usize = 256;
/// How long somebody waits for another one to open a row: to read one takes a thousandth of that.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) type Cached = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
struct Shard {
    /// Grows when a row of this shard is written: what was read before may be out of date.
    writes: u64,
    young: HashMap<Bytes, (Revision, Cached)>,
    old: HashMap<Bytes, (Revision, Cached)>,
}

/// What a reader must show to remember a row: no write has come between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    openings: Vec<tokio::sync::Mutex<()>>,
    hasher: RandomState,
}

impl Default for Cache {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let openings = (0..OPENINGS).map(|_| tokio::sync::Mutex::default()).collect();
        Self { shards, openings, hasher: RandomState::new() }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(..)")
    }
}

impl Cache {
    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        self.shards[self.place(key, SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of so many.
    fn place(&self, key: &[u8], of: usize) -> usize {
        usize::try_from(self.hasher.hash_one(key) % of as u64).unwrap_or(0)
    }

    /// The turn to open a row. Whoever had to wait for it looks here again first. None after
    /// [`PATIENCE`]: then the store cannot be read, and many would stand in line for the same failure.
    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of openings")]
    pub(super) async fn opening(&self, key: &[u8]) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let opening = &self.openings[self.place(key, OPENINGS)];
        match opening.try_lock() {
            Ok(turn) => Some(turn),
            Err(_) => tokio::time::timeout(PATIENCE, opening.lock()).await.ok(),
        }
    }

    /// The record, or the ticket with which a reader that loads it may remember it.
    pub(super) fn find(&self, key: &[u8]) -> Result<(Revision, Cached), Ticket> {
        let mut shard = self.shard(key);
        if let Some(found) = shard.young.get(key) {
            return Ok(found.clone());
        }
        match shard.old.remove_entry(key) {
            Some((key, found)) => {
                shard.remember(key, found.clone());
                Ok(found)
            }
            None => Err(Ticket(shard.writes)),
        }
    }

    pub(super) fn remember(&self, key: &Bytes, ticket: Ticket, revision: Revision, value: Cached) {
        let mut shard = self.shard(key);
        if shard.writes == ticket.0 {
            shard.remember(key.clone(), (revision, value));
        }
    }

    /// The revision of the record that is kept under this key.
    pub(super) fn revision(&self, key: &[u8]) -> Option<Revision> {
        let shard = self.shard(key);
        shard.young.get(key).or_else(|| shard.old.get(key)).map(|(revision, _)| *revision)
    }

    pub(super) fn forget(&self, key: &[u8]) {
        let mut shard = self.shard(key);
        shard.writes += 1;
        shard.young.remove(key);
        shard.old.remove(key);
    }

    /// Lets go what nobody asked for since this was called last.
    pub(super) fn forget_unused(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let unused = std::mem::take(&mut shard.young);
            shard.old = unused;
        }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            *shard = Shard { writes: shard.writes + 1, ..Shard::default() };
        }
    }
}

impl Shard {
    /// A full generation becomes the old one and the old one goes: what is used stays.
    fn remember(&mut self, key: Bytes, found: (Revision, Cached)) {
        if self.young.len() >= RECORDS_PER_GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Bytes {
        format!("row{n}").into()
    }

    #[test]
    fn a_reader_overtaken_by_a_write_may_not_remember() {
        let cache = Cache::default();
        let Err(ticket) = cache.find(b"row1") else { panic!("nothing is cached yet") };
        cache.forget(b"row1");
        cache.remember(&key(1), ticket, Revision(1), Arc::new(1));
        let Err(ticket) = cache.find(b"row1") else { panic!("the stale row was remembered") };
        cache.remember(&key(1), ticket, Revision(2), Arc::new(2));
        assert_eq!(cache.find(b"row1").unwrap().0, Revision(2));
        cache.forget(b"row1");
        assert!(cache.find(b"row1").is_err());
    }

    #[test]
    fn what_nobody_uses_is_let_go() {
        let cache = Cache::default();
        for n in [1, 2] {
            let Err(ticket) = cache.find(&key(n)) else { panic!("nothing is cached yet") };
            cache.remember(&key(n), ticket, Revision(1), Arc::new(n));
        }
        for _ in 0..3 {
            cache.forget_unused();
            assert!(cache.find(b"row1").is_ok(), "it was used meanwhile");
        }
        assert!(cache.find(b"row2").is_err());
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let cache = Cache::default();
        for n in 0..100_000 {
            if let Err(ticket) = cache.find(&key(n)) {
                cache.remember(&key(n), ticket, Revision(1), Arc::new(n));
            }
            assert!(n < 50 || cache.find(b"row7").is_ok(), "row7 was used and lost at {n}");
        }
        let held: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(held <= SHARDS * 2 * RECORDS_PER_GENERATION, "{held}");
    }
}
