use super::common::{authorized_secret, request_token, save};
use super::values::{is_rotation_token, write_value};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::SecretValue;
use crate::types::{Arn, Plaintext, SecretText};
use serde::{Deserialize, Serialize};

/// Gives a secret a new version, which becomes the current one unless labels are given.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_binary: Option<Plaintext>,
    secret_string: Option<SecretText>,
    version_stages: Option<Vec<String>>,
    rotation_token: Option<SecretText>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutSecretValueResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stages: Option<Vec<String>>,
}

impl Operation for PutSecretValue {
    type Service = SecretsManager;
    type Response = PutSecretValueResponse;
    const NAME: &'static str = "PutSecretValue";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId", "ClientRequestToken", "VersionStages"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN"];

    async fn execute(self, call: &mut Call<'_>) -> Result<PutSecretValueResponse, Error> {
        let action = "secretsmanager:PutSecretValue";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        let token = request_token(self.client_request_token)?;
        if let Some(shown) = &self.rotation_token
            && !is_rotation_token(call, &secret, &token, shown).await?
        {
            return Err(Error::InvalidParameter("The RotationToken is invalid.".into()));
        }
        let value = SecretValue::parse(self.secret_string, self.secret_binary)?.ok_or(
            Error::InvalidRequest("You must provide either SecretString or SecretBinary."),
        )?;
        let mut secret = secret.edit()?;
        let labels = self.version_stages.as_deref();
        write_value(call, &mut secret, &token, &value, labels).await?;
        let secret = save(call, secret).await?;
        let stages = secret.versions.get(&token).map(|version| version.stages.iter());
        let stages: Vec<String> = stages.into_iter().flatten().cloned().collect();
        Ok(PutSecretValueResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id: Some(token),
            version_stages: (!stages.is_empty()).then_some(stages),
        })
    }
}
