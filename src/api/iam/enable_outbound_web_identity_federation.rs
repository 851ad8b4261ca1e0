use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::outbound::{NewKeys, OutboundFederation};
use crate::store::StoreError;
use serde::{Deserialize, Serialize};

/// Lets the account's principals ask for tokens that others can check. Each time it has new keys.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableOutboundWebIdentityFederation {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableOutboundWebIdentityFederationResponse {
    issuer_identifier: String,
}

impl Operation for EnableOutboundWebIdentityFederation {
    type Service = Iam;
    type Response = EnableOutboundWebIdentityFederationResponse;
    const NAME: &'static str = "EnableOutboundWebIdentityFederation";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[];
    const ANSWER_RECORDED: &'static [&'static str] = &["IssuerIdentifier"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<EnableOutboundWebIdentityFederationResponse, Error> {
        let (whole, action) = (call.whole_account(), "iam:EnableOutboundWebIdentityFederation");
        let allowed = call.authorize(action, whole, Conditions::default())?;
        let Some(base) = &call.server.public_url else {
            let text = "The server has no public URL: its operator sets federation.issuer.";
            return Err(Error::Validation(text.into()));
        };
        let (account, now, random) = (call.account().clone(), call.now, call.random());
        let made = call.compute(move || NewKeys::generate(&*random)).await?;
        let failed = |why: String| StoreError::Corrupt(format!("no token keys: {why}"));
        let keys = made
            .ok_or_else(|| failed("it broke off".into()))?
            .map_err(|error| failed(error.to_string()))?;
        OutboundFederation::enable(&allowed, &mut call.tx, &account, keys, now).await?;
        let issuer_identifier = OutboundFederation::issuer(base, &account);
        Ok(EnableOutboundWebIdentityFederationResponse { issuer_identifier })
    }
}
