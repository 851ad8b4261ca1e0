//! Signing keys of the day, so that a request costs one HMAC instead of five.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use super::claim::Claim;
use super::key::SigningKey;

/// Signing keys kept at most. One is about 300 bytes; one access key has one per day, region and
/// service it uses.
const CAPACITY: usize = 16_384;

/// Locks, so that inserting one key does not hold up all readers.
const SHARDS: usize = 16;

/// A bounded store of derived keys. Keys are wiped when they leave it.
///
/// The revision is the secret's: a changed or newly given secret has another one and never hits an
/// old key. Ask only after [`super::check_scope_and_time`], and have only what is of one of our own
/// regions kept, or strangers choose what is stored: a claim is not proved yet when its key is asked for.
pub struct SigningKeyCache {
    shards: [RwLock<HashMap<u64, Arc<Entry>>>; SHARDS],
    hasher: RandomState,
    capacity: usize,
}

struct Entry {
    /// `keyid/date/region/service/term`.
    credential: Box<str>,
    revision: u64,
    key: SigningKey,
}

/// A signing key out of the cache; wiped when its last holder lets go.
#[derive(Clone)]
pub struct CachedKey(Arc<Entry>);

impl std::ops::Deref for CachedKey {
    type Target = SigningKey;

    fn deref(&self) -> &SigningKey {
        &self.0.key
    }
}

impl fmt::Debug for CachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedKey(…)")
    }
}

impl SigningKeyCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), capacity }
    }

    /// The signing key for the claim's access key and scope; `secret` is asked only if it must be
    /// derived. `keep`: whether it is kept then.
    pub fn key<S: AsRef<str>>(
        &self,
        claim: &Claim<'_>,
        revision: u64,
        secret: impl FnOnce() -> S,
        keep: bool,
    ) -> CachedKey {
        let credential: &str = &claim.credential;
        let (hash, found) = self.find(credential, revision);
        // The hash is keyed with a secret of ours, but equality is still looked at, not assumed.
        if let Some(entry) = found
            && entry.revision == revision
            && *entry.credential == *credential
        {
            return CachedKey(entry);
        }
        let scope = claim.scope();
        let key = SigningKey::derive(secret().as_ref(), scope.date, scope.region, scope.service);
        let entry = Arc::new(Entry { credential: credential.into(), revision, key });
        if !keep {
            return CachedKey(entry);
        }
        let mut map = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        // Dropping all costs each key one derivation, and needs no bookkeeping on the hot path.
        if map.len() >= self.capacity / SHARDS {
            map.clear();
        }
        map.insert(hash, Arc::clone(&entry));
        CachedKey(entry)
    }

    /// The key of a credential that had one before, if it is still kept: a stand-in for the key of a
    /// claim that is nobody's.
    pub fn kept(&self, credential: &str, revision: u64) -> Option<CachedKey> {
        let (_, found) = self.find(credential, revision);
        let fits =
            |entry: &Arc<Entry>| entry.revision == revision && *entry.credential == *credential;
        found.filter(fits).map(CachedKey)
    }

    fn find(&self, credential: &str, revision: u64) -> (u64, Option<Arc<Entry>>) {
        let hash = self.hasher.hash_one((credential, revision));
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        (hash, shard.get(&hash).cloned())
    }

    /// Forgets every key, for example when the server is locked.
    pub fn clear(&self) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<HashMap<_, _>>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.shards.iter().map(len).sum()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    fn shard(&self, hash: u64) -> &RwLock<HashMap<u64, Arc<Entry>>> {
        &self.shards[(hash % SHARDS as u64) as usize]
    }
}

impl Default for SigningKeyCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SigningKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyCache").field("len", &self.len()).finish_non_exhaustive()
    }
}
