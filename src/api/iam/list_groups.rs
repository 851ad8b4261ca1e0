use super::common::{bad_marker, page_size};
use super::group_entry::GroupEntry;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::Group;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Lists the groups of the account by name, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroups {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupsResponse {
    groups: Vec<GroupEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListGroups {
    type Service = Iam;
    type Response = ListGroupsResponse;
    const NAME: &'static str = "ListGroups";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PathPrefix", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListGroupsResponse, Error> {
        let all = Arn::new("iam", "", call.account().as_str(), "group/");
        call.authorize("iam:ListGroups", Resource::group(all), Conditions::default())?;
        let prefix = self.path_prefix.unwrap_or_else(|| "/".into());
        let list = format!("ListGroups {prefix}");
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let size = page_size(self.max_items);
        let page = Group::list(&call.tx, call.account(), after.as_deref(), size).await?;
        let marker = call.marker(&list, &page);
        let groups = page.records.iter().map(|(_, group)| group);
        let groups = groups.filter(|group| group.path.starts_with(&prefix));
        let groups = groups.map(|group| GroupEntry::from(&**group)).collect();
        Ok(ListGroupsResponse { groups, is_truncated: marker.is_some(), marker })
    }
}
