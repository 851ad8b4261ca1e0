use super::common::authorized_role;
use super::role_entry::RoleEntry;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Says what is known of a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRole {
    role_name: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRoleResponse {
    role: RoleEntry,
}

impl Operation for GetRole {
    type Service = Iam;
    type Response = GetRoleResponse;
    const NAME: &'static str = "GetRole";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetRoleResponse, Error> {
        let (role, _) =
            authorized_role(call, &self.role_name, "iam:GetRole", Conditions::default()).await?;
        let role = RoleEntry::of(call, &role).await?.with_last_use(call).await?;
        Ok(GetRoleResponse { role })
    }
}
