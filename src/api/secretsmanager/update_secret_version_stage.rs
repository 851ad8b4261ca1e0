use super::common::{authorized_secret, save};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Moves a staging label to another version, attaches it, or takes it off. `AWSPREVIOUS` follows
/// `AWSCURRENT`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecretVersionStage {
    secret_id: String,
    version_stage: String,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecretVersionStageResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Operation for UpdateSecretVersionStage {
    type Service = SecretsManager;
    type Response = UpdateSecretVersionStageResponse;
    const NAME: &'static str = "UpdateSecretVersionStage";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "VersionStage", "RemoveFromVersionId", "MoveToVersionId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN"];

    async fn execute(self, call: &mut Call<'_>) -> Result<UpdateSecretVersionStageResponse, Error> {
        let action = "secretsmanager:UpdateSecretVersionStage";
        let mut conditions = Conditions::default();
        conditions.add("secretsmanager:versionstage", self.version_stage.as_str());
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;
        let mut secret = secret.edit()?;
        let (from, to) = (self.remove_from_version_id, self.move_to_version_id);
        secret.move_stage(&self.version_stage, from.as_deref(), to.as_deref())?;
        let secret = save(call, secret).await?;
        Ok(UpdateSecretVersionStageResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
        })
    }
}
