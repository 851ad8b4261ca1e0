use super::common::{authorized_secret, save};
use super::{Error, SecretsManager, rotations};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::rotation::Outcome;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Turns rotation off, and ends the one that is under way where it is. Labels stay.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelRotateSecret {
    secret_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelRotateSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The version that may be incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

impl Operation for CancelRotateSecret {
    type Service = SecretsManager;
    type Response = CancelRotateSecretResponse;
    const NAME: &'static str = "CancelRotateSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name", "VersionId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CancelRotateSecretResponse, Error> {
        let action = "secretsmanager:CancelRotateSecret";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        let mut secret = secret.edit()?;
        rotations::end(call, &secret, Outcome::Cancelled).await?;
        secret.stop_rotation();
        let secret = save(call, secret).await?;
        Ok(CancelRotateSecretResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id: secret.versions.unfinished().map(|(id, _)| id.to_owned()),
        })
    }
}
