use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Removes tags from a key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResource {
    key_id: String,
    tag_keys: Vec<String>,
}

impl Operation for UntagResource {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "TagKeys"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add_all("aws:tagkeys", self.tag_keys.iter());
        let action = "kms:UntagResource";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        key.untag(&mut call.tx, &self.tag_keys)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
