use super::common::page_size;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::KeyOfAccount;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Lists the account's keys in the region.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeys {
    limit: Option<i64>,
    marker: Option<String>,
    resource_owners: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeysResponse {
    keys: Vec<KeyListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyListEntry {
    key_id: String,
    key_arn: Arn,
}

impl Operation for ListKeys {
    type Service = Kms;
    type Response = ListKeysResponse;
    const NAME: &'static str = "ListKeys";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["Limit", "Marker", "ResourceOwners"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListKeysResponse, Error> {
        call.authorize("kms:ListKeys", call.whole_account(), Conditions::default())?;
        let owners = self.resource_owners.unwrap_or_default();
        if !owners.is_empty() && !owners.iter().any(|o| o == "SELF") {
            // Keys shared by other accounts: there are none.
            return Ok(ListKeysResponse { keys: Vec::new(), next_marker: None, truncated: false });
        }
        let size = page_size(self.limit, 100, 1000)?;
        let after = call.resume("ListKeys", self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        let scope = [call.account().as_str(), call.region().as_str()];
        let page = call.tx.list::<KeyOfAccount>(&scope, after.as_deref(), size).await?;
        let next_marker = call.marker("ListKeys", &page);
        let keys = page
            .records
            .into_iter()
            .map(|(key_id, entry)| KeyListEntry { key_id, key_arn: entry.arn.clone() })
            .collect();
        Ok(ListKeysResponse { keys, truncated: next_marker.is_some(), next_marker })
    }
}
