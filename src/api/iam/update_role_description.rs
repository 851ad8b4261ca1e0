use super::common::authorized_role;
use super::role_entry::RoleEntry;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::Role;
use serde::{Deserialize, Serialize};

/// Changes the description of a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRoleDescription {
    role_name: String,
    description: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRoleDescriptionResponse {
    role: Option<RoleEntry>,
}

impl Operation for UpdateRoleDescription {
    type Service = Iam;
    type Response = UpdateRoleDescriptionResponse;
    const NAME: &'static str = "UpdateRoleDescription";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "Description"];

    async fn execute(self, call: &mut Call<'_>) -> Result<UpdateRoleDescriptionResponse, Error> {
        let action = "iam:UpdateRoleDescription";
        let (role, allowed) =
            authorized_role(call, &self.role_name, action, Conditions::default()).await?;
        let mut role = Role::clone(&role);
        role.description = self.description;
        let role = role.save(&allowed, &mut call.tx)?;
        let role = RoleEntry::of(call, &role).await?;
        Ok(UpdateRoleDescriptionResponse { role: Some(role) })
    }
}
