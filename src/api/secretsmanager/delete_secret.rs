use super::common::authorized_secret;
use super::{Error, SecretsManager, rotations};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::{DEFAULT_WINDOW_DAYS, Secret};
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};

/// Schedules a secret's deletion in 7 to 30 days, or deletes it at once and for good.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecret {
    pub(super) secret_id: String,
    pub(super) recovery_window_in_days: Option<i64>,
    pub(super) force_delete_without_recovery: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
}

impl Operation for DeleteSecret {
    type Service = SecretsManager;
    type Response = DeleteSecretResponse;
    const NAME: &'static str = "DeleteSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "RecoveryWindowInDays", "ForceDeleteWithoutRecovery"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name", "DeletionDate"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DeleteSecretResponse, Error> {
        let force = self.force_delete_without_recovery == Some(true);
        let days = self.recovery_window_in_days.unwrap_or(DEFAULT_WINDOW_DAYS);
        let mut conditions = Conditions::default();
        conditions
            .add("secretsmanager:forcedeletewithoutrecovery", if force { "true" } else { "false" });
        if !force {
            conditions.add("secretsmanager:recoverywindowindays", days.to_string());
        }
        let action = "secretsmanager:DeleteSecret";
        let found = authorized_secret(call, &self.secret_id, action, conditions).await;
        // Permission comes first, but a secret that is not there must not hide a bad request.
        if matches!(found, Ok(_) | Err(Error::NotFound))
            && force
            && self.recovery_window_in_days.is_some()
        {
            return Err(Error::InvalidParameter(
                "You can't use ForceDeleteWithoutRecovery in conjunction with \
                 RecoveryWindowInDays."
                    .into(),
            ));
        }
        let now = call.now;
        let secret = match found {
            // By force, what is gone is as good as deleted.
            Err(Error::NotFound) if force => return Ok(gone(self.secret_id, now)),
            found => found?,
        };
        let end = if force {
            rotations::end_with(call, &secret).await?;
            secret.delete_now(&mut call.tx).await?;
            now
        } else {
            secret.schedule_deletion(&mut call.tx, days, now)?
        };
        Ok(DeleteSecretResponse::of(&secret, end))
    }
}

impl DeleteSecretResponse {
    pub(super) fn of(secret: &Secret, end: Timestamp) -> Self {
        Self {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            deletion_date: Some(end),
        }
    }
}

/// The answer for a secret that was not there: what the caller said of it.
fn gone(secret_id: String, now: Timestamp) -> DeleteSecretResponse {
    let (arn, name) = match secret_id.parse::<Arn>() {
        Ok(arn) => (Some(arn), None),
        Err(_) => (None, Some(secret_id)),
    };
    DeleteSecretResponse { arn, name, deletion_date: Some(now) }
}
