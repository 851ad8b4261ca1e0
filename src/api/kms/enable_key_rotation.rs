use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Empty, Operation};
use crate::keys::{Accept, DEFAULT_PERIOD_DAYS};
use serde::{Deserialize, Serialize};

/// Turns a key's automatic rotation on, or gives it another period.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableKeyRotation {
    key_id: String,
    rotation_period_in_days: Option<i64>,
}

impl Operation for EnableKeyRotation {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "EnableKeyRotation";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "RotationPeriodInDays"];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let days = self.rotation_period_in_days.unwrap_or(DEFAULT_PERIOD_DAYS);
        let mut conditions = Conditions::default();
        // Also when it was not named: a policy must not be got round by leaving it out.
        conditions.add("kms:rotationperiodindays", days.to_string());
        let action = "kms:EnableKeyRotation";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        let now = call.now;
        key.enable_rotation(&mut call.tx, days, now).await?;
        call.record_answer("keyId", key.arn.as_str());
        Ok(Empty)
    }
}
