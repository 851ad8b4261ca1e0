use super::common::authorized_key;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::Accept;
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// Says whether a key rotates by itself, how often, and when next.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatus {
    key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatusResponse {
    key_rotation_enabled: bool,
    key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_in_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Timestamp>,
    /// Of a rotation on demand in progress: here it is over before the call that asks for it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand_rotation_start_date: Option<Timestamp>,
}

impl Operation for GetKeyRotationStatus {
    type Service = Kms;
    type Response = GetKeyRotationStatusResponse;
    const NAME: &'static str = "GetKeyRotationStatus";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetKeyRotationStatusResponse, Error> {
        let action = "kms:GetKeyRotationStatus";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        let (days, next) = key.rotation_status()?.unzip();
        Ok(GetKeyRotationStatusResponse {
            key_rotation_enabled: days.is_some(),
            key_id: key.id.clone(),
            rotation_period_in_days: days,
            next_rotation_date: next,
            on_demand_rotation_start_date: None,
        })
    }
}
