use super::common::{authorized_user, bad_marker, page_of, page_size};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Lists the names of a user's policies.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUserPolicies {
    user_name: String,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUserPoliciesResponse {
    policy_names: Vec<String>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListUserPolicies {
    type Service = Iam;
    type Response = ListUserPoliciesResponse;
    const NAME: &'static str = "ListUserPolicies";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListUserPoliciesResponse, Error> {
        let (user, _) =
            authorized_user(call, Some(&self.user_name), "iam:ListUserPolicies").await?;
        let list = format!("ListUserPolicies {}", user.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let names = user.policies.keys().map(|name| (name.clone(), name.clone()));
        let (policy_names, last) = page_of(names, after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListUserPoliciesResponse { policy_names, is_truncated: marker.is_some(), marker })
    }
}
