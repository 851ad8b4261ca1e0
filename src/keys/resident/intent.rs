//! What was begun in a device: written before an object is made, gone with the commit that makes it a
//! key. One that stays is of a call that failed or was cut short: its object is destroyed.
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{AccountId, Region, Timestamp};
use claviger_hsm::ResidentId;
use serde::{Deserialize, Serialize};

/// How long a key may be in the making: longer than a device is given to make one.
const GRACE_SECONDS: i64 = 900;

/// Kept by the time from which on it is to be cleared away, and the key's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    pub account: AccountId,
    pub region: Region,
    pub cluster: String,
    pub object: ResidentId,
    /// Its object is being destroyed: the call that wrote it can no longer make a key of it.
    pub condemned: bool,
}

impl Record for Intent {
    const TABLE: Table = Table::new("resident-intent");
    const CACHED: bool = false;
}

/// Names an intent.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Begun {
    due: String,
    key_id: String,
}

impl Begun {
    /// Writes an intent, durably: nothing is made in a device before.
    pub(super) async fn write(
        store: &Store,
        key_id: &str,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let due = now.plus_secs(GRACE_SECONDS).row_part();
        let mut tx = store.begin();
        tx.put(&[&due, key_id], intent)?;
        tx.commit().await?;
        Ok(Self { due, key_id: key_id.to_owned() })
    }

    /// Takes the intent away in the transaction that makes the key. If its object is being destroyed
    /// already, the call runs again, with another one.
    pub(in crate::keys) async fn fulfil(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let row = [self.due.as_str(), self.key_id.as_str()];
        match tx.get::<Intent>(&row).await? {
            Some(intent) if !intent.condemned => tx.delete::<Intent>(&row),
            _ => Err(StoreError::Conflict),
        }
    }
}

/// An object that no key came of.
#[derive(Clone, Debug)]
pub struct Unfinished {
    begun: Begun,
    pub account: AccountId,
    pub region: Region,
    pub cluster: String,
    pub object: ResidentId,
}

impl Unfinished {
    pub fn key_id(&self) -> &str {
        &self.begun.key_id
    }
}

/// Up to `limit` of those whose time is over.
pub async fn unfinished(
    tx: &Tx<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Unfinished>, StoreError> {
    let now = now.row_part();
    let mut found = Vec::new();
    for (parts, intent) in tx.list_all::<Intent>(limit).await? {
        let [due, key_id] = parts.as_slice() else { continue };
        // Listed by time: the first that is not due ends the search.
        if *due > now {
            break;
        }
        found.push(Unfinished {
            begun: Begun { due: due.clone(), key_id: key_id.clone() },
            account: intent.account.clone(),
            region: intent.region.clone(),
            cluster: intent.cluster.clone(),
            object: intent.object.clone(),
        });
    }
    Ok(found)
}

impl Unfinished {
    /// Sees to it that no key can come of the object any more. False if one has meanwhile.
    pub async fn condemn(&self, store: &Store) -> Result<bool, StoreError> {
        let mut tx = store.begin();
        let row = [self.begun.due.as_str(), self.begun.key_id.as_str()];
        let Some(intent) = tx.get::<Intent>(&row).await? else { return Ok(false) };
        if !intent.condemned {
            tx.put(&row, Intent { condemned: true, ..Intent::clone(&intent) })?;
            tx.commit().await?;
        }
        Ok(true)
    }
}

/// Forgets the intent of an object that is destroyed.
pub fn clear(tx: &mut Tx<'_>, gone: &Unfinished) -> Result<(), StoreError> {
    tx.delete::<Intent>(&[&gone.begun.due, &gone.begun.key_id])
}

/// Leaves it for later, as its device cannot be asked now.
pub async fn postpone(
    store: &Store,
    waiting: &Unfinished,
    seconds: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut tx = store.begin();
    let row = [waiting.begun.due.as_str(), waiting.begun.key_id.as_str()];
    if let Some(intent) = tx.get::<Intent>(&row).await? {
        tx.delete::<Intent>(&row)?;
        let later = now.plus_secs(seconds).row_part();
        tx.put(&[&later, &waiting.begun.key_id], Intent::clone(&intent))?;
        tx.commit().await?;
    }
    Ok(())
}
