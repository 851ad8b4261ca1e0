use super::common::{UserEntry, bad_marker, page_size};
use super::mfa::DeviceEntry;
use super::{Error, Iam};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::User;
use crate::identity::mfa::MfaDevice;
use serde::{Deserialize, Serialize};

/// Lists the account's virtual MFA devices: all, those that are a user's, or the others.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListVirtualMFADevices {
    assignment_status: Option<String>,
    marker: Option<String>,
    max_items: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListVirtualMFADevicesResponse {
    #[serde(rename = "VirtualMFADevices")]
    virtual_mfa_devices: Vec<DeviceEntry>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<String>,
}

impl Operation for ListVirtualMFADevices {
    type Service = Iam;
    type Response = ListVirtualMFADevicesResponse;
    const NAME: &'static str = "ListVirtualMFADevices";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["AssignmentStatus", "Marker", "MaxItems"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListVirtualMFADevicesResponse, Error> {
        let everything = call.whole_account();
        call.authorize("iam:ListVirtualMFADevices", everything, Conditions::default())?;
        let status = self.assignment_status.unwrap_or_else(|| "Any".into());
        let list = format!("ListVirtualMFADevices {status}");
        let after = call.resume(&list, self.marker.as_deref()).ok_or_else(bad_marker)?;
        let size = page_size(self.max_items);
        // A page is what the store reads; the status may leave few of it.
        let page = MfaDevice::list(&call.tx, call.account(), after.as_deref(), size).await?;
        let marker = call.marker(&list, &page);
        let mut devices = Vec::new();
        for (_, device) in &page.records {
            let wanted = match status.as_str() {
                "Assigned" => device.owner.is_some(),
                "Unassigned" => device.owner.is_none(),
                _ => true,
            };
            if !wanted {
                continue;
            }
            let user = match &device.owner {
                Some(owner) => {
                    User::by_id(&mut call.tx, &device.account, &owner.name, &owner.id).await?
                }
                None => None,
            };
            devices.push(DeviceEntry {
                serial_number: device.arn.clone(),
                base32_string_seed: None,
                qr_code_png: None,
                user: user.map(|user| UserEntry::from(&*user).without_tags()),
                enable_date: device.owner.as_ref().map(|owner| owner.since.whole_secs()),
                tags: None,
            });
        }
        Ok(ListVirtualMFADevicesResponse {
            virtual_mfa_devices: devices,
            is_truncated: marker.is_some(),
            marker,
        })
    }
}
