use super::common::Tag;
use super::{Error, Iam};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::oidc_provider::{Issuer, OidcProvider};
use crate::types::{Arn, Tags};
use serde::{Deserialize, Serialize};

/// Says that an account takes an OpenID Connect provider's word for who somebody is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateOpenIDConnectProvider {
    url: String,
    #[serde(rename = "ClientIDList")]
    client_id_list: Option<Vec<String>>,
    thumbprint_list: Option<Vec<String>>,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct CreateOpenIDConnectProviderResponse {
    #[serde(rename = "OpenIDConnectProviderArn")]
    open_id_connect_provider_arn: Option<Arn>,
    #[serde(rename = "Tags", skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateOpenIDConnectProvider {
    type Service = Iam;
    type Response = CreateOpenIDConnectProviderResponse;
    const NAME: &'static str = "CreateOpenIDConnectProvider";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["Url", "ClientIDList", "ThumbprintList", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] = &["OpenIDConnectProviderArn"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<CreateOpenIDConnectProviderResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let account = call.account().clone();
        let issuer = Issuer::parse(&self.url);
        let arn = match &issuer {
            Some(issuer) => issuer.arn(&account),
            None => Arn::new("iam", "", account.as_str(), "oidc-provider/"),
        };
        let resource = || Resource::oidc_provider(arn.clone(), Tags::default());
        if !tags.0.is_empty() {
            call.authorize("iam:TagOpenIDConnectProvider", resource(), conditions.clone())?;
        }
        let allowed = call.authorize("iam:CreateOpenIDConnectProvider", resource(), conditions)?;
        let invalid = || Error::InvalidInput("Invalid Open ID Connect Provider URL".into());
        let mut client_ids: Vec<String> = Vec::new();
        for id in self.client_id_list.unwrap_or_default() {
            if !client_ids.contains(&id) {
                client_ids.push(id);
            }
        }
        let provider = OidcProvider {
            issuer: issuer.ok_or_else(invalid)?,
            arn,
            account,
            client_ids,
            thumbprints: self.thumbprint_list.unwrap_or_default(),
            created: call.now,
            tags,
        };
        let provider = provider.create(&allowed, &mut call.tx).await?;
        Ok(CreateOpenIDConnectProviderResponse {
            open_id_connect_provider_arn: Some(provider.arn.clone()),
            tags: Tag::shown(&provider.tags),
        })
    }
}
