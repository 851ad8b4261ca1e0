use super::common::{authorized_secret, save};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Removes tags from a secret; refused if the caller could not do it again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResource {
    secret_id: String,
    tag_keys: Vec<String>,
}

impl Operation for UntagResource {
    type Service = SecretsManager;
    type Response = Empty;
    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "TagKeys"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add_all("aws:tagkeys", self.tag_keys.iter());
        let action = "secretsmanager:UntagResource";
        let secret = authorized_secret(call, &self.secret_id, action, conditions.clone()).await?;
        let mut secret = secret.edit_metadata()?;
        secret.untag(&self.tag_keys);
        // Where tags decide who may do what, nobody locks themselves out without one (API
        // reference, UntagResource).
        call.authorize(action, secret.preview(), conditions)?;
        save(call, secret).await?;
        Ok(Empty)
    }
}
