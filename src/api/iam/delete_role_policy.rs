use super::entities::remove;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Removes a policy from a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRolePolicy {
    role_name: String,
    policy_name: String,
}

impl Operation for DeleteRolePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteRolePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        remove(call, whom, &self.policy_name, "iam:DeleteRolePolicy").await
    }
}
