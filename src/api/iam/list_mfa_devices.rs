use super::common::{authorized_user, bad_marker, page_of, page_size};
use super::{Error, Iam};
use crate::call::{Call, Operation};
use crate::identity::mfa::MfaDevice;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Lists a user's MFA devices; without a name, the caller's.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListMFADevices {
    user_name: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListMFADevicesResponse {
    #[serde(rename = "MFADevices")]
    mfa_devices: Vec<Enabled>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Enabled {
    user_name: String,
    serial_number: Arn,
    enable_date: Timestamp,
}

impl Operation for ListMFADevices {
    type Service = Iam;
    type Response = ListMFADevicesResponse;
    const NAME: &'static str = "ListMFADevices";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["UserName", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListMFADevicesResponse, Error> {
        let (user, _) =
            authorized_user(call, self.user_name.as_deref(), "iam:ListMFADevices").await?;
        let list = format!("ListMFADevices {}", user.id);
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let mut devices = Vec::new();
        for serial in &user.mfa_devices {
            let Some(device) = MfaDevice::load(&mut call.tx, &user.account, serial).await? else {
                continue;
            };
            let Some(owner) = &device.owner else { continue };
            let entry = Enabled {
                user_name: user.name.clone(),
                serial_number: device.arn.clone(),
                enable_date: owner.since.whole_secs(),
            };
            devices.push((serial.clone(), entry));
        }
        let (mfa_devices, last) =
            page_of(devices.into_iter(), after.as_deref(), page_size(self.max_items));
        let marker = last.map(|last| call.marker_after(&list, &last));
        Ok(ListMFADevicesResponse { mfa_devices, is_truncated: marker.is_some(), marker })
    }
}
