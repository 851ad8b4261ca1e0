use super::{Error, Sts};
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Says who is calling. Needs no permission, and only the policy of a VPC endpoint can refuse it (STS
/// API reference).
#[derive(Debug, Deserialize, Serialize)]
pub struct GetCallerIdentity {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCallerIdentityResponse {
    user_id: String,
    account: String,
    arn: Arn,
}

impl Operation for GetCallerIdentity {
    type Service = Sts;
    type Response = GetCallerIdentityResponse;
    const NAME: &'static str = "GetCallerIdentity";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetCallerIdentityResponse, Error> {
        call.pass("sts:GetCallerIdentity")?;
        let principal = call.principal();
        Ok(GetCallerIdentityResponse {
            user_id: principal.unique_id.clone(),
            account: principal.account.to_string(),
            arn: principal.arn.clone(),
        })
    }
}
