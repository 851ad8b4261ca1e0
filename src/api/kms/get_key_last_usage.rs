use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{Accept, Found};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Says when a key was last used, and for what. Uses are noted when they have succeeded and written
/// within a second.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyLastUsage {
    key_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyLastUsageResponse {
    key_id: Arn,
    key_last_usage: KeyLastUsageData,
    tracking_start_date: Timestamp,
    key_creation_date: Timestamp,
}

/// Empty while the key was never used.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyLastUsageData {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_trail_event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_request_id: Option<String>,
}

impl Operation for GetKeyLastUsage {
    type Service = Kms;
    type Response = GetKeyLastUsageResponse;
    const NAME: &'static str = "GetKeyLastUsage";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetKeyLastUsageResponse, Error> {
        let action = "kms:GetKeyLastUsage";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        key.permits(Self::NAME)?;
        let used = call.server.last_uses.of(&mut call.tx, &key.region, &key.id).await?;
        let key_last_usage = used.map_or_else(KeyLastUsageData::default, |used| KeyLastUsageData {
            operation: Some(used.operation.into()),
            timestamp: Some(used.at),
            cloud_trail_event_id: Some(used.event_id.into()),
            kms_request_id: Some(used.request_id.into()),
        });
        Ok(GetKeyLastUsageResponse {
            key_id: key.arn.clone(),
            key_last_usage,
            // Every key is watched from its first day.
            tracking_start_date: key.created,
            key_creation_date: key.created,
        })
    }
}

/// `kms:TrailingDaysWithoutKeyUsage`: whole days since the key was last used, or made.
pub(super) async fn unused_days(call: &mut Call<'_>, key: &Found) -> Result<String, Error> {
    let used = call.server.last_uses.of(&mut call.tx, &key.region, &key.id).await?;
    let since = used.map_or(key.created, |used| used.at);
    let days = (call.now.0 - since.0).max(0) / 86_400_000;
    Ok(days.to_string())
}
