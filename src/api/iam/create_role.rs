use super::common::Tag;
use super::role_entry::RoleEntry;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::role::DEFAULT_SESSION_SECONDS;
use crate::identity::{NewRole, Role, boundary};
use crate::types::Tags;
use serde::{Deserialize, Serialize};

/// Creates a role: what those whom its trust policy names may become for a while.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRole {
    path: Option<String>,
    role_name: String,
    assume_role_policy_document: String,
    description: Option<String>,
    max_session_duration: Option<i64>,
    permissions_boundary: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRoleResponse {
    role: RoleEntry,
}

/// The model of CreateRole has no NoSuchEntity.
fn unknown_boundary(error: Error) -> Error {
    match error {
        Error::NoSuchEntity(text) => Error::InvalidInput(text),
        other => other,
    }
}

impl Operation for CreateRole {
    type Service = Iam;
    type Response = CreateRoleResponse;
    const NAME: &'static str = "CreateRole";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "Path",
        "RoleName",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
        "Tags",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["Role"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateRoleResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let new = NewRole {
            account: call.account().clone(),
            name: self.role_name,
            path: self.path.unwrap_or_else(|| "/".into()),
            description: self.description.unwrap_or_default(),
            trust: self.assume_role_policy_document,
            max_session_seconds: self.max_session_duration.unwrap_or(DEFAULT_SESSION_SECONDS),
            boundary: self.permissions_boundary,
            tags,
        };
        let resource = || Resource::role(new.arn(), Tags::default());
        if !new.tags.0.is_empty() {
            call.authorize("iam:TagRole", resource(), conditions.clone())?;
        }
        if let Some(arn) = &new.boundary {
            conditions.add("iam:permissionsboundary", arn.as_str());
        }
        let allowed = call.authorize("iam:CreateRole", resource(), conditions)?;
        if let Some(arn) = &new.boundary {
            boundary::check(&mut call.tx, &new.account, arn).await.map_err(unknown_boundary)?;
            boundary::exchange(&allowed, &mut call.tx, &new.account, None, Some(arn)).await?;
        }
        let (random, now) = (call.random(), call.now);
        let role = Role::create(&allowed, &mut call.tx, new, &*random, now).await?;
        Ok(CreateRoleResponse { role: RoleEntry::of(call, &role).await? })
    }
}
