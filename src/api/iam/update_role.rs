use super::common::authorized_role;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Role;
use serde::{Deserialize, Serialize};

/// Changes the description of a role and how long its sessions last at most.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRole {
    role_name: String,
    description: Option<String>,
    max_session_duration: Option<i64>,
}

impl Operation for UpdateRole {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateRole";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "Description", "MaxSessionDuration"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (role, allowed) =
            authorized_role(call, &self.role_name, "iam:UpdateRole", Conditions::default()).await?;
        let mut role = Role::clone(&role);
        // What is not said stays as it is.
        role.description = self.description.unwrap_or(role.description);
        role.max_session_seconds = self.max_session_duration.unwrap_or(role.max_session_seconds);
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
