use super::common::{authorized_user, bad_marker, page_of, page_size};
use super::group_entry::GroupEntry;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::Group;
use serde::{Deserialize, Serialize};

/// Lists the groups that a user is in.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupsForUser {
    user_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupsForUserResponse {
    groups: Vec<GroupEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListGroupsForUser {
    type Service = Iam;
    type Response = ListGroupsForUserResponse;
    const NAME: &'static str = "ListGroupsForUser";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListGroupsForUserResponse, Error> {
        let (user, _) =
            authorized_user(call, Some(&self.user_name), "iam:ListGroupsForUser").await?;
        let list = format!("ListGroupsForUser {}", user.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let names = user.groups.iter().map(|name| (name.clone(), name.clone()));
        let (names, last) = page_of(names, after.as_deref(), page_size(self.max_items));
        let mut groups = Vec::with_capacity(names.len());
        for name in names {
            if let Some(group) = Group::load(&mut call.tx, &user.account, &name).await? {
                groups.push(GroupEntry::from(&*group));
            }
        }
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListGroupsForUserResponse { groups, is_truncated: marker.is_some(), marker })
    }
}
