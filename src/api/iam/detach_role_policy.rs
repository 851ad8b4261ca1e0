use super::entities::detach;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Detaches a managed policy from a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachRolePolicy {
    role_name: String,
    policy_arn: String,
}

impl Operation for DetachRolePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DetachRolePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        detach(call, whom, &self.policy_arn, "iam:DetachRolePolicy").await
    }
}
