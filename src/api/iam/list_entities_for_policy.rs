use super::common::page_size;
use super::managed::policy_to_read;
use super::walk::{Item, STAGES, Stage, walk};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::{Entity, EntityKind};
use serde::{Deserialize, Serialize};

/// Lists the users, groups and roles that have a managed policy attached, or as their boundary.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListEntitiesForPolicy {
    policy_arn: String,
    entity_filter: Option<String>,
    path_prefix: Option<String>,
    policy_usage_filter: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListEntitiesForPolicyResponse {
    policy_groups: Vec<PolicyGroup>,
    policy_users: Vec<PolicyUser>,
    policy_roles: Vec<PolicyRole>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyGroup {
    group_name: String,
    group_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyUser {
    user_name: String,
    user_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyRole {
    role_name: String,
    role_id: String,
}

impl ListEntitiesForPolicyResponse {
    fn add(&mut self, entity: &Entity) {
        let (name, id) = (entity.name().to_owned(), entity.id().to_owned());
        match entity.kind() {
            EntityKind::User => {
                self.policy_users.push(PolicyUser { user_name: name, user_id: id });
            }
            EntityKind::Group => {
                self.policy_groups.push(PolicyGroup { group_name: name, group_id: id });
            }
            EntityKind::Role => {
                self.policy_roles.push(PolicyRole { role_name: name, role_id: id });
            }
        }
    }
}

impl Operation for ListEntitiesForPolicy {
    type Service = Iam;
    type Response = ListEntitiesForPolicyResponse;
    const NAME: &'static str = "ListEntitiesForPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListEntitiesForPolicyResponse, Error> {
        let policy = policy_to_read(call, &self.policy_arn, "iam:ListEntitiesForPolicy").await?;
        let arn = policy.arn.as_str();
        let prefix = self.path_prefix.as_deref().unwrap_or("/");
        let usage = self.policy_usage_filter.as_deref();
        let wanted = |item: &Item| {
            let Item::Entity(entity) = item else { return false };
            let attached = entity.policies().attached.contains(arn);
            let bounded = entity.boundary() == Some(arn);
            let used = match usage {
                Some("PermissionsPolicy") => attached,
                Some(_) => bounded,
                None => attached || bounded,
            };
            used && entity.path().starts_with(prefix)
        };
        let all = [Stage::Users, Stage::Groups, Stage::Roles];
        let filter = self.entity_filter.as_deref();
        let named = STAGES.iter().filter(|(_, name)| filter.is_none_or(|filter| filter == *name));
        let stages: Vec<Stage> =
            named.map(|(stage, _)| *stage).filter(|stage| all.contains(stage)).collect();
        let list = format!("ListEntitiesForPolicy {arn} {stages:?} {usage:?} {prefix}");
        let at = (self.marker.as_deref(), page_size(self.max_items));
        // No index by policy: an entity's record is the only place that says what it carries, which
        // renaming and deleting cannot make wrong. Accounts have thousands of entities at most.
        let (found, marker) = walk(call, &list, &stages, at, wanted).await?;
        let mut answer = ListEntitiesForPolicyResponse::default();
        for item in &found {
            if let Item::Entity(entity) = item {
                answer.add(entity);
            }
        }
        answer.is_truncated = marker.is_some();
        answer.marker = marker;
        Ok(answer)
    }
}
