use super::{Error, Sts};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::AccessKey;
use serde::{Deserialize, Serialize};

/// Says which account an access key belongs to: whoever found a key can say whom to warn.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccessKeyInfo {
    access_key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAccessKeyInfoResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl Operation for GetAccessKeyInfo {
    type Service = Sts;
    type Response = GetAccessKeyInfoResponse;
    const NAME: &'static str = "GetAccessKeyInfo";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["AccessKeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetAccessKeyInfoResponse, Error> {
        let account = call.whole_account();
        call.authorize("sts:GetAccessKeyInfo", account, Conditions::default())?;
        let id = self.access_key_id;
        let found = AccessKey::load(&mut call.tx, &id).await?;
        let account = match found {
            Some(key) => key.account.clone(),
            // Temporary keys are nowhere but with who has them.
            None if id == call.caller.access_key_id => call.account().clone(),
            None => {
                let text = format!("The access key id {id} does not belong to an account.");
                return Err(Error::Validation(text));
            }
        };
        Ok(GetAccessKeyInfoResponse { account: Some(account.to_string()) })
    }
}
