use super::oidc::authorized_provider;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::oidc_provider::OidcProvider;
use serde::{Deserialize, Serialize};

/// Removes an audience. One that is not there is passed over.
#[derive(Debug, Deserialize, Serialize)]
pub struct RemoveClientIDFromOpenIDConnectProvider {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: String,
    #[serde(rename = "ClientID")]
    client_id: String,
}

impl Operation for RemoveClientIDFromOpenIDConnectProvider {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "RemoveClientIDFromOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn", "ClientID"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (arn, action) =
            (&self.open_id_connect_provider_arn, "iam:RemoveClientIDFromOpenIDConnectProvider");
        let (provider, allowed) = authorized_provider(call, arn, action).await?;
        if provider.client_ids.contains(&self.client_id) {
            let mut provider = OidcProvider::clone(&provider);
            provider.client_ids.retain(|id| *id != self.client_id);
            provider.save(&allowed, &mut call.tx)?;
        }
        Ok(Empty)
    }
}
