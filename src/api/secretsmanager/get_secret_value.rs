use super::common::authorized_secret;
use super::values::open_value;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::CURRENT;
use crate::types::{Arn, Plaintext, SecretText, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Answers a secret's value: of the current version, or of the one named by id or label.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSecretValueResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_binary: Option<Plaintext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_string: Option<SecretText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stages: Option<Vec<SmolStr>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_date: Option<Timestamp>,
}

impl Operation for GetSecretValue {
    type Service = SecretsManager;
    type Response = GetSecretValueResponse;
    const NAME: &'static str = "GetSecretValue";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["SecretId", "VersionId", "VersionStage"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetSecretValueResponse, Error> {
        self.read(call).await
    }
}

impl GetSecretValue {
    /// The request for the current version, as others make it for their caller.
    pub(super) fn current(secret_id: String) -> Self {
        Self { secret_id, version_id: None, version_stage: None }
    }

    pub(super) async fn read(&self, call: &mut Call<'_>) -> Result<GetSecretValueResponse, Error> {
        let (id, label) = (self.version_id.as_deref(), self.version_stage.as_deref());
        let mut conditions = Conditions::default();
        if let Some(id) = id {
            conditions.add("secretsmanager:versionid", id);
        }
        if let Some(label) = label.or(id.is_none().then_some(CURRENT)) {
            conditions.add("secretsmanager:versionstage", label);
        }
        let action = "secretsmanager:GetSecretValue";
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;
        secret.alive()?;
        let (id, version) = secret.versions.pick(id, label)?;
        let value = open_value(call, &secret, id).await?;
        call.reads_version(&secret.arn, id);
        let (secret_string, secret_binary) = value.into_members();
        let stages: Vec<SmolStr> = version.stages.iter().map(SmolStr::from).collect();
        Ok(GetSecretValueResponse {
            arn: Some(secret.arn.clone()),
            name: Some((&secret.name).into()),
            version_id: Some(id.to_owned()),
            secret_binary,
            secret_string,
            version_stages: (!stages.is_empty()).then_some(stages),
            created_date: Some(version.created),
        })
    }
}
