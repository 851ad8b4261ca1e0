use super::common::{Tag, authorized_user, bad_marker, page_of, page_size};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Lists the tags of a user.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUserTags {
    user_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUserTagsResponse {
    tags: Vec<Tag>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListUserTags {
    type Service = Iam;
    type Response = ListUserTagsResponse;
    const NAME: &'static str = "ListUserTags";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListUserTagsResponse, Error> {
        let (user, _) = authorized_user(call, Some(&self.user_name), "iam:ListUserTags").await?;
        let list = format!("ListUserTags {}", user.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let all = Tag::list(&user.tags).map(|tag| (tag.key.clone(), tag));
        let (tags, last) = page_of(all, after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListUserTagsResponse { tags, is_truncated: marker.is_some(), marker })
    }
}
