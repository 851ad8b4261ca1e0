use super::managed::policy_to_change;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Deletes a managed policy that nobody has attached and that has no other versions left.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeletePolicy {
    policy_arn: String,
}

impl Operation for DeletePolicy {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeletePolicy";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (policy, allowed) =
            policy_to_change(call, &self.policy_arn, "iam:DeletePolicy", Conditions::default())
                .await?;
        policy.delete(&allowed, &mut call.tx).await?;
        Ok(Empty)
    }
}
