use super::common::{Recipient, check_recipient};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::resident;
use crate::keys::stores::{self, KeyStore};
use crate::types::{Blob, Plaintext};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Random bytes from the server's generator, or from it and a custom key store's device.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateRandom {
    number_of_bytes: Option<i64>,
    custom_key_store_id: Option<String>,
    recipient: Option<Recipient>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateRandomResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Plaintext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
}

impl Operation for GenerateRandom {
    type Service = Kms;
    type Response = GenerateRandomResponse;
    const NAME: &'static str = "GenerateRandom";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["NumberOfBytes", "CustomKeyStoreId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GenerateRandomResponse, Error> {
        check_recipient(self.recipient.as_ref())?;
        call.authorize("kms:GenerateRandom", call.whole_account(), Conditions::default())?;
        let store = match &self.custom_key_store_id {
            Some(id) => Some(connected_cluster(call, id).await?),
            None => None,
        };
        let count = self.number_of_bytes.and_then(|n| usize::try_from(n).ok());
        let count = count.ok_or_else(|| Error::Validation("NumberOfBytes is required.".into()))?;
        let random = call.random();
        let plaintext = match store {
            Some(store) => {
                let device = store.device(&call.server.devices)?;
                resident::random(device, &*random, &store.id, count).await?
            }
            None => {
                let mut bytes = vec![0; count];
                random.fill(&mut bytes);
                Plaintext::new(bytes)
            }
        };
        Ok(GenerateRandomResponse { plaintext: Some(plaintext), ciphertext_for_recipient: None })
    }
}

/// The store whose device is to make random bytes. The device's own generator is asked for, so the
/// server's must not answer in its place.
async fn connected_cluster(call: &mut Call<'_>, id: &str) -> Result<Arc<KeyStore>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let store = stores::find(&mut call.tx, &account, &region, id).await?;
    if store.cluster().is_none() {
        let text = format!("{id} is an external key store, which makes no random bytes.");
        return Err(Error::Unsupported(text));
    }
    stores::connected(&mut call.tx, &account, &region, id).await
}
