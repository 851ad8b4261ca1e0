use super::common::{Tag, authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Adds tags to a key, or changes their values.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResource {
    key_id: String,
    tags: Vec<Tag>,
}

impl Operation for TagResource {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "Tags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let tags = Tag::parse(Some(self.tags))?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let action = "kms:TagResource";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        key.tag(&mut call.tx, tags)?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
