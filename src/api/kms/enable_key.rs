use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Makes a disabled key usable again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableKey {
    key_id: String,
}

impl Operation for EnableKey {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "EnableKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:EnableKey";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        key.enable(&mut call.tx)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
