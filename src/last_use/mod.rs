//! When each key was last used, and for what: noted in memory by the calls that use keys, written by
//! the background every second, so that no call waits for it. A crash loses the last second's notes,
//! never older ones. (AWS KMS API reference, GetKeyLastUsage.)
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many notes one transaction writes.
const BATCH: usize = 500;

/// The last successful use of a key in its region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUse {
    pub operation: String,
    pub at: Timestamp,
    /// The audit event that tells of it.
    pub event_id: String,
    pub request_id: String,
}

impl Record for LastUse {
    const TABLE: Table = Table::new("last-use");
    const CACHED: bool = false;
}

/// Notes that are not written yet, by region and key id.
#[derive(Debug, Default)]
pub struct LastUses(Mutex<HashMap<(Region, String), LastUse>>);

impl LastUses {
    fn notes(&self) -> MutexGuard<'_, HashMap<(Region, String), LastUse>> {
        // Each change is one insert or remove: the map is whole even if a thread died holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, region: Region, key_id: String, used: LastUse) {
        self.notes().insert((region, key_id), used);
    }

    /// The last use of a key, written or not.
    pub async fn of(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        key_id: &str,
    ) -> Result<Option<LastUse>, StoreError> {
        let noted = self.notes().get(&(region.clone(), key_id.to_owned())).cloned();
        match noted {
            Some(used) => Ok(Some(used)),
            None => {
                let stored = tx.get::<LastUse>(&[region.as_str(), key_id]).await?;
                Ok(stored.map(|used| LastUse::clone(&used)))
            }
        }
    }

    /// Writes what was noted. A note stays in memory until it is written.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let batch: Vec<_> = {
                let notes = self.notes();
                notes.iter().take(BATCH).map(|(key, used)| (key.clone(), used.clone())).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            let mut tx = store.begin();
            for ((region, key_id), used) in &batch {
                tx.put(&[region.as_str(), key_id], used.clone())?;
            }
            tx.commit().await?;
            let mut notes = self.notes();
            for (key, used) in batch {
                // A use that came meanwhile waits for the next round.
                if notes.get(&key) == Some(&used) {
                    notes.remove(&key);
                }
            }
        }
    }

    /// Forgets a key that is destroyed.
    pub fn forget(tx: &mut Tx<'_>, region: &Region, key_id: &str) -> Result<(), StoreError> {
        tx.delete::<LastUse>(&[region.as_str(), key_id])
    }
}
