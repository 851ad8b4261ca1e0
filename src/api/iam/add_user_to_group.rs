use super::common::authorized_group;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Puts a user into a group, whose policies it has from then on.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AddUserToGroup {
    group_name: String,
    user_name: String,
}

impl Operation for AddUserToGroup {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "AddUserToGroup";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName", "UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "iam:AddUserToGroup";
        let (group, allowed) =
            authorized_group(call, &self.group_name, action, Conditions::default()).await?;
        let account = call.account().clone();
        let user = User::find(&mut call.tx, &account, &self.user_name).await?;
        group.add(&allowed, &mut call.tx, &user)?;
        Ok(Empty)
    }
}
