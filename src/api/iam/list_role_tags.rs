use super::common::{Tag, authorized_role, bad_marker, page_of, page_size};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Lists the tags of a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRoleTags {
    role_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRoleTagsResponse {
    tags: Vec<Tag>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListRoleTags {
    type Service = Iam;
    type Response = ListRoleTagsResponse;
    const NAME: &'static str = "ListRoleTags";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListRoleTagsResponse, Error> {
        let (role, _) =
            authorized_role(call, &self.role_name, "iam:ListRoleTags", Conditions::default())
                .await?;
        let list = format!("ListRoleTags {}", role.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let all = Tag::list(&role.tags).map(|tag| (tag.key.clone(), tag));
        let (tags, last) = page_of(all, after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListRoleTagsResponse { tags, is_truncated: marker.is_some(), marker })
    }
}
