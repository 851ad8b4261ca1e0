use super::managed::{VersionEntry, policy_to_read};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use serde::{Deserialize, Serialize};

/// Returns a version of a managed policy with its text, URL-encoded as IAM does it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPolicyVersion {
    policy_arn: String,
    version_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPolicyVersionResponse {
    policy_version: VersionEntry,
}

impl Operation for GetPolicyVersion {
    type Service = Iam;
    type Response = GetPolicyVersionResponse;
    const NAME: &'static str = "GetPolicyVersion";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["PolicyArn", "VersionId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetPolicyVersionResponse, Error> {
        let policy = policy_to_read(call, &self.policy_arn, "iam:GetPolicyVersion").await?;
        let (number, version) = policy.version(&self.version_id)?;
        let is_default = number == policy.default;
        let entry = VersionEntry::new(number, is_default, version.created);
        Ok(GetPolicyVersionResponse { policy_version: entry.with(&version.text) })
    }
}
