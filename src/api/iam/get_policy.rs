use super::managed::{PolicyEntry, policy_to_read};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Says what is known of a managed policy, all but its text.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPolicy {
    policy_arn: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPolicyResponse {
    policy: PolicyEntry,
}

impl Operation for GetPolicy {
    type Service = Iam;
    type Response = GetPolicyResponse;
    const NAME: &'static str = "GetPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicyArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetPolicyResponse, Error> {
        let policy = policy_to_read(call, &self.policy_arn, "iam:GetPolicy").await?;
        let account = call.account().clone();
        let uses = policy.uses(&mut call.tx, &account).await?;
        Ok(GetPolicyResponse { policy: PolicyEntry::of(&policy, uses) })
    }
}
