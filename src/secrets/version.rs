//! The stored value of one version of a secret.
use super::readers::Readers;
use super::{Secret, SecretError, ValueKind};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{Blob, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Sealed under a data key that only KMS opens, so it may stay in memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Version {
    pub kind: ValueKind,
    /// The data key as KMS encrypted it. It names its key: one that the secret no longer uses still
    /// opens what it sealed.
    pub data_key: Blob,
    pub(super) value: Blob,
    pub created: Timestamp,
}

impl Record for Version {
    const TABLE: Table = Table::new("secret-version");
    const READ_BACK: bool = true;
}

impl Version {
    /// The value of a version that the secret has.
    pub async fn load(
        tx: &mut Tx<'_>,
        secret: &Secret,
        id: &str,
    ) -> Result<Arc<Self>, SecretError> {
        // One that a rotation has announced is not there yet.
        if secret.versions.get(id).is_none_or(|version| !version.has_value) {
            return Err(SecretError::NoSuchVersion(format!("VersionId: {id}")));
        }
        let found = tx.get::<Self>(&row(secret, id)).await?;
        let missing = || StoreError::Corrupt(format!("{} has no value for {id}", secret.arn));
        Ok(found.ok_or_else(missing)?)
    }

    pub(super) fn save(self, tx: &mut Tx<'_>, secret: &Secret, id: &str) -> Result<(), StoreError> {
        tx.put(&row(secret, id), self).map(drop)
    }

    pub(super) fn delete(tx: &mut Tx<'_>, secret: &Secret, id: &str) -> Result<(), StoreError> {
        Readers::forget(tx, &secret.arn, id)?;
        tx.delete::<Self>(&row(secret, id))
    }
}

fn row<'a>(secret: &'a Secret, id: &'a str) -> [&'a str; 4] {
    [secret.account.as_str(), secret.region.as_str(), secret.resource_id(), id]
}

/// A version's id is the caller's `ClientRequestToken`. The model bounds its length; what remains
/// is what a row's key cannot hold.
pub fn check_version_id(id: &str) -> Result<(), SecretError> {
    if id.chars().any(char::is_control) {
        let text = "ClientRequestToken must not contain control characters.";
        return Err(SecretError::InvalidParameter(text.into()));
    }
    Ok(())
}
