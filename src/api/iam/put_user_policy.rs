use super::entities::put;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Writes a policy into a user, or replaces the one of that name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutUserPolicy {
    user_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for PutUserPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "PutUserPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PolicyName", "PolicyDocument"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        put(call, whom, (self.policy_name, self.policy_document), "iam:PutUserPolicy").await
    }
}
