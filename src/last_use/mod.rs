//! When each key was last used, and for what: noted in memory by the calls that use keys, written by
//! the background every second, so that no call waits for it. A crash loses the last second's notes,
//! never older ones. (AWS KMS API reference, GetKeyLastUsage.)
mod access;
mod reads;

pub use access::{Access, Accesses};
pub use reads::{MOST_READERS, Noted, Reader, Reads};

use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{Region, Timestamp};
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

/// Notes that are not written yet, by region and key id.
#[derive(Debug, Default)]
pub struct LastUses {
    keys: Mutex<HashMap<(Region, String), LastUse>>,
    /// The same for access keys and roles.
    pub access: Accesses,
    /// Who read which version of a secret.
    pub reads: Reads,
}

impl LastUses {
    fn notes(&self) -> MutexGuard<'_, HashMap<(Region, String), LastUse>> {
        // Each change is one insert or remove: the map is whole even if a thread died holding it.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, region: Region, key_id: String, used: LastUse) {
        let mut notes = self.notes();
        let last = notes.entry((region, key_id)).or_insert_with(|| used.clone());
        // A slow call ends after a quick one that began later.
        if last.at <= used.at {
            *last = used;
        }
    }

    /// The last use of a key, written or not.
    pub async fn of(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        key_id: &str,
    ) -> Result<Option<LastUse>, StoreError> {
        let noted = self.notes().get(&(region.clone(), key_id.to_owned())).cloned();
        let stored = tx.get::<LastUse>(&[region.as_str(), key_id]).await?;
        let stored = stored.map(|used| LastUse::clone(&used));
        Ok(noted.into_iter().chain(stored).max_by_key(|used| used.at))
    }

    /// Writes what was noted up to now. A note stays in memory until it is written, and what comes
    /// meanwhile waits for the next time: keys in steady use must not keep this from ending.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let noted: Vec<_> = {
            let notes = self.notes();
            notes.iter().map(|(key, used)| (key.clone(), used.clone())).collect()
        };
        for batch in noted.chunks(BATCH) {
            let mut tx = store.begin();
            for ((region, key_id), used) in batch {
                let key = [region.as_str(), key_id];
                if tx.get::<LastUse>(&key).await?.is_none_or(|last| last.at <= used.at) {
                    tx.put(&key, used.clone())?;
                }
            }
            tx.commit().await?;
            let mut notes = self.notes();
            for (key, used) in batch {
                if notes.get(key) == Some(used) {
                    notes.remove(key);
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
