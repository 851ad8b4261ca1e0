use super::common::authorized_user;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use crate::identity::mfa::MfaDevice;
use serde::{Deserialize, Serialize};

/// Takes a device from its user, who is then asked for its codes no more.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeactivateMFADevice {
    user_name: Option<String>,
    serial_number: String,
}

impl Operation for DeactivateMFADevice {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeactivateMFADevice";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["UserName", "SerialNumber"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (user, allowed) =
            authorized_user(call, self.user_name.as_deref(), "iam:DeactivateMFADevice").await?;
        let device = MfaDevice::find(&mut call.tx, &user.account, &self.serial_number).await?;
        device.deactivate(&allowed, &mut call.tx, &user).await?;
        Ok(Empty)
    }
}
