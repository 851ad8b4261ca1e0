//! Token buckets in memory, one for each account, region and quota, and one for all unsigned requests. A bucket holds a second's worth
//! of requests, and at least one. What is stored is not tokens but the time until the bucket is full
//! again: it ages by itself, so nothing has to refill it.
use super::{Quota, Rate};
use crate::clock::Clock;
use crate::types::{AccountId, Region, Timestamp};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
/// Calls of different accounts seldom wait for the same lock.
const SHARDS: usize = 16;
/// Buckets of a shard: all shards together take some 15 MB at most.
const BUCKETS_PER_SHARD: usize = 4096;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// None for requests that nobody signed: the account that they name is the sender's choice.
    pub account: Option<AccountId>,
    pub region: Region,
    pub quota: Quota,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The time that must pass until it is full.
    debt_ns: u64,
    /// When that was so.
    seen: Timestamp,
}

impl Bucket {
    /// Lets time pass. A clock that was set back adds nothing and takes nothing away: counting
    /// goes on from the time it shows.
    fn age(&mut self, now: Timestamp) {
        let passed_ms = u64::try_from(now.0.saturating_sub(self.seen.0)).unwrap_or(0);
        self.debt_ns = self.debt_ns.saturating_sub(passed_ms.saturating_mul(NS_PER_MS));
        self.seen = now;
    }

    fn take(&mut self, rate: Rate, requests: u32) -> bool {
        let cost = rate.interval_ns.saturating_mul(requests.into());
        let after = self.debt_ns.saturating_add(cost);
        // A full bucket always has enough for one call, whatever that counts for.
        let fits = after <= cost.max(NS_PER_SECOND);
        if fits {
            self.debt_ns = after;
        }
        fits
    }
}

#[derive(Debug, Default)]
pub(super) struct Buckets {
    shards: [Mutex<HashMap<Key, Bucket>>; SHARDS],
    hasher: RandomState,
}

impl Buckets {
    /// Whether there is room for so many requests; if so, takes it.
    pub fn take(&self, key: Key, rate: Rate, requests: u32, clock: &dyn Clock) -> bool {
        let mut shard = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that time does not run backwards from one taker to the next.
        let now = clock.now();
        if shard.len() >= BUCKETS_PER_SHARD && !shard.contains_key(&key) {
            make_room(&mut shard, now);
        }
        let bucket = shard.entry(key).or_insert(Bucket { debt_ns: 0, seen: now });
        bucket.age(now);
        bucket.take(rate, requests)
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder is below what divides")]
    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Bucket>> {
        #[expect(clippy::cast_possible_truncation, reason = "any of its bits will do")]
        let hash = self.hasher.hash_one(key) as usize;
        &self.shards[hash % SHARDS]
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// Forgets the buckets that are full, which is as good as having none. If that is not many, all of
/// them: some accounts then have a second's worth too much, but nobody has too little, and a search
/// like this one stays rare.
fn make_room(shard: &mut HashMap<Key, Bucket>, now: Timestamp) {
    shard.retain(|_, bucket| {
        bucket.age(now);
        bucket.debt_ns > 0
    });
    if shard.len() > BUCKETS_PER_SHARD / 2 {
        shard.clear();
    }
}
