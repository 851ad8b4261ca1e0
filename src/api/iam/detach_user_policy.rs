use super::entities::detach;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Detaches a managed policy from a user.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachUserPolicy {
    user_name: String,
    policy_arn: String,
}

impl Operation for DetachUserPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DetachUserPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        detach(call, whom, &self.policy_arn, "iam:DetachUserPolicy").await
    }
}
