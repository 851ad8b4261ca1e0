//! Roles as answers show them.
use super::Error;
use super::common::{Boundary, Tag, url_encoded};
use crate::call::Call;
use crate::identity::{self, Role};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RoleEntry {
    path: String,
    role_name: String,
    role_id: String,
    arn: Arn,
    create_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    assume_role_policy_document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_session_duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_last_used: Option<RoleLastUsed>,
    /// Roles are not made from templates here.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_role_template: Option<SourceRoleTemplate>,
}

/// Empty while nobody has used the role.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleLastUsed {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SourceRoleTemplate {
    template_arn: String,
    template_minor_version: i64,
}

impl RoleEntry {
    pub async fn of(call: &mut Call<'_>, role: &Role) -> Result<Self, Error> {
        let trust = identity::shown(&mut call.tx, &role.trust).await?;
        Ok(Self {
            path: role.path.clone(),
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: role.arn.clone(),
            create_date: role.created.whole_secs(),
            assume_role_policy_document: Some(url_encoded(&trust)),
            description: (!role.description.is_empty()).then(|| role.description.clone()),
            max_session_duration: Some(role.max_session_seconds),
            permissions_boundary: role.boundary.as_deref().map(Boundary::from),
            tags: Tag::shown(&role.tags),
            role_last_used: None,
            source_role_template: None,
        })
    }

    /// As lists show it.
    pub fn without_details(self) -> Self {
        Self { tags: None, permissions_boundary: None, ..self }
    }

    /// With its last use, as GetRole shows it.
    pub async fn with_last_use(self, call: &mut Call<'_>) -> Result<Self, Error> {
        let used = call.server.last_uses.access.of(&mut call.tx, &self.role_id).await?;
        let used = used.map_or_else(RoleLastUsed::default, |used| RoleLastUsed {
            last_used_date: Some(used.at.whole_secs()),
            region: Some(used.region.to_string()),
        });
        Ok(Self { role_last_used: Some(used), ..self })
    }
}
