use super::custom_key_store::{allowed, record};
use super::{Error, Kms};
use crate::call::{Call, Empty, Operation};
use crate::keys::stores;
use serde::{Deserialize, Serialize};

/// Disconnects a custom key store, or clears a connection that failed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisconnectCustomKeyStore {
    custom_key_store_id: String,
}

impl Operation for DisconnectCustomKeyStore {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "DisconnectCustomKeyStore";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["CustomKeyStoreId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let allowed = allowed(call, "kms:DisconnectCustomKeyStore")?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let id = self.custom_key_store_id;
        let store = stores::find(&mut call.tx, &account, &region, &id).await?;
        record(call, &store);
        allowed.disconnect_key_store(&mut call.tx, &region, &id).await?;
        Ok(Empty)
    }
}
