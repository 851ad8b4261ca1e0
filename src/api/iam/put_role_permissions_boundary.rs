use super::common::authorized_role;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::{Role, boundary};
use serde::{Deserialize, Serialize};

/// Limits what a role may do at most to what a managed policy allows.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRolePermissionsBoundary {
    role_name: String,
    permissions_boundary: String,
}

impl Operation for PutRolePermissionsBoundary {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "PutRolePermissionsBoundary";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "PermissionsBoundary"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add("iam:permissionsboundary", self.permissions_boundary.as_str());
        let (role, allowed) =
            authorized_role(call, &self.role_name, "iam:PutRolePermissionsBoundary", conditions)
                .await?;
        let (was, will) = (role.boundary.as_deref(), self.permissions_boundary);
        boundary::check(&mut call.tx, &role.account, &will).await?;
        boundary::exchange(&allowed, &mut call.tx, &role.account, was, Some(&will)).await?;
        let mut role = Role::clone(&role);
        role.boundary = Some(will);
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
