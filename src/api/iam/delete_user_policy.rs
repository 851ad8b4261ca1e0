use super::entities::remove;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Removes a policy from a user.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteUserPolicy {
    user_name: String,
    policy_name: String,
}

impl Operation for DeleteUserPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteUserPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        remove(call, whom, &self.policy_name, "iam:DeleteUserPolicy").await
    }
}
