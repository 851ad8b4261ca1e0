use super::entities::put;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Writes a policy into a role, or replaces the one of that name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRolePolicy {
    role_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for PutRolePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "PutRolePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyName", "PolicyDocument"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        put(call, whom, (self.policy_name, self.policy_document), "iam:PutRolePolicy").await
    }
}
