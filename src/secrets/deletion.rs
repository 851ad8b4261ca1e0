//! The end of a secret: scheduled, restored, destroyed.
use super::{FoundSecret, Secret, SecretError, Version, rotation};
use crate::authorize::Authorized;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// AWS: the recovery window of DeleteSecret in days, when the caller names none.
pub const DEFAULT_WINDOW_DAYS: i64 = 30;
const SHORTEST_WINDOW_DAYS: i64 = 7;
const LONGEST_WINDOW_DAYS: i64 = 30;
const SECONDS_PER_DAY: i64 = 86_400;

/// A secret whose recovery window ends at the time its row key begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueSecret {
    pub account: AccountId,
    pub region: Region,
    pub name: String,
}

impl Record for DueSecret {
    const TABLE: Table = Table::new("due-secret");
    const CACHED: bool = false;
}

fn put_due(tx: &mut Tx<'_>, secret: &Secret, end: Timestamp) -> Result<(), StoreError> {
    let due = DueSecret {
        account: secret.account.clone(),
        region: secret.region.clone(),
        name: secret.name.clone(),
    };
    let key = [secret.account.as_str(), secret.region.as_str(), &secret.name];
    tx.put(&[&[end.row_part().as_str()], &key[..]].concat(), due).map(drop)
}

fn delete_due(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), StoreError> {
    let Some(end) = secret.deletion else { return Ok(()) };
    let key = [secret.account.as_str(), secret.region.as_str(), &secret.name];
    tx.delete::<DueSecret>(&[&[end.row_part().as_str()], &key[..]].concat())
}

impl Authorized<FoundSecret> {
    /// Starts the recovery window, or starts it again; answers when it ends.
    pub fn schedule_deletion(
        &self,
        tx: &mut Tx<'_>,
        days: i64,
        now: Timestamp,
    ) -> Result<Timestamp, SecretError> {
        self.deletable()?;
        if !(SHORTEST_WINDOW_DAYS..=LONGEST_WINDOW_DAYS).contains(&days) {
            return Err(SecretError::InvalidParameter(format!(
                "The RecoveryWindowInDays value must be between {SHORTEST_WINDOW_DAYS} and \
                 {LONGEST_WINDOW_DAYS} days (inclusive)."
            )));
        }
        delete_due(tx, self)?;
        let end = now.plus_secs(days * SECONDS_PER_DAY);
        put_due(tx, self, end)?;
        let secret = Secret::clone(self);
        Secret { deleted: Some(now), deletion: Some(end), ..secret }.save(tx)?;
        Ok(end)
    }

    /// Destroys the secret now, without a way back.
    pub async fn delete_now(&self, tx: &mut Tx<'_>) -> Result<(), SecretError> {
        self.deletable()?;
        remove(tx, self).await
    }

    /// Ends the recovery window. A secret that is not in one stays as it is.
    pub fn restore(&self, tx: &mut Tx<'_>) -> Result<(), SecretError> {
        self.written_here()?;
        if self.deletion.is_none() {
            return Ok(());
        }
        delete_due(tx, self)?;
        let secret = Secret::clone(self);
        Secret { deleted: None, deletion: None, ..secret }.save(tx)?;
        Ok(())
    }
}

/// Up to `limit` secrets whose recovery window is over.
pub async fn due(
    tx: &Tx<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Arc<DueSecret>>, SecretError> {
    // Listed by time: the first that is not due ends the search.
    let rows = tx.list_all::<DueSecret>(limit).await?;
    let now = now.row_part();
    let over = |at: &String| *at <= now;
    Ok(rows
        .into_iter()
        .take_while(|(parts, _)| parts.first().is_some_and(over))
        .map(|(_, due)| due)
        .collect())
}

/// Destroys a secret whose recovery window is over: its versions and itself. Its name is then free.
/// Answers the secret that was destroyed, or nothing if it is not due (any more).
pub async fn destroy(
    tx: &mut Tx<'_>,
    due: &DueSecret,
    now: Timestamp,
) -> Result<Option<Arc<Secret>>, SecretError> {
    let found = Secret::load(tx, &due.account, &due.region, &due.name).await?;
    let over = |secret: &Arc<Secret>| secret.deletion.is_some_and(|end| end <= now);
    let Some(secret) = found.filter(over) else { return Ok(None) };
    remove(tx, &secret).await?;
    Ok(Some(secret))
}

pub(super) async fn remove(tx: &mut Tx<'_>, secret: &Secret) -> Result<(), SecretError> {
    delete_due(tx, secret)?;
    rotation::forget(tx, secret).await?;
    for (id, _) in secret.versions.iter() {
        Version::delete(tx, secret, id)?;
    }
    secret.delete(tx)?;
    Ok(())
}
