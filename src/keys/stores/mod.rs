//! Custom key stores: what backs them, whether they are connected, and what no two may share.
//!
//! The cluster of an `AWS_CLOUDHSM` store is a device of the configuration, which the operator gave the
//! cluster's id. Whatever needs a connected store asks [`connected`]; what uses a key in one finds the
//! store's [`Link`] beside the key.
mod change;
mod connection;
mod error;
pub mod external;
mod link;
mod record;
mod shared;

pub use change::{Change, ProxyChange};
pub use connection::{Connection, ConnectionError};
pub use error::KeyStoreError;
pub use external::ExternalKey;
pub use link::{Link, without_device};
pub use record::{Backing, Connectivity, Credential, KeyStore, Proxy};

use super::KeyError;
use crate::authorize::{Account, Authorized};
use crate::devices::Devices;
use crate::random::Random;
use crate::store::{Page, StoreError, Tx};
use crate::types::{AccountId, Region, Timestamp};
use shared::StoresOfAccount;
use std::sync::Arc;

/// What follows `cks-` in an id.
const ID_DIGITS: usize = 17;
const HEX: &[u8] = b"0123456789abcdef";

/// The store with this id.
pub async fn find(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<Arc<KeyStore>, KeyError> {
    let missing = || KeyError::CustomKeyStoreNotFound(id.to_owned());
    // Nothing else is anybody's id, and not every text may be part of a row's key.
    let digits = id.strip_prefix("cks-").ok_or_else(missing)?;
    if digits.len() != ID_DIGITS || !digits.bytes().all(|b| HEX.contains(&b)) {
        return Err(missing());
    }
    KeyStore::load(tx, account, region, id).await?.ok_or_else(missing)
}

/// The same as it is now, and no part of what a commit checks: for asking who is behind the store. Each key
/// that is made in it changes the row, and whoever waits for a remote answer is not to begin anew for that.
pub async fn peek(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<Arc<KeyStore>, KeyError> {
    find(&mut tx.apart(), account, region, id).await
}

/// The store with this name.
pub async fn find_named(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    name: &str,
) -> Result<Arc<KeyStore>, KeyError> {
    let stores = StoresOfAccount::stores(tx, account).await?;
    let named = |store: &Arc<KeyStore>| store.region == *region && store.name == name;
    stores.into_iter().find(named).ok_or_else(|| KeyError::CustomKeyStoreNotFound(name.to_owned()))
}

/// The stores of an account in a Region, page by page, in the order of their ids.
pub async fn list(
    tx: &Tx<'_>,
    account: &AccountId,
    region: &Region,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<KeyStore>, StoreError> {
    tx.list::<KeyStore>(&[account.as_str(), region.as_str()], after, limit).await
}

/// The store with this id, if it is connected: only then can it make keys or random bytes.
pub async fn connected(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<Arc<KeyStore>, KeyError> {
    let store = find(tx, account, region, id).await?;
    match store.connection {
        Connection::Connected => Ok(store),
        _ => Err(store.invalid_state("CONNECTED").into()),
    }
}

/// Counts a key that is made in a store, which must be connected. For the transaction that makes the
/// key: the store cannot then be deleted beside it.
pub async fn add_key(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<(), KeyError> {
    let store = connected(tx, account, region, id).await?;
    let keys = store.keys.saturating_add(1);
    Ok(KeyStore { keys, ..KeyStore::clone(&store) }.save(tx)?)
}

/// Takes a key that is destroyed off the count of its store, in the transaction that destroys it.
pub async fn remove_key(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<(), StoreError> {
    // A store that holds a key cannot be deleted. Were one gone all the same, that must not keep the
    // key alive.
    let Some(store) = KeyStore::load(tx, account, region, id).await? else { return Ok(()) };
    let keys = store.keys.saturating_sub(1);
    KeyStore { keys, ..KeyStore::clone(&store) }.save(tx)
}

/// Refuses a store beyond the quota of an account in a region, of both types together.
pub async fn check_count(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    most: usize,
) -> Result<(), KeyError> {
    let stores = StoresOfAccount::stores(tx, account).await?;
    if stores.iter().filter(|store| store.region == *region).count() >= most {
        let text =
            format!("The account has {most} custom key stores in this Region, which is the limit.");
        return Err(KeyError::LimitExceeded(text));
    }
    Ok(())
}

/// Refuses a cluster that is no device of the configuration, or none for this account.
pub fn check_cluster(
    backing: &Backing,
    devices: &Devices,
    account: &AccountId,
) -> Result<(), KeyStoreError> {
    match backing {
        Backing::Cluster { id, .. } if devices.of_cluster_for(id, account.as_str()).is_none() => {
            Err(KeyStoreError::ClusterNotFound(id.clone()))
        }
        Backing::Cluster { .. } | Backing::External(_) => Ok(()),
    }
}

/// What may be done with an account's stores. They have no ARN and no policy: permission is asked of
/// the account.
impl Authorized<Account> {
    pub async fn create_key_store(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        name: String,
        backing: Backing,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Arc<KeyStore>, KeyError> {
        let Account(account) = &**self;
        let store = KeyStore {
            id: format!("cks-{}", random.text(ID_DIGITS, HEX)),
            account: account.clone(),
            region: region.clone(),
            name,
            created: now,
            connection: Connection::Disconnected,
            backing,
            keys: 0,
        };
        let others = StoresOfAccount::stores(tx, account).await?;
        shared::check(&store, &others)?;
        StoresOfAccount::add(tx, &store).await?;
        store.link(tx)?;
        store.clone().save(tx)?;
        Ok(Arc::new(store))
    }

    pub async fn update_key_store(
        &self,
        tx: &mut Tx<'_>,
        devices: &Devices,
        region: &Region,
        id: &str,
        change: Change,
    ) -> Result<Arc<KeyStore>, KeyError> {
        let Account(account) = &**self;
        let before = find(tx, account, region, id).await?;
        let after = change.of(&before, devices)?;
        shared::check(&after, &StoresOfAccount::stores(tx, account).await?)?;
        after.link(tx)?;
        after.save(tx)?;
        Ok(before)
    }

    pub async fn connect_key_store(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        id: &str,
        devices: &Devices,
        asking: &external::Asking,
    ) -> Result<(), KeyError> {
        let Account(account) = &**self;
        let store = find(tx, account, region, id).await?;
        let connection = store.connect(devices, asking).await?;
        reconnect(tx, &store, connection)
    }

    pub async fn disconnect_key_store(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        id: &str,
    ) -> Result<(), KeyError> {
        let Account(account) = &**self;
        let store = find(tx, account, region, id).await?;
        let connection = store.disconnect()?;
        reconnect(tx, &store, connection)
    }

    pub async fn delete_key_store(
        &self,
        tx: &mut Tx<'_>,
        region: &Region,
        id: &str,
    ) -> Result<(), KeyError> {
        let Account(account) = &**self;
        let store = find(tx, account, region, id).await?;
        if store.connection != Connection::Disconnected {
            return Err(store.invalid_state("DISCONNECTED").into());
        }
        if store.keys > 0 {
            return Err(KeyStoreError::HasKeys(store.id.clone()).into());
        }
        StoresOfAccount::remove(tx, &store).await?;
        store.unlink(tx)?;
        store.delete(tx)?;
        Ok(())
    }
}

fn reconnect(tx: &mut Tx<'_>, store: &KeyStore, connection: Connection) -> Result<(), KeyError> {
    let store = KeyStore { connection, ..store.clone() };
    store.link(tx)?;
    Ok(store.save(tx)?)
}
