//! Which secrets' windows have come: a row for each secret that has a window, ordered by when it
//! begins. The row is kept with the secret, in whatever transaction writes it.
use super::watch::expected;
use crate::seal::Table;
use crate::secrets::Secret;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A secret whose window begins at the time its row key begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueRotation {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
    pub at: Timestamp,
}

impl Record for DueRotation {
    const TABLE: Table = Table::new("due-secret-rotation");
    const CACHED: bool = false;
}

impl DueRotation {
    fn put(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (at, row) = (self.at.row_part(), self.clone());
        tx.put(&row.key(&at), self).map(drop)
    }

    /// Removes a row that no secret stands behind.
    pub(super) fn delete(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.delete::<Self>(&self.key(&self.at.row_part()))
    }

    fn key<'a>(&'a self, at: &'a str) -> [&'a str; 4] {
        [at, self.account.as_str(), self.region.as_str(), &self.name]
    }
}

fn row(secret: &Secret, at: Timestamp) -> DueRotation {
    let (account, region) = (secret.account.clone(), secret.region.clone());
    DueRotation { account, region, name: secret.name.clone(), at }
}

/// When the scheduler is to look at the secret, if it is.
fn wanted(secret: &Secret) -> Option<Timestamp> {
    expected(secret)?.window.map(|(begin, _)| begin)
}

/// Puts the secret's row where its window is. Called for whatever writes a secret.
pub(in crate::secrets) fn keep(tx: &mut Tx<'_>, secret: &mut Secret) -> Result<(), StoreError> {
    let wanted = wanted(secret);
    let Some(indexed) = secret.rotation.as_ref().map(|rotation| rotation.indexed) else {
        return Ok(());
    };
    if indexed == wanted {
        return Ok(());
    }
    if let Some(at) = indexed {
        row(secret, at).delete(tx)?;
    }
    if let Some(at) = wanted {
        row(secret, at).put(tx)?;
    }
    if let Some(rotation) = &mut secret.rotation {
        rotation.indexed = wanted;
    }
    Ok(())
}

/// Removes the row of a secret that is destroyed.
pub(super) fn forget(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), StoreError> {
    match secret.rotation.as_ref().and_then(|rotation| rotation.indexed) {
        Some(at) => row(secret, at).delete(tx),
        None => Ok(()),
    }
}

/// Up to `limit` secrets whose window has come, the earliest first, from the one after `after` on.
pub async fn due(
    tx: &Tx<'_>,
    now: Timestamp,
    after: Option<&DueRotation>,
    limit: usize,
) -> Result<Vec<Arc<DueRotation>>, StoreError> {
    let at = after.map(|row| row.at.row_part()).unwrap_or_default();
    let after = after.map(|row| row.key(&at));
    let after = after.as_ref().map_or(&[][..], |key| &key[..]);
    // Listed by time: the first that is not due ends the search.
    let page = tx.list_deep::<DueRotation>(&[], after, limit).await?;
    Ok(page.records.into_iter().map(|(_, due)| due).take_while(|due| due.at <= now).collect())
}
