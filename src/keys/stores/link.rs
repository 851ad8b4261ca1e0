//! What every use of a key asks of its custom key store, in a row of its own. The store's record holds
//! passwords, so it is not kept in memory, and it changes with each key that is made.
use super::{Connection, KeyStore};
use crate::devices::Devices;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The store's id.
    pub store: String,
    /// Of a store of AWS_CLOUDHSM's type.
    pub cluster: Option<String>,
    pub connected: bool,
}

impl Record for Link {
    const TABLE: Table = Table::new("key-store-link");
}

impl Link {
    pub fn of(store: &KeyStore) -> Self {
        Self {
            store: store.id.clone(),
            cluster: store.cluster().map(str::to_owned),
            connected: store.connection == Connection::Connected,
        }
    }

    /// None of a store that never was connected, or is gone.
    pub async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        region: &Region,
        store: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), region.as_str(), store]).await
    }
}

/// So many stores are looked at.
const LOOKED_AT: usize = 10_000;

/// Those whose cluster is no device of the configuration: their keys cannot be used or destroyed.
pub async fn without_device(tx: &Tx<'_>, devices: &Devices) -> Result<Vec<Arc<Link>>, StoreError> {
    let all = tx.list_all::<Link>(LOOKED_AT).await?.into_iter().map(|(_, link)| link);
    let is_missing = |cluster: &String| devices.of_cluster(cluster).is_none();
    Ok(all.filter(|link| link.cluster.as_ref().is_some_and(is_missing)).collect())
}

impl KeyStore {
    /// Writes the link. For whatever changes the store's connection or its cluster.
    pub(super) fn link(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let key = [self.account.as_str(), self.region.as_str(), self.id.as_str()];
        tx.put(&key, Link::of(self)).map(drop)
    }

    pub(super) fn unlink(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.delete::<Link>(&[self.account.as_str(), self.region.as_str(), &self.id])
    }
}
