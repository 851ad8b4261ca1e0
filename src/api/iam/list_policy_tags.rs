use super::common::{Tag, bad_marker, page_of, page_size};
use super::managed::policy_to_read;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Lists a managed policy's tags.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPolicyTags {
    policy_arn: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPolicyTagsResponse {
    tags: Vec<Tag>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListPolicyTags {
    type Service = Iam;
    type Response = ListPolicyTagsResponse;
    const NAME: &'static str = "ListPolicyTags";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListPolicyTagsResponse, Error> {
        let policy = policy_to_read(call, &self.policy_arn, "iam:ListPolicyTags").await?;
        let list = format!("ListPolicyTags {} {}", policy.arn, policy.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let tags = Tag::list(&policy.tags).map(|tag| (tag.key.clone(), tag));
        let (tags, last) = page_of(tags, after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListPolicyTagsResponse { tags, is_truncated: marker.is_some(), marker })
    }
}
