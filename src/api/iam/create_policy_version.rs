use super::managed::{VersionEntry, policy_to_change};
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Adds a version to a managed policy, and puts it in force if that is asked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatePolicyVersion {
    policy_arn: String,
    policy_document: String,
    set_as_default: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreatePolicyVersionResponse {
    policy_version: VersionEntry,
}

impl Operation for CreatePolicyVersion {
    type Service = Iam;
    type Response = CreatePolicyVersionResponse;
    const NAME: &'static str = "CreatePolicyVersion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "PolicyDocument", "SetAsDefault"];
    const ANSWER_RECORDED: &'static [&'static str] = &["PolicyVersion"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreatePolicyVersionResponse, Error> {
        let action = "iam:CreatePolicyVersion";
        let (policy, allowed) =
            policy_to_change(call, &self.policy_arn, action, Conditions::default()).await?;
        let as_default = self.set_as_default.unwrap_or(false);
        let (text, now) = (self.policy_document, call.now);
        let number = policy.add_version(&allowed, &mut call.tx, text, as_default, now).await?;
        Ok(CreatePolicyVersionResponse {
            policy_version: VersionEntry::new(number, as_default, now),
        })
    }
}
