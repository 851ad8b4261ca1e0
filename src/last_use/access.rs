//! When each access key last signed a request, and when each role last acted: noted in memory by the
//! front for every request whose signature holds. AWS tells it to the hour or so, and here a row is
//! written anew at most once a minute: a crash loses a minute at most.
use crate::identity;
use crate::seal::Table;
use crate::store::{Record, Store, StoreError, Tx};
use crate::types::{Region, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

const WRITE_EVERY_SECONDS: i64 = 60;

/// The last request of an access key, or of any session of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub at: Timestamp,
    pub region: Region,
    /// As signatures name it: `kms`.
    pub service: SmolStr,
}

impl Record for Access {
    const TABLE: Table = Table::new("last-access");
    const CACHED: bool = false;
}

#[derive(Debug)]
struct Note {
    used: Access,
    /// What moment the row tells of; none if it was not written since the start.
    written: Option<Timestamp>,
}

impl Note {
    fn is_due(&self) -> bool {
        self.written.is_none_or(|at| self.used.at.secs() - at.secs() >= WRITE_EVERY_SECONDS)
    }
}

/// By id of the access key or of the role. Only those that exist are noted, so there are no more
/// notes than keys and roles. (One that is deleted while its last request is under way may be noted
/// after that; it is not written.)
#[derive(Debug, Default)]
pub struct Accesses(Mutex<HashMap<String, Note>>);

impl Accesses {
    fn notes(&self) -> MutexGuard<'_, HashMap<String, Note>> {
        // Each change is one insert or remove: the map is whole even if a thread died holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note(&self, id: &str, used: Access) {
        let mut notes = self.notes();
        match notes.get_mut(id) {
            Some(note) => note.used = used,
            None => {
                notes.insert(id.to_owned(), Note { used, written: None });
            }
        }
    }

    pub async fn of(&self, tx: &mut Tx<'_>, id: &str) -> Result<Option<Access>, StoreError> {
        let noted = self.notes().get(id).map(|note| note.used.clone());
        match noted {
            Some(used) => Ok(Some(used)),
            None => Ok(tx.get::<Access>(&[id]).await?.map(|used| Access::clone(&used))),
        }
    }

    /// Writes the notes that are due, `most` at a time.
    pub(super) async fn write(&self, store: &Store, most: usize) -> Result<(), StoreError> {
        loop {
            let batch: Vec<(String, Access)> = {
                let notes = self.notes();
                let due = notes.iter().filter(|(_, note)| note.is_due());
                due.take(most).map(|(id, note)| (id.clone(), note.used.clone())).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            let mut tx = store.begin();
            let mut gone = BTreeSet::new();
            for (id, used) in &batch {
                // Read by this transaction: what is deleted meanwhile makes it conflict.
                if identity::can_sign(&mut tx, id).await? {
                    tx.put(&[id], used.clone())?;
                } else {
                    gone.insert(id.clone());
                }
            }
            if !tx.is_read_only() {
                tx.commit().await?;
            }
            let mut notes = self.notes();
            for (id, used) in batch {
                if gone.contains(&id) {
                    notes.remove(&id);
                } else if let Some(note) = notes.get_mut(&id) {
                    note.written = Some(used.at);
                }
            }
        }
    }

    /// Drops the note of what is deleted. Its row goes with [`super::LastUses::forget_access`].
    pub fn drop_note(&self, id: &str) {
        self.notes().remove(id);
    }
}
