use super::common::authorized_role;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Role;
use serde::{Deserialize, Serialize};

/// Replaces the trust policy of a role. Sessions that are under way stay.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateAssumeRolePolicy {
    role_name: String,
    policy_document: String,
}

impl Operation for UpdateAssumeRolePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateAssumeRolePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PolicyDocument"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "iam:UpdateAssumeRolePolicy";
        let (role, allowed) =
            authorized_role(call, &self.role_name, action, Conditions::default()).await?;
        let mut role = Role::clone(&role);
        role.trust = Role::bind_trust(&mut call.tx, self.policy_document).await?;
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
