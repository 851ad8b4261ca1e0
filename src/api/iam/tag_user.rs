use super::common::{Tag, add_tags, authorized_user_if};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Adds tags to a user, or changes their values.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagUser {
    user_name: String,
    tags: Vec<Tag>,
}

impl Operation for TagUser {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "TagUser";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "Tags"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let tags = Tag::parse(Some(self.tags))?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let (user, allowed) =
            authorized_user_if(call, Some(&self.user_name), "iam:TagUser", conditions).await?;
        let mut user = User::clone(&user);
        add_tags(&mut user.tags, tags)?;
        user.update(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
