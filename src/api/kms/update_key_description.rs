use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Replaces a key's description.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateKeyDescription {
    key_id: String,
    description: String,
}

impl Operation for UpdateKeyDescription {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "UpdateKeyDescription";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "Description"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "kms:UpdateKeyDescription";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        key.describe_as(&mut call.tx, self.description)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
