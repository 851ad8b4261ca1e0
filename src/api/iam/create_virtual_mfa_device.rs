use super::common::Tag;
use super::mfa::DeviceEntry;
use super::{Error, Iam, qr};
use crate::authorize::{Conditions, Resource};
use crate::call::{Call, Operation};
use crate::identity::mfa::{MfaDevice, NewMfaDevice};
use crate::types::{Plaintext, Tags};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Makes a virtual MFA device and answers its seed, which nobody learns again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVirtualMFADevice {
    path: Option<String>,
    #[serde(rename = "VirtualMFADeviceName")]
    virtual_mfa_device_name: String,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct CreateVirtualMFADeviceResponse {
    #[serde(rename = "VirtualMFADevice")]
    virtual_mfa_device: DeviceEntry,
}

impl Operation for CreateVirtualMFADevice {
    type Service = Iam;
    type Response = CreateVirtualMFADeviceResponse;
    const NAME: &'static str = "CreateVirtualMFADevice";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["Path", "VirtualMFADeviceName", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] = &["VirtualMFADevice.SerialNumber"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateVirtualMFADeviceResponse, Error> {
        let tags = Tag::parse(self.tags)?;
        let mut conditions = Conditions::default();
        conditions.add_request_tags(&tags);
        let new = NewMfaDevice {
            account: call.account().clone(),
            name: self.virtual_mfa_device_name,
            path: self.path.unwrap_or_else(|| "/".into()),
            tags,
        };
        let resource = || Resource::mfa_device(new.arn(), Tags::default());
        if !new.tags.0.is_empty() {
            call.authorize("iam:TagMFADevice", resource(), conditions.clone())?;
        }
        let allowed = call.authorize("iam:CreateVirtualMFADevice", resource(), conditions)?;
        let (random, now) = (call.random(), call.now);
        let device = MfaDevice::create(&allowed, &mut call.tx, new, &*random, now).await?;
        let seed = device.seed.expose();
        let picture = Zeroizing::new(format!(
            "otpauth://totp/{}@{}?secret={seed}",
            device.name, device.account
        ));
        let entry = DeviceEntry {
            serial_number: device.arn.clone(),
            base32_string_seed: Some(Plaintext::new(seed.as_bytes().to_vec())),
            // A name too long for a code still has a seed to type in.
            qr_code_png: qr::png(&picture).map(Plaintext::new),
            user: None,
            enable_date: None,
            tags: Tag::shown(&device.tags),
        };
        Ok(CreateVirtualMFADeviceResponse { virtual_mfa_device: entry })
    }
}
