use super::common::authorized_user_if;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::{User, boundary};
use serde::{Deserialize, Serialize};

/// Limits what a user may do at most to what a managed policy allows.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutUserPermissionsBoundary {
    user_name: String,
    permissions_boundary: String,
}

impl Operation for PutUserPermissionsBoundary {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "PutUserPermissionsBoundary";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PermissionsBoundary"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add("iam:permissionsboundary", self.permissions_boundary.as_str());
        let (user, allowed) = authorized_user_if(
            call,
            Some(&self.user_name),
            "iam:PutUserPermissionsBoundary",
            conditions,
        )
        .await?;
        let (was, will) = (user.boundary.as_deref(), self.permissions_boundary);
        boundary::check(&mut call.tx, &user.account, &will).await?;
        boundary::exchange(&allowed, &mut call.tx, &user.account, was, Some(&will)).await?;
        let user = User { boundary: Some(will), ..User::clone(&user) };
        user.update(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
