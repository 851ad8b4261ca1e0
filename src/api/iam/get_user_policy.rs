use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// RFC 3986's unreserved characters stay as they are.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

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
        let (user, _) = authorized_user(call, Some(&self.user_name), "iam:GetUserPolicy").await?;
        let text = user.policy(&self.policy_name)?;
        Ok(GetUserPolicyResponse {
            user_name: user.name.clone(),
            policy_document: utf8_percent_encode(text, RESERVED).to_string(),
            policy_name: self.policy_name,
        })
    }
}
