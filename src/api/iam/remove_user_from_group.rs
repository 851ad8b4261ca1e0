use super::common::authorized_group;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Takes a user out of a group and its policies.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveUserFromGroup {
    group_name: String,
    user_name: String,
}

impl Operation for RemoveUserFromGroup {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "RemoveUserFromGroup";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName", "UserName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "iam:RemoveUserFromGroup";
        let (group, allowed) =
            authorized_group(call, &self.group_name, action, Conditions::default()).await?;
        let account = call.account().clone();
        let user = User::find(&mut call.tx, &account, &self.user_name).await?;
        group.remove(&allowed, &mut call.tx, &user)?;
        Ok(Empty)
    }
}
