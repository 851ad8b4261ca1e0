use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::outbound::OutboundFederation;
use serde::{Deserialize, Serialize};

/// Says by which URL the account's tokens name it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetOutboundWebIdentityFederationInfo {}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetOutboundWebIdentityFederationInfoResponse {
    issuer_identifier: String,
    jwt_vending_enabled: bool,
}

impl Operation for GetOutboundWebIdentityFederationInfo {
    type Service = Iam;
    type Response = GetOutboundWebIdentityFederationInfoResponse;
    const NAME: &'static str = "GetOutboundWebIdentityFederationInfo";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GetOutboundWebIdentityFederationInfoResponse, Error> {
        let (whole, action) = (call.whole_account(), "iam:GetOutboundWebIdentityFederationInfo");
        call.authorize(action, whole, Conditions::default())?;
        let account = call.account().clone();
        let federation = OutboundFederation::load(&mut call.tx, &account).await?;
        let enabled = federation.is_some_and(|federation| federation.enabled);
        match &call.server.public_url {
            Some(base) if enabled => Ok(GetOutboundWebIdentityFederationInfoResponse {
                issuer_identifier: OutboundFederation::issuer(base, &account),
                jwt_vending_enabled: true,
            }),
            _ => Err(Error::FeatureDisabled),
        }
    }
}
