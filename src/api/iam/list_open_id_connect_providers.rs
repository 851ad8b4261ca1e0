use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::oidc_provider::OidcProvider;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Lists the account's providers.
#[derive(Debug, Deserialize, Serialize)]
pub struct ListOpenIDConnectProviders {}

#[derive(Debug, Deserialize, Serialize)]
pub struct ListOpenIDConnectProvidersResponse {
    #[serde(rename = "OpenIDConnectProviderList")]
    open_id_connect_provider_list: Option<Vec<ProviderEntry>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ProviderEntry {
    arn: Option<Arn>,
}

impl Operation for ListOpenIDConnectProviders {
    type Service = Iam;
    type Response = ListOpenIDConnectProvidersResponse;
    const NAME: &'static str = "ListOpenIDConnectProviders";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<ListOpenIDConnectProvidersResponse, Error> {
        let everything = call.whole_account();
        call.authorize("iam:ListOpenIDConnectProviders", everything, Conditions::default())?;
        let all = OidcProvider::all(&call.tx, call.account()).await?;
        let entries = all.iter().map(|one| ProviderEntry { arn: Some(one.arn.clone()) }).collect();
        Ok(ListOpenIDConnectProvidersResponse { open_id_connect_provider_list: Some(entries) })
    }
}
