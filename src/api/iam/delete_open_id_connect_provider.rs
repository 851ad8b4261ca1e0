use super::oidc::authorized_provider;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Takes a provider's word no more. Roles that trust it stay, and nobody can assume them by it.
#[derive(Debug, Deserialize, Serialize)]
pub struct DeleteOpenIDConnectProvider {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: String,
}

impl Operation for DeleteOpenIDConnectProvider {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (arn, action) = (&self.open_id_connect_provider_arn, "iam:DeleteOpenIDConnectProvider");
        let (provider, allowed) = authorized_provider(call, arn, action).await?;
        provider.delete(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
