use super::entities::{AttachedEntry, attached};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Lists the managed policies attached to a user, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedUserPolicies {
    user_name: String,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedUserPoliciesResponse {
    attached_policies: Vec<AttachedEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAttachedUserPolicies {
    type Service = Iam;
    type Response = ListAttachedUserPoliciesResponse;
    const NAME: &'static str = "ListAttachedUserPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "PathPrefix", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListAttachedUserPoliciesResponse, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        let at = (self.marker.as_deref(), self.max_items);
        let prefix = self.path_prefix.as_deref();
        let part = attached(call, whom, prefix, at, "iam:ListAttachedUserPolicies").await?;
        Ok(ListAttachedUserPoliciesResponse {
            attached_policies: part.entries,
            is_truncated: part.marker.is_some(),
            marker: part.marker,
        })
    }
}
