use super::oidc::authorized_provider;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::oidc_provider::OidcProvider;
use serde::{Deserialize, Serialize};

/// Replaces the thumbprints that are kept with a provider. They are not what it is trusted by.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateOpenIDConnectProviderThumbprint {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: String,
    thumbprint_list: Vec<String>,
}

impl Operation for UpdateOpenIDConnectProviderThumbprint {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "UpdateOpenIDConnectProviderThumbprint";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn", "ThumbprintList"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (arn, action) =
            (&self.open_id_connect_provider_arn, "iam:UpdateOpenIDConnectProviderThumbprint");
        let (provider, allowed) = authorized_provider(call, arn, action).await?;
        let provider =
            OidcProvider { thumbprints: self.thumbprint_list, ..OidcProvider::clone(&provider) };
        provider.save(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
