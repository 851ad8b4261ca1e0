//! The record of a custom key store.
use super::Connection;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Region, SecretText, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyStore {
    /// `cks-` and 17 hexadecimal digits.
    pub id: String,
    pub account: AccountId,
    pub region: Region,
    /// Unique in the account and Region.
    pub name: String,
    pub created: Timestamp,
    pub connection: Connection,
    pub backing: Backing,
    /// How many KMS keys it holds. It stands here and not in a listing, because a listing is no part
    /// of what a commit checks: a key made while the store is deleted conflicts with the deletion.
    pub keys: u64,
}

/// What does the work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Backing {
    /// AWS_CLOUDHSM: a cluster of devices.
    Cluster { id: String, trust_anchor: String, password: SecretText },
    /// EXTERNAL_KEY_STORE: a key manager behind a proxy.
    External(Proxy),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proxy {
    pub endpoint: String,
    pub path: String,
    pub credential: Credential,
    pub connectivity: Connectivity,
}

/// What requests to the proxy are signed with. AWS calls the id sensitive too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credential {
    pub access_key_id: SecretText,
    pub secret: SecretText,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connectivity {
    PublicEndpoint,
    VpcEndpointService { name: String, owner: AccountId },
}

impl Record for KeyStore {
    const TABLE: Table = Table::new("key-store");
    // It holds passwords that are needed once in a while: they do not stay in memory.
    const CACHED: bool = false;
}

impl KeyStore {
    pub(super) async fn load(
        tx: &mut Tx<'_>,
        account: &AccountId,
        region: &Region,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[account.as_str(), region.as_str(), id]).await
    }

    pub(super) fn save(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let (account, region, id) = (self.account.clone(), self.region.clone(), self.id.clone());
        tx.put(&[account.as_str(), region.as_str(), &id], self).map(drop)
    }

    pub(super) fn delete(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        tx.delete::<Self>(&[self.account.as_str(), self.region.as_str(), &self.id])
    }

    /// The proxy of an external key store.
    pub fn proxy(&self) -> Option<&Proxy> {
        match &self.backing {
            Backing::Cluster { .. } => None,
            Backing::External(proxy) => Some(proxy),
        }
    }

    /// The cluster of a store of AWS_CLOUDHSM's type.
    pub fn cluster(&self) -> Option<&str> {
        match &self.backing {
            Backing::Cluster { id, .. } => Some(id),
            Backing::External(_) => None,
        }
    }
}

impl Proxy {
    /// The VPC endpoint service through which it is reached, if it is.
    pub fn service(&self) -> Option<&str> {
        match &self.connectivity {
            Connectivity::PublicEndpoint => None,
            Connectivity::VpcEndpointService { name, .. } => Some(name),
        }
    }
}
