//! When imports end: one row for each wrapping key and each expiring material, in the order of time.
use super::super::{Key, KeyError, KeyMaterial};
use super::{material, wrapping};
use crate::seal::Table;
use crate::store::{Record, Tx};
use crate::types::{Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A wrapping key or a material that ends at `at`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueImport {
    at: Timestamp,
    region: Region,
    key_id: String,
    /// A material's id or a wrapping key's.
    name: String,
}

impl Record for DueImport {
    const TABLE: Table = Table::new("due-import");
    const CACHED: bool = false;
}

impl DueImport {
    pub fn region(&self) -> &Region {
        &self.region
    }
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

/// What was done about a row that was due.
#[derive(Debug)]
pub enum Expired {
    /// Material was deleted from this key: its id follows.
    Material(Arc<Key>, String),
    /// A wrapping key is gone, or there was nothing left to do.
    Other,
}

pub(super) fn plan(tx: &mut Tx<'_>, key: &Key, at: Timestamp, name: &str) -> Result<(), KeyError> {
    let (region, key_id) = (key.region.clone(), key.id.clone());
    let due = DueImport { at, region, key_id, name: name.to_owned() };
    tx.put(&[&at.row_part(), key.region.as_str(), &key.id, name], due)?;
    Ok(())
}

pub(super) fn cancel(
    tx: &mut Tx<'_>,
    key: &Key,
    at: Timestamp,
    name: &str,
) -> Result<(), KeyError> {
    let at = at.row_part();
    tx.delete::<DueImport>(&[&at, key.region.as_str(), &key.id, name])?;
    Ok(())
}

/// Up to `limit` imports that have ended.
pub async fn due(
    tx: &Tx<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Arc<DueImport>>, KeyError> {
    // Listed by time: the first that is not due ends the search.
    let page = tx.list_all::<DueImport>(limit).await?;
    Ok(page.into_iter().map(|(_, due)| due).take_while(|due| due.at <= now).collect())
}

/// Ends what is due: a wrapping key, or material that has expired by now.
pub async fn expire(tx: &mut Tx<'_>, due: &DueImport, now: Timestamp) -> Result<Expired, KeyError> {
    // The clock may have been set back since this was found to be due: then it stays on the list.
    if due.at > now {
        return Ok(Expired::Other);
    }
    let at = due.at.row_part();
    tx.delete::<DueImport>(&[&at, due.region.as_str(), &due.key_id, &due.name])?;
    let Some(key) = Key::load(tx, &due.region, &due.key_id).await? else {
        return Ok(Expired::Other);
    };
    let ended =
        |m: &KeyMaterial| m.id == due.name && m.present && m.valid_to.is_some_and(|end| end <= now);
    if key.materials.iter().any(ended) {
        material::forget(tx, &key, &due.name).await?;
        return Ok(Expired::Material(key, due.name.clone()));
    }
    wrapping::drop_expired(tx, &key, now).await?;
    Ok(Expired::Other)
}
