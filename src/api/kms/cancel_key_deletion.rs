use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::Accept;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Ends a key's waiting period. The key stays disabled until `EnableKey`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelKeyDeletion {
    key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelKeyDeletionResponse {
    key_id: Arn,
}

impl Operation for CancelKeyDeletion {
    type Service = Kms;
    type Response = CancelKeyDeletionResponse;
    const NAME: &'static str = "CancelKeyDeletion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CancelKeyDeletionResponse, Error> {
        let action = "kms:CancelKeyDeletion";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        let now = call.now;
        key.cancel_deletion(&mut call.tx, now)?;
        Ok(CancelKeyDeletionResponse { key_id: key.arn.clone() })
    }
}
