use super::custom_key_store::{allowed, record};
use super::{Error, Kms};
use crate::call::{Call, Empty, Operation};
use crate::keys::stores;
use serde::{Deserialize, Serialize};

/// Connects a custom key store to what backs it, which this release cannot: a cluster is not active,
/// a proxy not reachable.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectCustomKeyStore {
    custom_key_store_id: String,
}

impl Operation for ConnectCustomKeyStore {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "ConnectCustomKeyStore";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["CustomKeyStoreId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let allowed = allowed(call, "kms:ConnectCustomKeyStore")?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let id = self.custom_key_store_id;
        let store = stores::find(&mut call.tx, &account, &region, &id).await?;
        record(call, &store);
        allowed.connect_key_store(&mut call.tx, &region, &id).await?;
        Ok(Empty)
    }
}
