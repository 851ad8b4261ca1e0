use super::managed::policy_to_change;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Puts a version of a managed policy in force, for all who have it attached.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SetDefaultPolicyVersion {
    policy_arn: String,
    version_id: String,
}

impl Operation for SetDefaultPolicyVersion {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "SetDefaultPolicyVersion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "VersionId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (policy, allowed) = policy_to_change(
            call,
            &self.policy_arn,
            "iam:SetDefaultPolicyVersion",
            Conditions::default(),
        )
        .await?;
        policy.set_default(&allowed, &mut call.tx, &self.version_id)?;
        Ok(Empty)
    }
}
