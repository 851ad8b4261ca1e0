use super::entities::names;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Lists the names of the policies written into a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRolePolicies {
    role_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRolePoliciesResponse {
    policy_names: Vec<String>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListRolePolicies {
    type Service = Iam;
    type Response = ListRolePoliciesResponse;
    const NAME: &'static str = "ListRolePolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["RoleName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListRolePoliciesResponse, Error> {
        let whom = (EntityKind::Role, self.role_name.as_str());
        let at = (self.marker.as_deref(), self.max_items);
        let part = names(call, whom, at, "iam:ListRolePolicies").await?;
        Ok(ListRolePoliciesResponse {
            policy_names: part.entries,
            is_truncated: part.marker.is_some(),
            marker: part.marker,
        })
    }
}
