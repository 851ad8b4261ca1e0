use super::common::{UserEntry, authorize_all_users, bad_marker, page_size};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Lists the account's users by name, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUsers {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListUsersResponse {
    users: Vec<UserEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListUsers {
    type Service = Iam;
    type Response = ListUsersResponse;
    const NAME: &'static str = "ListUsers";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PathPrefix", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListUsersResponse, Error> {
        authorize_all_users(call, "iam:ListUsers")?;
        let prefix = self.path_prefix.unwrap_or_else(|| "/".into());
        let list = format!("ListUsers {prefix}");
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let size = page_size(self.max_items);
        // A page is what the store reads; a prefix may leave few of it, as with AWS.
        let page = User::list(&call.tx, call.account(), after.as_deref(), size).await?;
        let marker = call.marker(&list, &page);
        let users = page.records.iter().map(|(_, user)| user);
        let users = users.filter(|user| user.path.starts_with(&prefix));
        let users = users.map(|user| UserEntry::from(&**user).without_tags()).collect();
        Ok(ListUsersResponse { users, is_truncated: marker.is_some(), marker })
    }
}
