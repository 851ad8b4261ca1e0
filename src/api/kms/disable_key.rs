use super::common::unneeded_key;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Makes a key unusable until `EnableKey`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableKey {
    key_id: String,
}

impl Operation for DisableKey {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "DisableKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:DisableKey";
        let key = unneeded_key(call, &self.key_id, action, Conditions::default()).await?;
        key.disable(&mut call.tx)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
