use super::common::{authorized_secret, save};
use super::policies::{DEFAULT, bind, conditions, only_default};
use super::{Error, SecretsManager};
use crate::call::{Call, Operation};
use crate::policy::Kind;
use crate::policy::check::is_public;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Replaces a secret's resource policy.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutResourcePolicy {
    secret_id: String,
    resource_policy: String,
    block_public_policy: Option<bool>,
    policy_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutResourcePolicyResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<String>,
}

impl Operation for PutResourcePolicy {
    type Service = SecretsManager;
    type Response = PutResourcePolicyResponse;
    const NAME: &'static str = "PutResourcePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "ResourcePolicy", "BlockPublicPolicy", "PolicyName"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<PutResourcePolicyResponse, Error> {
        // "By default, public policies aren't blocked" (API reference, PutResourcePolicy).
        let block = self.block_public_policy == Some(true);
        let mut conditions = conditions(self.policy_name.as_deref());
        conditions.add("secretsmanager:blockpublicpolicy", if block { "true" } else { "false" });
        let action = "secretsmanager:PutResourcePolicy";
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;
        only_default(self.policy_name.as_deref())?;
        let mut secret = secret.edit_metadata()?;
        let policy = bind(call, self.resource_policy).await?;
        let is_closed = is_public(policy.text(), Kind::Resource).is_ok_and(|all| all.is_empty());
        if block && !is_closed {
            return Err(Error::PublicPolicy);
        }
        secret.set_policy(Some(policy));
        let secret = save(call, secret).await?;
        Ok(PutResourcePolicyResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            policy_name: Some(DEFAULT.into()),
        })
    }
}
