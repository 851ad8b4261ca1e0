use super::common::{authorized_secret, save};
use super::shapes::Tag;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Adds tags to a secret, or changes their values; refused if the caller could not do it again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResource {
    secret_id: String,
    tags: Vec<Tag>,
}

impl Operation for TagResource {
    type Service = SecretsManager;
    type Response = Empty;
    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "Tags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let tags = Tag::parse(Some(self.tags))?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let action = "secretsmanager:TagResource";
        let secret = authorized_secret(call, &self.secret_id, action, conditions.clone()).await?;
        let mut secret = secret.edit_metadata()?;
        secret.tag(tags)?;
        // Where tags decide who may do what, nobody locks themselves out with one (API reference,
        // TagResource).
        call.authorize(action, secret.preview(), conditions)?;
        save(call, secret).await?;
        Ok(Empty)
    }
}
