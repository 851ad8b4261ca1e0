use super::entities::read;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Returns a policy of a group, URL-encoded as IAM does it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetGroupPolicy {
    group_name: String,
    policy_name: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetGroupPolicyResponse {
    group_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetGroupPolicy {
    type Service = Iam;
    type Response = GetGroupPolicyResponse;
    const NAME: &'static str = "GetGroupPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["GroupName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetGroupPolicyResponse, Error> {
        let whom = (EntityKind::Group, self.group_name.as_str());
        let (group_name, policy_document) =
            read(call, whom, &self.policy_name, "iam:GetGroupPolicy").await?;
        Ok(GetGroupPolicyResponse { group_name, policy_name: self.policy_name, policy_document })
    }
}
