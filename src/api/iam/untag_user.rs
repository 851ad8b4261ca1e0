use super::common::{authorized_user_if, remove_tags};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::User;
use serde::{Deserialize, Serialize};

/// Removes tags from a user.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagUser {
    user_name: String,
    tag_keys: Vec<String>,
}

impl Operation for UntagUser {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UntagUser";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "TagKeys"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add_all("aws:tagkeys", self.tag_keys.iter());
        let (user, allowed) =
            authorized_user_if(call, Some(&self.user_name), "iam:UntagUser", conditions).await?;
        let mut user = User::clone(&user);
        remove_tags(&mut user.tags, self.tag_keys.iter());
        user.update(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
