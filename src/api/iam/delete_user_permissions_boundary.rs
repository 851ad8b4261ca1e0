use super::common::authorized_user_if;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::{User, boundary};
use serde::{Deserialize, Serialize};

/// Takes the permissions boundary from a user, who may then do all that its policies allow.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteUserPermissionsBoundary {
    user_name: String,
}

impl Operation for DeleteUserPermissionsBoundary {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteUserPermissionsBoundary";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) = authorized_user_if(
            call,
            Some(&self.user_name),
            "iam:DeleteUserPermissionsBoundary",
            Conditions::default(),
        )
        .await?;
        boundary::exchange(&allowed, &mut call.tx, &user.account, user.boundary.as_deref(), None)
            .await?;
        let user = User { boundary: None, ..User::clone(&user) };
        user.update(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
