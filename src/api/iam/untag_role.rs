use super::common::{authorized_role, remove_tags};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::Role;
use serde::{Deserialize, Serialize};

/// Removes tags from a role.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagRole {
    role_name: String,
    tag_keys: Vec<String>,
}

impl Operation for UntagRole {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UntagRole";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["RoleName", "TagKeys"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let mut conditions = Conditions::default();
        conditions.add_all("aws:tagkeys", self.tag_keys.iter());
        let (role, allowed) =
            authorized_role(call, &self.role_name, "iam:UntagRole", conditions).await?;
        let mut role = Role::clone(&role);
        remove_tags(&mut role.tags, self.tag_keys.iter());
        role.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
