use super::common::authorized_secret;
use super::policies::{DEFAULT, conditions};
use super::{Error, SecretsManager};
use crate::call::{Call, Operation};
use crate::identity;
use crate::secrets::MANAGED_POLICY;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Returns a secret's resource policy, byte for byte as it was put, save that those it names are called
/// what they are called now, and by their ids once they are gone.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetResourcePolicy {
    secret_id: String,
    policy_name: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetResourcePolicyResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<String>,
}

impl Operation for GetResourcePolicy {
    type Service = SecretsManager;
    type Response = GetResourcePolicyResponse;
    const NAME: &'static str = "GetResourcePolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["SecretId", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetResourcePolicyResponse, Error> {
        let name = self.policy_name.as_deref().unwrap_or(DEFAULT);
        let action = "secretsmanager:GetResourcePolicy";
        let secret =
            authorized_secret(call, &self.secret_id, action, conditions(Some(name))).await?;
        secret.alive()?;
        let policy = match (name, &secret.policy) {
            (DEFAULT, Some(policy)) => Some(identity::shown(&mut call.tx, policy).await?),
            (DEFAULT, None) => None,
            (MANAGED_POLICY, _) => Some(secret.managed_policy().ok_or(Error::NoSuchPolicy)?),
            _ => return Err(Error::NoSuchPolicy),
        };
        Ok(GetResourcePolicyResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            // A secret without a policy has a name and an ARN, and is no error.
            policy_name: policy.is_some().then(|| name.to_owned()),
            resource_policy: policy,
        })
    }
}
