use super::asking::asking;
use super::custom_key_store::{allowed, record};
use super::{Error, Kms};
use crate::call::{Call, Empty, Operation};
use crate::keys::stores;
use serde::{Deserialize, Serialize};

/// Connects a custom key store to the device or the proxy that backs it.
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
        let devices = call.server.devices.clone();
        let asking = asking(call, Self::NAME);
        allowed.connect_key_store(&mut call.tx, &region, &id, &devices, &asking).await?;
        Ok(Empty)
    }
}
