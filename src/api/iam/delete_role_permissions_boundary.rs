use super::common::authorized_role;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::{Role, boundary};
use serde::{Deserialize, Serialize};

/// Takes the permissions boundary from a role, who may then do all that its policies allow.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRolePermissionsBoundary {
    role_name: String,
}

impl Operation for DeleteRolePermissionsBoundary {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteRolePermissionsBoundary";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (role, allowed) = authorized_role(
            call,
            &self.role_name,
            "iam:DeleteRolePermissionsBoundary",
            Conditions::default(),
        )
        .await?;
        boundary::exchange(&allowed, &mut call.tx, &role.account, role.boundary.as_deref(), None)
            .await?;
        let mut role = Role::clone(&role);
        role.boundary = None;
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
