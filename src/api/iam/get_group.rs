use super::common::{UserEntry, authorized_group, bad_marker, page_of, page_size};
use super::group_entry::GroupEntry;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Says what is known of a group, and lists its users.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetGroup {
    group_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetGroupResponse {
    group: GroupEntry,
    users: Vec<UserEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for GetGroup {
    type Service = Iam;
    type Response = GetGroupResponse;
    const NAME: &'static str = "GetGroup";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["GroupName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetGroupResponse, Error> {
        let (group, _) =
            authorized_group(call, &self.group_name, "iam:GetGroup", Conditions::default()).await?;
        let list = format!("GetGroup {}", group.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let names = group.members.iter().map(|name| (name.clone(), name.clone()));
        let (names, last) = page_of(names, after.as_deref(), page_size(self.max_items));
        let mut users = Vec::with_capacity(names.len());
        for name in names {
            if let Some(user) = User::load(&mut call.tx, &group.account, &name).await? {
                users.push(UserEntry::from(&*user).without_tags());
            }
        }
        let marker = last.map(|last| call.marker_after(&list, &last));
        let is_truncated = marker.is_some();
        Ok(GetGroupResponse { group: GroupEntry::from(&*group), users, is_truncated, marker })
    }
}
