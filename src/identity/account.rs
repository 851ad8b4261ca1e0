//! Accounts: what everything else belongs to.
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub created: Timestamp,
}

impl Record for Account {
    const TABLE: Table = Table::new("account");
}

impl Account {
    pub async fn load(tx: &mut Tx<'_>, id: &AccountId) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[id.as_str()]).await
    }

    /// The account, made if it is not there yet.
    pub async fn ensure(
        tx: &mut Tx<'_>,
        id: &AccountId,
        now: Timestamp,
    ) -> Result<Arc<Self>, StoreError> {
        match Self::load(tx, id).await? {
            Some(account) => Ok(account),
            None => tx.put(&[id.as_str()], Self { id: id.clone(), created: now }),
        }
    }
}
