use super::oidc::authorized_provider;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::oidc_provider::OidcProvider;
use serde::{Deserialize, Serialize};

/// Adds an audience that a provider's tokens may be for. One that is there already stays.
#[derive(Debug, Deserialize, Serialize)]
pub struct AddClientIDToOpenIDConnectProvider {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: String,
    #[serde(rename = "ClientID")]
    client_id: String,
}

impl Operation for AddClientIDToOpenIDConnectProvider {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "AddClientIDToOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn", "ClientID"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (arn, action) =
            (&self.open_id_connect_provider_arn, "iam:AddClientIDToOpenIDConnectProvider");
        let (provider, allowed) = authorized_provider(call, arn, action).await?;
        if !provider.client_ids.contains(&self.client_id) {
            let mut provider = OidcProvider::clone(&provider);
            provider.client_ids.push(self.client_id);
            provider.save(&allowed, &mut call.tx)?;
        }
        Ok(Empty)
    }
}
