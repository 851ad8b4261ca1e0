//! Which external key a KMS key is associated with, and that no other one is.
use super::ExternalError;
use crate::authorize::{Account, Authorized};
use crate::keys::stores::{self, KeyStore};
use crate::keys::{Found, Key, KeyError, NewKey, Origin, lifecycle};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalKey {
    /// The key store's id.
    pub store: String,
    /// `XksKeyId`.
    pub id: String,
}

impl Record for ExternalKey {
    const TABLE: Table = Table::new("external-key");
}

/// The KMS key of an external key.
#[derive(Debug, Serialize, Deserialize)]
struct Associated {
    key_id: String,
}

impl Record for Associated {
    const TABLE: Table = Table::new("external-key-associated");
    const CACHED: bool = false;
}

impl ExternalKey {
    pub async fn load(tx: &mut Tx<'_>, key_id: &str) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[key_id]).await
    }
}

/// Creates a KMS key for an external key that the proxy has. `asked`: the store as it was when its proxy
/// was asked, which need not be how it is now.
pub async fn create(
    allowed: &Authorized<Account>,
    tx: &mut Tx<'_>,
    new: NewKey,
    (asked, external): (&KeyStore, ExternalKey),
    now: Timestamp,
) -> Result<Found, KeyError> {
    let (account, region) = (new.account.clone(), new.region.clone());
    let row = [account.as_str(), region.as_str(), &external.store, &external.id];
    if tx.get::<Associated>(&row).await?.is_some() {
        return Err(ExternalError::KeyInUse(external.id).into());
    }
    tx.put(&row, Associated { key_id: new.id.clone() })?;
    let store = stores::connected(tx, &account, &region, &external.store).await?;
    let place = |store: &KeyStore| store.proxy().map(|p| (p.endpoint.clone(), p.path.clone()));
    if place(&store) != place(asked) {
        return Err(StoreError::Conflict.into());
    }
    stores::add_key(tx, &account, &region, &external.store).await?;
    tx.put(&[&new.id], external)?;
    let key = lifecycle::create(allowed, tx, new, now)?;
    Ok(Found::of(tx, key, None).await?)
}

/// Gives the external key free, once its KMS key is destroyed.
pub async fn forget(tx: &mut Tx<'_>, key: &Key) -> Result<(), StoreError> {
    if key.origin != Origin::ExternalKeyStore {
        return Ok(());
    }
    let Some(external) = ExternalKey::load(tx, &key.id).await? else { return Ok(()) };
    let (account, region) = (key.account.as_str(), key.region.as_str());
    tx.delete::<Associated>(&[account, region, &external.store, &external.id])?;
    tx.delete::<ExternalKey>(&[&key.id])
}
