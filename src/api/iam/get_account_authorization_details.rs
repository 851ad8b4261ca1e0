use super::common::{Boundary, Tag, page_size, url_encoded};
use super::entities::AttachedEntry;
use super::managed::VersionEntry;
use super::walk::{Item, STAGES, Stage, walk};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::{self, Attachments, Entity, Group, ManagedPolicy, Role, User};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Lists everybody in the account with the texts of all their policies.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccountAuthorizationDetails {
    filter: Option<Vec<String>>,
    max_items: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccountAuthorizationDetailsResponse {
    user_detail_list: Vec<UserDetail>,
    group_detail_list: Vec<GroupDetail>,
    role_detail_list: Vec<RoleDetail>,
    policies: Vec<PolicyDetail>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UserDetail {
    path: String,
    user_name: String,
    user_id: String,
    arn: Arn,
    create_date: Timestamp,
    user_policy_list: Vec<InlineDetail>,
    group_list: Vec<String>,
    attached_managed_policies: Vec<AttachedEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GroupDetail {
    path: String,
    group_name: String,
    group_id: String,
    arn: Arn,
    create_date: Timestamp,
    group_policy_list: Vec<InlineDetail>,
    attached_managed_policies: Vec<AttachedEntry>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleDetail {
    path: String,
    role_name: String,
    role_id: String,
    arn: Arn,
    create_date: Timestamp,
    assume_role_policy_document: String,
    /// Always empty: there are no instances here.
    instance_profile_list: Vec<serde_json::Value>,
    role_policy_list: Vec<InlineDetail>,
    attached_managed_policies: Vec<AttachedEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    tags: Vec<Tag>,
    /// Not recorded here.
    #[serde(skip_serializing_if = "Option::is_none")]
    role_last_used: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InlineDetail {
    policy_name: String,
    policy_document: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDetail {
    policy_name: String,
    policy_id: String,
    arn: Arn,
    path: String,
    default_version_id: String,
    attachment_count: u32,
    permissions_boundary_usage_count: u32,
    is_attachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    create_date: Timestamp,
    update_date: Timestamp,
    policy_version_list: Vec<VersionEntry>,
}

impl InlineDetail {
    fn all(policies: &Attachments) -> Vec<Self> {
        let texts = policies.inline.iter();
        texts
            .map(|(name, text)| Self {
                policy_name: name.clone(),
                policy_document: url_encoded(text),
            })
            .collect()
    }
}

impl UserDetail {
    fn of(user: &User) -> Self {
        Self {
            path: user.path.clone(),
            user_name: user.name.clone(),
            user_id: user.id.clone(),
            arn: user.arn.clone(),
            create_date: user.created.whole_secs(),
            user_policy_list: InlineDetail::all(&user.policies),
            group_list: user.groups.iter().cloned().collect(),
            attached_managed_policies: AttachedEntry::all(&user.policies),
            permissions_boundary: user.boundary.as_deref().map(Boundary::from),
            tags: Tag::list(&user.tags).collect(),
        }
    }
}

impl GroupDetail {
    fn of(group: &Group) -> Self {
        Self {
            path: group.path.clone(),
            group_name: group.name.clone(),
            group_id: group.id.clone(),
            arn: group.arn.clone(),
            create_date: group.created.whole_secs(),
            group_policy_list: InlineDetail::all(&group.policies),
            attached_managed_policies: AttachedEntry::all(&group.policies),
        }
    }
}

impl RoleDetail {
    async fn of(call: &mut Call<'_>, role: &Role) -> Result<Self, Error> {
        let trust = identity::shown(&mut call.tx, &role.trust).await?;
        Ok(Self {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn.clone(),
            create_date: role.created.whole_secs(),
            assume_role_policy_document: url_encoded(&trust),
            instance_profile_list: Vec::new(),
            role_policy_list: InlineDetail::all(&role.policies),
            attached_managed_policies: AttachedEntry::all(&role.policies),
            permissions_boundary: role.boundary.as_deref().map(Boundary::from),
            tags: Tag::list(&role.tags).collect(),
            role_last_used: None,
        })
    }
}

impl PolicyDetail {
    fn of(policy: &ManagedPolicy, (attachments, boundaries): (u32, u32)) -> Self {
        Self {
            policy_name: policy.name.clone(),
            policy_id: policy.id.clone(),
            arn: policy.arn.clone(),
            path: policy.path.clone(),
            default_version_id: format!("v{}", policy.default),
            attachment_count: attachments,
            permissions_boundary_usage_count: boundaries,
            is_attachable: true,
            description: Some(policy.description.clone()).filter(|text| !text.is_empty()),
            create_date: policy.created.whole_secs(),
            update_date: policy.updated.whole_secs(),
            policy_version_list: VersionEntry::all(policy),
        }
    }
}

impl Operation for GetAccountAuthorizationDetails {
    type Service = Iam;
    type Response = GetAccountAuthorizationDetailsResponse;
    const NAME: &'static str = "GetAccountAuthorizationDetails";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["Filter", "MaxItems", "Marker"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GetAccountAuthorizationDetailsResponse, Error> {
        let whole = call.whole_account();
        call.authorize("iam:GetAccountAuthorizationDetails", whole, Conditions::default())?;
        let account = call.account().clone();
        let filter = self.filter.filter(|names| !names.is_empty());
        let named = STAGES.iter().filter(|(_, name)| {
            filter.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
        });
        let stages: Vec<Stage> = named.map(|(stage, _)| *stage).collect();
        let list = format!("GetAccountAuthorizationDetails {stages:?}");
        let at = (self.marker.as_deref(), page_size(self.max_items));
        let (found, marker) = walk(call, &list, &stages, at, |_| true).await?;
        let mut answer = GetAccountAuthorizationDetailsResponse::default();
        for item in &found {
            match item {
                Item::Entity(Entity::User(user)) => {
                    answer.user_detail_list.push(UserDetail::of(user));
                }
                Item::Entity(Entity::Group(group)) => {
                    answer.group_detail_list.push(GroupDetail::of(group));
                }
                Item::Entity(Entity::Role(role)) => {
                    answer.role_detail_list.push(RoleDetail::of(call, role).await?);
                }
                Item::Policy(policy) => {
                    let uses = policy.uses(&mut call.tx, &account).await?;
                    answer.policies.push(PolicyDetail::of(policy, uses));
                }
            }
        }
        answer.is_truncated = marker.is_some();
        answer.marker = marker;
        Ok(answer)
    }
}
