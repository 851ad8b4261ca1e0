use super::entities::{AttachedEntry, attached};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Lists the managed policies attached to a group, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedGroupPolicies {
    group_name: String,
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAttachedGroupPoliciesResponse {
    attached_policies: Vec<AttachedEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListAttachedGroupPolicies {
    type Service = Iam;
    type Response = ListAttachedGroupPoliciesResponse;
    const NAME: &'static str = "ListAttachedGroupPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["GroupName", "PathPrefix", "Marker", "MaxItems"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<ListAttachedGroupPoliciesResponse, Error> {
        let whom = (EntityKind::Group, self.group_name.as_str());
        let at = (self.marker.as_deref(), self.max_items);
        let prefix = self.path_prefix.as_deref();
        let part = attached(call, whom, prefix, at, "iam:ListAttachedGroupPolicies").await?;
        Ok(ListAttachedGroupPoliciesResponse {
            attached_policies: part.entries,
            is_truncated: part.marker.is_some(),
            marker: part.marker,
        })
    }
}
