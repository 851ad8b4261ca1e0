use super::{Error, Sts};
use crate::authorize::Conditions;
use crate::call::{Call, Operation, encoded_message};
use serde::{Deserialize, Serialize};

/// Opens the message that came with a refusal of somebody of the caller's account: what was asked,
/// and what decided.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecodeAuthorizationMessage {
    encoded_message: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecodeAuthorizationMessageResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded_message: Option<String>,
}

impl Operation for DecodeAuthorizationMessage {
    type Service = Sts;
    type Response = DecodeAuthorizationMessageResponse;
    const NAME: &'static str = "DecodeAuthorizationMessage";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<DecodeAuthorizationMessageResponse, Error> {
        let account = call.whole_account();
        call.authorize("sts:DecodeAuthorizationMessage", account, Conditions::default())?;
        let root = &call.server.root;
        let opened = encoded_message::open(root, call.account(), &self.encoded_message)
            .ok_or(Error::InvalidAuthorizationMessage)?;
        Ok(DecodeAuthorizationMessageResponse { decoded_message: Some(opened) })
    }
}
