use super::common::Tag;
use super::oidc::authorized_provider;
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// Says what is known of a provider.
#[derive(Debug, Deserialize, Serialize)]
pub struct GetOpenIDConnectProvider {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetOpenIDConnectProviderResponse {
    url: Option<String>,
    #[serde(rename = "ClientIDList")]
    client_id_list: Option<Vec<String>>,
    thumbprint_list: Option<Vec<String>>,
    create_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

impl Operation for GetOpenIDConnectProvider {
    type Service = Iam;
    type Response = GetOpenIDConnectProviderResponse;
    const NAME: &'static str = "GetOpenIDConnectProvider";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetOpenIDConnectProviderResponse, Error> {
        let (arn, action) = (&self.open_id_connect_provider_arn, "iam:GetOpenIDConnectProvider");
        let (provider, _) = authorized_provider(call, arn, action).await?;
        Ok(GetOpenIDConnectProviderResponse {
            url: Some(provider.issuer.as_str().to_owned()),
            client_id_list: Some(provider.client_ids.clone()),
            thumbprint_list: Some(provider.thumbprints.clone()),
            create_date: Some(provider.created.whole_secs()),
            tags: Tag::shown(&provider.tags),
        })
    }
}
