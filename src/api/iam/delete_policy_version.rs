use super::managed::policy_to_change;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Deletes a version of a managed policy, but not the one that is in force.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeletePolicyVersion {
    policy_arn: String,
    version_id: String,
}

impl Operation for DeletePolicyVersion {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeletePolicyVersion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "VersionId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (policy, allowed) = policy_to_change(
            call,
            &self.policy_arn,
            "iam:DeletePolicyVersion",
            Conditions::default(),
        )
        .await?;
        policy.remove_version(&allowed, &mut call.tx, &self.version_id).await?;
        Ok(Empty)
    }
}
