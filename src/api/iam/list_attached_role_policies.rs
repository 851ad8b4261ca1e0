use super::entities::{AttachedEntry, attached};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Lists the managed policies attached to a role, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedRolePolicies {
    role_name: String,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedRolePoliciesResponse {
    attached_policies: Vec<AttachedEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAttachedRolePolicies {
    type Service = Iam;
    type Response = ListAttachedRolePoliciesResponse;
    const NAME: &'static str = "ListAttachedRolePolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName", "PathPrefix", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListAttachedRolePoliciesResponse, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        let at = (self.marker.as_deref(), self.max_items);
        let prefix = self.path_prefix.as_deref();
        let part = attached(call, whom, prefix, at, "iam:ListAttachedRolePolicies").await?;
        Ok(ListAttachedRolePoliciesResponse {
            attached_policies: part.entries,
            is_truncated: part.marker.is_some(),
            marker: part.marker,
        })
    }
}
