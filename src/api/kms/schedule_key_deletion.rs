use super::common::unneeded_key;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::DEFAULT_WINDOW_DAYS;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Starts a key's waiting period of 7 to 30 days, after which it is destroyed for good.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletion {
    key_id: String,
    pending_window_in_days: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletionResponse {
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
    key_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_window_in_days: Option<i64>,
}

impl Operation for ScheduleKeyDeletion {
    type Service = Kms;
    type Response = ScheduleKeyDeletionResponse;
    const NAME: &'static str = "ScheduleKeyDeletion";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "PendingWindowInDays"];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["KeyId", "DeletionDate", "KeyState", "PendingWindowInDays"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ScheduleKeyDeletionResponse, Error> {
        let days = self.pending_window_in_days.unwrap_or(DEFAULT_WINDOW_DAYS);
        let mut conditions = Conditions::default();
        conditions.add("kms:schedulekeydeletionpendingwindowindays", days.to_string());
        let action = "kms:ScheduleKeyDeletion";
        let key = unneeded_key(call, &self.key_id, action, conditions).await?;
        let now = call.now;
        let key = key.schedule_deletion(&mut call.tx, days, now)?;
        Ok(ScheduleKeyDeletionResponse {
            key_id: key.arn.clone(),
            deletion_date: key.deletion,
            key_state: key.state.as_str().into(),
            pending_window_in_days: Some(days),
        })
    }
}
