use super::common::{authorized_user, bad_marker, page_of, page_size};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::{AccessKey, Status};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// Lists a user's access keys, without their secrets.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAccessKeys {
    user_name: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAccessKeysResponse {
    access_key_metadata: Vec<AccessKeyMetadata>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessKeyMetadata {
    user_name: Option<String>,
    access_key_id: Option<String>,
    status: Option<String>,
    create_date: Option<Timestamp>,
}

impl Operation for ListAccessKeys {
    type Service = Iam;
    type Response = ListAccessKeysResponse;
    const NAME: &'static str = "ListAccessKeys";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListAccessKeysResponse, Error> {
        let (user, _) =
            authorized_user(call, self.user_name.as_deref(), "iam:ListAccessKeys").await?;
        let list = format!("ListAccessKeys {}", user.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let mut keys = std::collections::BTreeMap::new();
        for id in &user.access_keys {
            if let Some(key) = AccessKey::load(&mut call.tx, id).await? {
                let active = key.status == Status::Active;
                let entry = AccessKeyMetadata {
                    user_name: Some(user.name.clone()),
                    access_key_id: Some(key.id.clone()),
                    status: Some(if active { "Active".into() } else { "Inactive".into() }),
                    create_date: Some(key.created.whole_secs()),
                };
                keys.insert(id.clone(), entry);
            }
        }
        let (page, last) = page_of(keys.into_iter(), after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListAccessKeysResponse {
            access_key_metadata: page,
            is_truncated: marker.is_some(),
            marker,
        })
    }
}
