use super::entities::names;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Lists the names of the policies written into a group.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupPolicies {
    group_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupPoliciesResponse {
    policy_names: Vec<String>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListGroupPolicies {
    type Service = Iam;
    type Response = ListGroupPoliciesResponse;
    const NAME: &'static str = "ListGroupPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["GroupName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListGroupPoliciesResponse, Error> {
        let whom = (EntityKind::Group, self.group_name.as_str());
        let at = (self.marker.as_deref(), self.max_items);
        let part = names(call, whom, at, "iam:ListGroupPolicies").await?;
        Ok(ListGroupPoliciesResponse {
            policy_names: part.entries,
            is_truncated: part.marker.is_some(),
            marker: part.marker,
        })
    }
}
