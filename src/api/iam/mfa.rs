//! What the operations on MFA devices share.
use super::Error;
use super::common::{Tag, UserEntry};
use crate::authorize::{Authorized, Conditions, Resource};
use crate::call::Call;
use crate::identity::mfa::MfaDevice;
use crate::types::{Arn, Plaintext, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A virtual device as answers show it; seed and picture once, when it is made.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceEntry {
    pub(super) serial_number: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base32_string_seed: Option<Plaintext>,
    #[serde(rename = "QRCodePNG", skip_serializing_if = "Option::is_none")]
    pub(super) qr_code_png: Option<Plaintext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<UserEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tags: Option<Vec<Tag>>,
}

/// The device of this serial number in the caller's account, if the caller may do `action` with it.
pub(super) async fn authorized_device(
    call: &mut Call<'_>,
    serial: &str,
    action: &'static str,
) -> Result<(Arc<MfaDevice>, Authorized<Resource>), Error> {
    let account = call.account().clone();
    let found = MfaDevice::find(&mut call.tx, &account, serial).await;
    let resource = match &found {
        Ok(device) => Resource::mfa_device(device.arn.clone(), device.tags.clone()),
        // Whoever may not ask does not learn what exists.
        Err(_) => {
            let named = format!("mfa/{}", serial.rsplit('/').next().unwrap_or_default());
            Resource::mfa_device(Arn::new("iam", "", account.as_str(), &named), Tags::default())
        }
    };
    let allowed = call
        .authorize(action, resource, Conditions::default())
        .map_err(|denied| denied.of(serial))?;
    Ok((found?, allowed))
}
