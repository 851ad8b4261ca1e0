use super::entities::read;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::EntityKind;
use serde::{Deserialize, Serialize};

/// Returns a policy of a user, URL-encoded as IAM does it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetUserPolicy {
    user_name: String,
    policy_name: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetUserPolicyResponse {
    user_name: String,
    policy_name: String,
    policy_document: String,
}

impl Operation for GetUserPolicy {
    type Service = Iam;
    type Response = GetUserPolicyResponse;
    const NAME: &'static str = "GetUserPolicy";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "PolicyName"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetUserPolicyResponse, Error> {
        let whom = (EntityKind::User, self.user_name.as_str());
        let (user_name, policy_document) =
            read(call, whom, &self.policy_name, "iam:GetUserPolicy").await?;
        Ok(GetUserPolicyResponse { user_name, policy_name: self.policy_name, policy_document })
    }
}
