use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Turns a key's automatic rotation off.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableKeyRotation {
    key_id: String,
}

impl Operation for DisableKeyRotation {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "DisableKeyRotation";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:DisableKeyRotation";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        key.disable_rotation(&mut call.tx).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
