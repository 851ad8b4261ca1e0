use super::common::authorized_role;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::boundary;
use crate::last_use::LastUses;
use serde::{Deserialize, Serialize};

/// Deletes a role that has no policies left. Its sessions end with it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRole {
    role_name: String,
}

impl Operation for DeleteRole {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteRole";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (role, allowed) =
            authorized_role(call, &self.role_name, "iam:DeleteRole", Conditions::default()).await?;
        boundary::exchange(&allowed, &mut call.tx, &role.account, role.boundary.as_deref(), None)
            .await?;
        role.delete(&allowed, &mut call.tx).await?;
        LastUses::forget_access(&mut call.tx, &role.id)?;
        call.server.last_uses.access.drop_note(&role.id);
        Ok(Empty)
    }
}
