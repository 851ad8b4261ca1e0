use super::entities::attach;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Attaches a managed policy to a user: its permissions hold from the next request on.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachUserPolicy {
    user_name: String,
    policy_arn: String,
}

impl Operation for AttachUserPolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "AttachUserPolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        attach(call, whom, &self.policy_arn, "iam:AttachUserPolicy").await
    }
}
