use super::common::authorized_secret;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Takes a scheduled deletion back.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestoreSecret {
    secret_id: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestoreSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Operation for RestoreSecret {
    type Service = SecretsManager;
    type Response = RestoreSecretResponse;
    const NAME: &'static str = "RestoreSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["SecretId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN", "Name"];

    async fn execute(self, call: &mut Call<'_>) -> Result<RestoreSecretResponse, Error> {
        let action = "secretsmanager:RestoreSecret";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        secret.restore(&mut call.tx)?;
        Ok(RestoreSecretResponse { arn: Some(secret.arn.clone()), name: Some(secret.name.clone()) })
    }
}
