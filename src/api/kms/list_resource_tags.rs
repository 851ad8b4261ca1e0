use super::common::{Tag, authorized_key, own, page_size};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Lists a key's tags.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListResourceTags {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListResourceTagsResponse {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListResourceTags {
    type Service = Kms;
    type Response = ListResourceTagsResponse;
    const NAME: &'static str = "ListResourceTags";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListResourceTagsResponse, Error> {
        let action = "kms:ListResourceTags";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        let size = page_size(self.limit, 50, 50)?;
        let (marker, list) = (self.marker.as_deref(), format!("ListResourceTags {}", key.arn));
        let after = call.resume(&list, marker).ok_or(Error::InvalidMarker)?;
        let mut rest = key
            .tags
            .0
            .iter()
            .filter(|(name, _)| after.as_deref().is_none_or(|after| name.as_str() > after));
        let tags: Vec<Tag> = rest
            .by_ref()
            .take(size)
            .map(|(k, v)| Tag { tag_key: k.clone(), tag_value: v.clone() })
            .collect();
        let last = tags.last().filter(|_| rest.next().is_some()).map(|tag| tag.tag_key.as_str());
        let next_marker = last.map(|last| call.marker_after(&list, last));
        Ok(ListResourceTagsResponse { tags, truncated: next_marker.is_some(), next_marker })
    }
}
