use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::identity::outbound::OutboundFederation;
use serde::{Deserialize, Serialize};

/// Ends it: no new tokens. Those that were given are good as long as they say.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableOutboundWebIdentityFederation {}

impl Operation for DisableOutboundWebIdentityFederation {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DisableOutboundWebIdentityFederation";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (whole, action) = (call.whole_account(), "iam:DisableOutboundWebIdentityFederation");
        let allowed = call.authorize(action, whole, Conditions::default())?;
        let (account, now) = (call.account().clone(), call.now);
        OutboundFederation::disable(&allowed, &mut call.tx, &account, now).await?;
        Ok(Empty)
    }
}
