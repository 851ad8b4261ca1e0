//! Who the access keys in use stand for, as it was found last.
//!
//! A caller is gathered from some ten records: the key's owner, its groups, all their policies. That is
//! kept with the number of the store's state in which it was gathered, and good in that state only. So
//! nothing has to be told that a policy has changed: any commit makes everything kept here worthless.
use super::Credentials;
use crate::authorize::Caller;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shards keep callers from waiting for one another.
const SHARDS: usize = 16;
/// One that is full is emptied: whoever is in use comes back at once.
const CALLERS_PER_SHARD: usize = 256;

#[derive(Debug)]
struct Kept {
    /// Tells two keys of one id apart.
    revision: u64,
    state: u64,
    caller: Arc<Caller>,
}

/// By access key id. Sessions are not kept: they end by themselves.
#[derive(Debug, Default)]
pub struct Callers([Mutex<HashMap<String, Kept>>; SHARDS]);

impl Callers {
    /// Whom the credentials stand for in this state of the store, if that is kept. None is kept of a
    /// state that is just changing.
    pub fn kept(&self, known: &Credentials, state: Option<u64>) -> Option<Arc<Caller>> {
        let shard = self.shard(known.long_term()?)?;
        let kept = shard.get(known.long_term()?)?;
        let same = Some(kept.state) == state && kept.revision == known.revision;
        same.then(|| kept.caller.clone())
    }

    /// `state`: from before the caller was gathered.
    pub fn keep(&self, known: &Credentials, state: Option<u64>, caller: &Arc<Caller>) {
        let (Some(id), Some(state)) = (known.long_term(), state) else { return };
        let Some(mut shard) = self.shard(id) else { return };
        if shard.len() >= CALLERS_PER_SHARD && !shard.contains_key(id) {
            shard.clear();
        }
        let kept = Kept { revision: known.revision, state, caller: caller.clone() };
        match shard.get_mut(id) {
            Some(there) => *there = kept,
            None => drop(shard.insert(id.to_owned(), kept)),
        }
    }

    /// By the id's last letter, which is random.
    fn shard(&self, id: &str) -> Option<MutexGuard<'_, HashMap<String, Kept>>> {
        let last = id.bytes().next_back().map_or(0, usize::from);
        let shard = self.0.get(last % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
