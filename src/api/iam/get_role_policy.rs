use super::entities::read;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Returns a policy of a role, URL-encoded as IAM does it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRolePolicy {
    role_name: String,
    policy_name: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRolePolicyResponse {
    role_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetRolePolicy {
    type Service = Iam;
    type Response = GetRolePolicyResponse;
    const NAME: &'static str = "GetRolePolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetRolePolicyResponse, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        let (role_name, policy_document) =
            read(call, whom, &self.policy_name, "iam:GetRolePolicy").await?;
        Ok(GetRolePolicyResponse { role_name, policy_name: self.policy_name, policy_document })
    }
}
