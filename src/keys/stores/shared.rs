//! What no two custom key stores may share, and the record that makes the check complete: a listing
//! is no part of what a commit checks, this record is.
use super::{KeyStore, KeyStoreError};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ids of all the stores of an account, each with its Region. It is written when a store is
/// created or deleted, and read whenever stores are compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct StoresOfAccount(BTreeMap<String, Region>);

impl Record for StoresOfAccount {
    const TABLE: Table = Table::new("key-stores-of-account");
    const CACHED: bool = false;
}

impl StoresOfAccount {
    /// The account's stores in every Region.
    pub(super) async fn stores(
        tx: &mut Tx<'_>,
        account: &AccountId,
    ) -> Result<Vec<Arc<KeyStore>>, StoreError> {
        let mut stores = Vec::new();
        for (id, region) in Self::load(tx, account).await?.0 {
            stores.extend(KeyStore::load(tx, account, &region, &id).await?);
        }
        Ok(stores)
    }

    pub(super) async fn add(tx: &mut Tx<'_>, store: &KeyStore) -> Result<(), StoreError> {
        let mut all = Self::load(tx, &store.account).await?;
        all.0.insert(store.id.clone(), store.region.clone());
        tx.put(&[store.account.as_str()], all).map(drop)
    }

    pub(super) async fn remove(tx: &mut Tx<'_>, store: &KeyStore) -> Result<(), StoreError> {
        let mut all = Self::load(tx, &store.account).await?;
        all.0.remove(&store.id);
        tx.put(&[store.account.as_str()], all).map(drop)
    }

    async fn load(tx: &mut Tx<'_>, account: &AccountId) -> Result<Self, StoreError> {
        let found = tx.get::<Self>(&[account.as_str()]).await?;
        Ok(found.map(|all| Self::clone(&all)).unwrap_or_default())
    }
}

/// Compares a store with the account's others (AWS KMS API reference, CreateCustomKeyStore): names
/// and proxies within a Region, clusters across all of them. Other accounts are left out of it, or
/// the answer would tell one account what another has.
pub(super) fn check(store: &KeyStore, all: &[Arc<KeyStore>]) -> Result<(), KeyStoreError> {
    let others = || all.iter().filter(|other| other.id != store.id);
    if let Some(cluster) = store.cluster()
        && others().any(|other| other.cluster() == Some(cluster))
    {
        return Err(KeyStoreError::ClusterInUse(cluster.to_owned()));
    }
    let neighbours = || others().filter(|other| other.region == store.region);
    if neighbours().any(|other| other.name == store.name) {
        return Err(KeyStoreError::NameInUse(store.name.clone()));
    }
    let Some(ours) = store.proxy() else { return Ok(()) };
    for theirs in neighbours().filter_map(|other| other.proxy()) {
        // The endpoint names a host, and hosts have no upper and lower case.
        if theirs.endpoint.eq_ignore_ascii_case(&ours.endpoint) {
            if theirs.path == ours.path {
                return Err(KeyStoreError::UriInUse(format!("{}{}", ours.endpoint, ours.path)));
            }
            // Only public endpoints may be shared, and only by public endpoints.
            if theirs.service().is_some() || ours.service().is_some() {
                return Err(KeyStoreError::EndpointInUse(ours.endpoint.clone()));
            }
        }
        if let Some(service) = ours.service().filter(|ours| theirs.service() == Some(*ours)) {
            return Err(KeyStoreError::VpcEndpointServiceInUse(service.to_owned()));
        }
    }
    Ok(())
}
