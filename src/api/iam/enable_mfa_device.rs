use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::mfa::MfaDevice;
use crate::types::SecretText;
use serde::{Deserialize, Serialize};

/// Makes a device a user's, given two codes that it showed one after the other.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableMFADevice {
    user_name: String,
    serial_number: String,
    authentication_code1: SecretText,
    authentication_code2: SecretText,
}

impl Operation for EnableMFADevice {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "EnableMFADevice";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "SerialNumber"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, Some(&self.user_name), "iam:EnableMFADevice").await?;
        let device = MfaDevice::find(&mut call.tx, &user.account, &self.serial_number).await?;
        let codes = (self.authentication_code1.expose(), self.authentication_code2.expose());
        let now = call.now;
        device.enable(&allowed, &mut call.tx, &user, codes, now).await?;
        Ok(Empty)
    }
}
