//! When keys rotate by themselves: a list of them, ordered by time, whose beginning the background
//! looks at.
//!
//! A key that is disabled or on its way out leaves the list when its time comes, so that it keeps no
//! other from its turn. It is put back when it is enabled, and then rotated at once.
use super::Next;
use crate::keys::{Key, KeyError, KeyState, Rotated, RotationType};
use crate::memory::SecretBytes;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{Region, Timestamp};
use serde::{Deserialize, Serialize};

/// A key whose automatic rotation is due at the time that its row key begins with.
#[derive(Debug, Serialize, Deserialize)]
struct Scheduled {
    region: Region,
    id: String,
}
impl Record for Scheduled {
    const TABLE: Table = Table::new("due-rotation");
    const CACHED: bool = false;
}

/// What the list says: since when which key is due.
#[derive(Debug)]
pub struct DueRotation {
    at: String,
    region: Region,
    pub id: String,
}

impl Key {
    /// Puts the key on the list, if it rotates by itself. A multi-Region key is there as its primary.
    pub(in crate::keys) fn schedule_rotation(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        match self.rotation.next {
            Some(next) if !self.is_replica() => {
                let row = Scheduled { region: self.region.clone(), id: self.id.clone() };
                tx.put(&[&next.row_part(), self.region.as_str(), &self.id], row).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(in crate::keys) fn unschedule_rotation(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        match self.rotation.next {
            Some(next) => {
                tx.delete::<Scheduled>(&[&next.row_part(), self.region.as_str(), &self.id])
            }
            None => Ok(()),
        }
    }
}

/// Up to `limit` keys whose rotation is due.
pub async fn due_rotations(
    tx: &Tx<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DueRotation>, KeyError> {
    // Listed by time: the first that is not due ends the search.
    let (page, now) = (tx.list_all::<Scheduled>(limit).await?, now.row_part());
    let due = page.into_iter().map_while(|(parts, row)| {
        let at = parts.into_iter().next().filter(|at| *at <= now)?;
        Some(DueRotation { at, region: row.region.clone(), id: row.id.clone() })
    });
    Ok(due.collect())
}

/// Rotates a key whose time has come, once, however often it was due while nobody looked; the next
/// period begins now. Answers nothing if the key is not in use: it then leaves the list.
pub async fn rotate_due(
    tx: &mut Tx<'_>,
    due: &DueRotation,
    now: Timestamp,
    fresh: impl AsyncFnOnce() -> Result<SecretBytes, KeyError>,
) -> Result<Option<Rotated>, KeyError> {
    // The clock may have been set back since this was found to be due: then it stays on the list.
    if due.at > now.row_part() {
        return Ok(None);
    }
    tx.delete::<Scheduled>(&[&due.at, due.region.as_str(), &due.id])?;
    let mut found = Key::load(tx, &due.region, &due.id).await?;
    // Another region's key may have become the primary one since.
    if let Some(all) = found.as_ref().and_then(|key| key.multi_region.clone()) {
        found = Key::load(tx, &all.primary, &due.id).await?;
    }
    let Some(key) = found else { return Ok(None) };
    let is_due = key.rotation.next.is_some_and(|next| next <= now);
    if !is_due || key.state == KeyState::Disabled || key.state.is_ending() {
        return Ok(None);
    }
    let next = Next::Made(fresh().await?);
    key.unschedule_rotation(tx)?;
    let rotated = key.rotate(tx, RotationType::Automatic, next, now).await?;
    rotated.key.schedule_rotation(tx)?;
    Ok(Some(rotated))
}

#[cfg(test)]
mod tests {
    use crate::types::Timestamp;

    #[test]
    fn times_come_in_the_order_of_their_rows() {
        let mut rows: Vec<_> = [0, 1, 90, 2560, 1_000_000]
            .map(|days| Timestamp::from_secs(1_767_225_600).plus_secs(days * 86_400).row_part())
            .into();
        assert!(rows.is_sorted());
        rows.dedup();
        assert_eq!(rows.len(), 5);
    }
}
