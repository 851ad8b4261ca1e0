use super::common::{Tag, UserEntry};
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::{NewUser, User, boundary};
use crate::types::Tags;
use serde::{Deserialize, Serialize};

/// Creates a user, who may do nothing until a policy says otherwise.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateUser {
    path: Option<String>,
    user_name: String,
    permissions_boundary: Option<String>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateUserResponse {
    user: UserEntry,
}

impl Operation for CreateUser {
    type Service = Iam;
    type Response = CreateUserResponse;
    const NAME: &'static str = "CreateUser";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["Path", "UserName", "PermissionsBoundary", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] = &["User"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateUserResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let new = NewUser {
            account: call.account().clone(),
            name: self.user_name,
            path: self.path.unwrap_or_else(|| "/".into()),
            boundary: self.permissions_boundary,
            tags,
        };
        let resource = || Resource::user(new.arn(), Tags::default());
        if !new.tags.0.is_empty() {
            call.authorize("iam:TagUser", resource(), conditions.clone())?;
        }
        if let Some(arn) = &new.boundary {
            conditions.add("iam:permissionsboundary", arn.as_str());
        }
        let allowed = call.authorize("iam:CreateUser", resource(), conditions)?;
        if let Some(arn) = &new.boundary {
            boundary::check(&mut call.tx, &new.account, arn).await?;
            boundary::exchange(&allowed, &mut call.tx, &new.account, None, Some(arn)).await?;
        }
        let (random, now) = (call.random(), call.now);
        let user = User::create(&allowed, &mut call.tx, new, &*random, now).await?;
        Ok(CreateUserResponse { user: UserEntry::from(&*user) })
    }
}
