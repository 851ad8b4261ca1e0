use super::common::{Tag, add_tags, authorized_role};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Role;
use serde::{Deserialize, Serialize};

/// Adds tags to a role, or changes their values.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagRole {
    role_name: String,
    tags: Vec<Tag>,
}

impl Operation for TagRole {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "TagRole";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "Tags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let tags = Tag::parse(Some(self.tags))?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let (role, allowed) =
            authorized_role(call, &self.role_name, "iam:TagRole", conditions).await?;
        let mut role = Role::clone(&role);
        add_tags(&mut role.tags, tags)?;
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
