use super::mfa::authorized_device;
use super::{Error, Iam};
use crate::call::{Call, Empty, Operation};
use serde::{Deserialize, Serialize};

/// Deletes a device that is nobody's.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVirtualMFADevice {
    serial_number: String,
}

impl Operation for DeleteVirtualMFADevice {
    type Service = Iam;
    type Response = Empty;
    const NAME: &'static str = "DeleteVirtualMFADevice";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SerialNumber"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let (device, allowed) =
            authorized_device(call, &self.serial_number, "iam:DeleteVirtualMFADevice").await?;
        device.delete(&allowed, &mut call.tx)?;
        Ok(Empty)
    }
}
