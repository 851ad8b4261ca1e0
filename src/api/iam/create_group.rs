use super::group_entry::GroupEntry;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::{Group, NewGroup};
use serde::{Deserialize, Serialize};

/// Creates a group. Policies of the group are those of its users.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGroup {
    path: Option<String>,
    group_name: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGroupResponse {
    group: GroupEntry,
}

impl Operation for CreateGroup {
    type Service = Iam;
    type Response = CreateGroupResponse;
    const NAME: &'static str = "CreateGroup";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["Path", "GroupName"];
    const ANSWER_RECORDED: &'static [&'static str] = &["Group"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateGroupResponse, Error> {
        let new = NewGroup {
            account: call.account().clone(),
            name: self.group_name,
            path: self.path.unwrap_or_else(|| "/".into()),
        };
        let resource = Resource::group(new.arn());
        let allowed = call.authorize("iam:CreateGroup", resource, Conditions::default())?;
        let (random, now) = (call.random(), call.now);
        let group = Group::create(&allowed, &mut call.tx, new, &*random, now).await?;
        Ok(CreateGroupResponse { group: GroupEntry::from(&*group) })
    }
}
