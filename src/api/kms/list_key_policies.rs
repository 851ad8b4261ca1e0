use super::common::{authorized_key, own, page_size};
use super::get_key_policy::DEFAULT;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::Accept;
use serde::{Deserialize, Serialize};

/// Lists the names of a key's policies. There is one, and it is called `default`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyPolicies {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyPoliciesResponse {
    policy_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Operation for ListKeyPolicies {
    type Service = Kms;
    type Response = ListKeyPoliciesResponse;
    const NAME: &'static str = "ListKeyPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListKeyPoliciesResponse, Error> {
        let action = "kms:ListKeyPolicies";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        page_size(self.limit, 100, 1000)?;
        // One name fits on every page, so no list of ours has a marker to give.
        if self.marker.is_some() {
            return Err(Error::Validation("The marker is not valid.".into()));
        }
        Ok(ListKeyPoliciesResponse {
            policy_names: vec![DEFAULT.into()],
            next_marker: None,
            truncated: false,
        })
    }
}
