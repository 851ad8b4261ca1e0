use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::boundary;
use serde::{Deserialize, Serialize};

/// Deletes a user who has no access keys and no policies left.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteUser {
    user_name: String,
}

impl Operation for DeleteUser {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteUser";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, Some(&self.user_name), "iam:DeleteUser").await?;
        boundary::exchange(&allowed, &mut call.tx, &user.account, user.boundary.as_deref(), None)
            .await?;
        user.delete(&allowed, &mut call.tx).await?;
        Ok(Empty)
    }
}
