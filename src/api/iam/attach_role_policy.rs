use super::entities::attach;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Attaches a managed policy to a role: its permissions hold from the next request on.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachRolePolicy {
    role_name: String,
    policy_arn: String,
}

impl Operation for AttachRolePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "AttachRolePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        attach(call, whom, &self.policy_arn, "iam:AttachRolePolicy").await
    }
}
