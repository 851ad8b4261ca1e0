use super::common::page_size;
use super::role_entry::RoleEntry;
use super::walk::{Item, Stage, walk};
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::Entity;
use crate::types::{Arn, Tags};
use serde::{Deserialize, Serialize};

/// Lists the roles of the account by name, those under a path if one is given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRoles {
    path_prefix: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRolesResponse {
    roles: Vec<RoleEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListRoles {
    type Service = Iam;
    type Response = ListRolesResponse;
    const NAME: &'static str = "ListRoles";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PathPrefix", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListRolesResponse, Error> {
        let all = Arn::new("iam", "", call.account().as_str(), "role/");
        let all = Resource::role(all, Tags::default());
        call.authorize("iam:ListRoles", all, Conditions::default())?;
        let prefix = self.path_prefix.unwrap_or_else(|| "/".into());
        let list = format!("ListRoles {prefix}");
        let at = (self.marker.as_deref(), page_size(self.max_items));
        let wanted = |item: &Item| matches!(item, Item::Entity(entity) if entity.path().starts_with(&prefix));
        let (found, marker) = walk(call, &list, &[Stage::Roles], at, wanted).await?;
        let mut roles = Vec::new();
        for item in &found {
            if let Item::Entity(Entity::Role(role)) = item {
                roles.push(RoleEntry::of(call, role).await?.without_details());
            }
        }
        Ok(ListRolesResponse { roles, is_truncated: marker.is_some(), marker })
    }
}
