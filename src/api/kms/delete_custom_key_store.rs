use super::custom_key_store::{allowed, record};
use super::{Error, Kms};
use crate::call::{Call, Empty, Operation};
use crate::keys::stores;
use serde::{Deserialize, Serialize};

/// Deletes a custom key store that is disconnected and holds no keys.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteCustomKeyStore {
    custom_key_store_id: String,
}

impl Operation for DeleteCustomKeyStore {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "DeleteCustomKeyStore";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["CustomKeyStoreId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let allowed = allowed(call, "kms:DeleteCustomKeyStore")?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let id = self.custom_key_store_id;
        let store = stores::find(&mut call.tx, &account, &region, &id).await?;
        record(call, &store);
        allowed.delete_key_store(&mut call.tx, &region, &id).await?;
        Ok(Empty)
    }
}
