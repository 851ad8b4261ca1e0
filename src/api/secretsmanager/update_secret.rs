use super::common::{authorized_secret, request_token, save};
use super::cross_account;
use super::external::describe_kind;
use super::kms::{describe_key, parse_key_id, try_key};
use super::values::{rekey, write_value};
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::secrets::SecretValue;
use crate::types::{Arn, Plaintext, SecretText};
use serde::{Deserialize, Serialize};

/// Changes a secret's description, key or value. Under a new key the versions in use are sealed
/// anew.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecret {
    secret_id: String,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<Plaintext>,
    secret_string: Option<SecretText>,
    #[serde(rename = "Type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecretResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

impl Operation for UpdateSecret {
    type Service = SecretsManager;
    type Response = UpdateSecretResponse;
    const NAME: &'static str = "UpdateSecret";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "ClientRequestToken", "Description", "KmsKeyId", "Type"];
    const ANSWER_RECORDED: &'static [&'static str] = &["ARN"];

    async fn execute(self, call: &mut Call<'_>) -> Result<UpdateSecretResponse, Error> {
        // The outer option: whether the key is to change; the inner one: to which.
        let new_key = self.kms_key_id.map(|named| parse_key_id(call, named));
        let mut conditions = Conditions::default();
        if let Some(description) = &self.description {
            conditions.add("secretsmanager:description", description.as_str());
        }
        describe_kind(&mut conditions, self.kind.as_deref());
        let named = new_key.as_ref().and_then(|key| key.as_deref());
        describe_key(call, named, &mut conditions).await?;
        let action = "secretsmanager:UpdateSecret";
        let secret = authorized_secret(call, &self.secret_id, action, conditions).await?;

        // A name or an alias means another key to the secret's own account than to the caller's.
        let is_arn = named.is_some_and(|named| named.starts_with("arn:"));
        if new_key.is_some() && !is_arn && secret.account != *call.account() {
            let text = "To change the key of another account's secret, give the key's ARN.";
            return Err(Error::InvalidParameter(text.into()));
        }
        let token = request_token(self.client_request_token)?;
        let value = SecretValue::parse(self.secret_string, self.secret_binary)?;
        // The key is what a replica has of its own.
        let told = self.description.is_some() || self.kind.is_some();
        let mut secret = match value {
            Some(_) => secret.edit()?,
            None if told || new_key.is_none() => secret.edit_metadata()?,
            None => secret.edit_key()?,
        };
        if matches!(new_key, Some(None)) && secret.primary_elsewhere().is_some() {
            return Err(cross_account::needs_key());
        }
        if let Some(description) = self.description {
            secret.set_description(description);
        }
        if let Some(kind) = self.kind {
            secret.set_kind(kind)?;
        }
        let key = match named {
            Some(named) => try_key(call, &secret.arn, named).await?,
            None => None,
        };
        if let Some(new_key) = &new_key {
            secret.set_kms_key_id(new_key.clone());
        }
        if let Some(value) = &value {
            write_value(call, &mut secret, &token, value, None).await?;
        }
        if new_key.is_some() {
            rekey(call, &mut secret, key.as_ref()).await?;
        }
        let secret = save(call, secret).await?;
        Ok(UpdateSecretResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id: value.map(|_| token),
        })
    }
}
