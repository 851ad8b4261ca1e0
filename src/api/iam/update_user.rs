use super::common::authorized_user;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Empty, Operation};
use crate::identity::NewUser;
use crate::types::Tags;
use serde::{Deserialize, Serialize};

/// Gives a user another name or path. Its id stays, and what is bound to it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateUser {
    user_name: String,
    new_path: Option<String>,
    new_user_name: Option<String>,
}

impl Operation for UpdateUser {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateUser";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "NewPath", "NewUserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, Some(&self.user_name), "iam:UpdateUser").await?;
        let to = NewUser {
            account: user.account.clone(),
            name: self.new_user_name.unwrap_or_else(|| user.name.clone()),
            path: self.new_path.unwrap_or_else(|| user.path.clone()),
            boundary: None,
            tags: Tags::default(),
        };
        // On what it is and on what it becomes (API reference, UpdateUser).
        let target = Resource::user(to.arn(), user.tags.clone());
        let there = call.authorize("iam:UpdateUser", target, Conditions::default())?;
        user.rename(&allowed, &there, &mut call.tx, &to).await?;
        Ok(Empty)
    }
}
