//! When each key was last used, and for what: noted in memory by the calls that use keys, written by
//! the background every second, so that no call waits for it. A crash loses the last second's notes,
//! never older ones. (AWS KMS API reference, GetKeyLastUsage.)
mod access;
mod reads;

pub use access::{Access, Accesses};
pub use reads::{MOST_READERS, Noted, Reader, Reads};

use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many notes one transaction writes.
const BATCH: usize = 500;

/// The last successful use of a key in its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    pub operation: SmolStr,
    pub at: Timestamp,
    /// The audit event that tells of it.
    pub event_id: SmolStr,
    pub request_id: SmolStr,
}

impl Record for LastUse {
    const TABLE: Table = Table::new("last-use");
    const CACHED: bool = false;
}

/// The keys of one region, by their ids.
type OfRegion = HashMap<String, LastUse>;

/// Notes that are not written yet, by region. Looked up by what the call has at hand: noting a key
/// again allocates nothing.
#[derive(Debug, Default)]
pub struct LastUses {
    keys: Mutex<HashMap<String, OfRegion>>,
    /// The same for access keys and roles.
    pub access: Accesses,
    /// Who read which version of a secret.
    pub reads: Reads,
}

impl LastUses {
    fn notes(&self) -> MutexGuard<'_, HashMap<String, OfRegion>> {
        // Each change is one insert or remove: the map is whole even if a thread died holding it.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a use of the key of this ARN. Of what is no key nothing is noted.
    pub fn note(&self, key: &Arn, used: LastUse) {
        let (region, Some(id)) = (key.region(), key.resource().strip_prefix("key/")) else {
            return;
        };
        let mut notes = self.notes();
        match notes.get_mut(region).and_then(|of| of.get_mut(id)) {
            // A slow call ends after a quick one that began later.
            Some(last) if last.at <= used.at => *last = used,
            Some(_) => {}
            None => {
                let of_region = notes.entry(region.to_owned()).or_default();
                of_region.insert(id.to_owned(), used);
            }
        }
    }

    /// The last use of a key, written or not.
    pub async fn of(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        key_id: &str,
    ) -> Result<Option<LastUse>, StoreError> {
        let noted = self.notes().get(region.as_str()).and_then(|of| of.get(key_id)).cloned();
        let stored = tx.get::<LastUse>(&[region.as_str(), key_id]).await?;
        let stored = stored.map(|used| LastUse::clone(&used));
        Ok(noted.into_iter().chain(stored).max_by_key(|used| used.at))
    }

    /// Writes what was noted up to now. A note stays in memory until it is written, and what comes
    /// meanwhile waits for the next time: keys in steady use must not keep this from ending.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let noted: Vec<(String, String, LastUse)> = {
            let notes = self.notes();
            let all = notes.iter().flat_map(|(region, of)| of.iter().map(move |one| (region, one)));
            all.map(|(region, (id, used))| (region.clone(), id.clone(), used.clone())).collect()
        };
        for batch in noted.chunks(BATCH) {
            let mut tx = store.begin();
            for (region, id, used) in batch {
                let key = [region.as_str(), id];
                if tx.get::<LastUse>(&key).await?.is_none_or(|last| last.at <= used.at) {
                    tx.put(&key, used.clone())?;
                }
            }
            tx.commit().await?;
            let mut notes = self.notes();
            for (region, id, used) in batch {
                let Some(of_region) = notes.get_mut(region) else { continue };
                if of_region.get(id) == Some(used) {
                    of_region.remove(id);
                }
            }
        }
        self.access.write(store, BATCH).await
    }

    /// Forgets an access key or a role that is deleted.
    pub fn forget_access(tx: &mut Tx<'_>, id: &str) -> Result<(), StoreError> {
        tx.delete::<Access>(&[id])
    }

    /// Forgets a key that is destroyed.
    pub fn forget(tx: &mut Tx<'_>, region: &Region, key_id: &str) -> Result<(), StoreError> {
        tx.delete::<LastUse>(&[region.as_str(), key_id])
    }
}
