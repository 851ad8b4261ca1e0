use super::common::{authorized_secret, save};
use super::policies::{DEFAULT, conditions, only_default};
use super::{Error, SecretsManager};
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Takes a secret's resource policy away. It may have none.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteResourcePolicy {
    secret_id: String,
    policy_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteResourcePolicyResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<String>,
}

impl Operation for DeleteResourcePolicy {
    type Service = SecretsManager;
    type Response = DeleteResourcePolicyResponse;
    const NAME: &'static str = "DeleteResourcePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "PolicyName"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DeleteResourcePolicyResponse, Error> {
        let action = "secretsmanager:DeleteResourcePolicy";
        let conditions = conditions(self.policy_name.as_deref());
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;
        only_default(self.policy_name.as_deref())?;
        let mut secret = secret.edit_metadata()?;
        if secret.policy.is_some() {
            secret.set_policy(None);
        }
        let secret = save(call, secret).await?;
        Ok(DeleteResourcePolicyResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            policy_name: Some(DEFAULT.into()),
        })
    }
}
