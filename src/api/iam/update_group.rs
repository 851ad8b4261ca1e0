use super::common::authorized_group;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Empty, Operation};
use crate::identity::NewGroup;
use serde::{Deserialize, Serialize};

/// Gives a group another name or path. Its users stay in it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateGroup {
    group_name: String,
    new_path: Option<String>,
    new_group_name: Option<String>,
}

impl Operation for UpdateGroup {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateGroup";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["GroupName", "NewPath", "NewGroupName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let action = "iam:UpdateGroup";
        let (group, allowed) =
            authorized_group(call, &self.group_name, action, Conditions::default()).await?;
        let to = NewGroup {
            account: group.account.clone(),
            name: self.new_group_name.unwrap_or_else(|| group.name.clone()),
            path: self.new_path.unwrap_or_else(|| group.path.clone()),
        };
        // On what it is and on what it becomes (API reference, UpdateGroup).
        let target = Resource::group(to.arn());
        let there = call.authorize(action, target, Conditions::default())?;
        group.rename(&allowed, &there, &mut call.tx, &to).await?;
        Ok(Empty)
    }
}
