use super::common::{
    Recipient, algorithm, authorized_key, authorized_key_of, check_dry_run, check_grant_tokens,
    check_recipient, crypto_conditions, missing_blob, ready, without_blob,
};
use super::encrypt::DEFAULT_ALGORITHM;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::{self, Accept};
use crate::primitives::EncryptionAlgorithm;
use crate::types::{Arn, Blob, EncryptionContext, Plaintext};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Decrypts what `Encrypt`, `GenerateDataKey` or `ReEncrypt` returned, under the same context.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Decrypt {
    ciphertext_blob: Option<Blob>,
    encryption_context: Option<EncryptionContext>,
    grant_tokens: Option<Vec<String>>,
    key_id: Option<String>,
    encryption_algorithm: Option<String>,
    recipient: Option<Recipient>,
    dry_run: Option<bool>,
    dry_run_modifiers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecryptResponse {
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Plaintext>,
    encryption_algorithm: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for Decrypt {
    type Service = Kms;
    type Response = DecryptResponse;
    const NAME: &'static str = "Decrypt";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "EncryptionAlgorithm", "EncryptionContext=", "DryRun", "DryRunModifiers"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DecryptResponse, Error> {
        check_grant_tokens(call, self.grant_tokens.as_ref())?;
        check_recipient(self.recipient.as_ref())?;
        let context = self.encryption_context.unwrap_or_default();
        keys::check_context(&context)?;
        let named = self.encryption_algorithm.as_deref().unwrap_or(DEFAULT_ALGORITHM);
        let conditions = crypto_conditions(named, &context);
        let action = "kms:Decrypt";
        let key = match (&self.key_id, &self.ciphertext_blob) {
            (Some(id), _) => {
                authorized_key(call, id, Accept::KeyOrAlias, action, conditions).await?
            }
            (None, Some(blob)) => authorized_key_of(call, blob, action, conditions).await?,
            (None, None) => return Err(missing_blob()),
        };
        let key = ready(call, key, Self::NAME)?;
        let algorithm = algorithm::<EncryptionAlgorithm>(&key, named)?;
        key.encrypts_with(algorithm, &context, Self::NAME)?;
        let Some(blob) = self.ciphertext_blob else {
            return Err(without_blob(self.dry_run, self.dry_run_modifiers.as_deref()));
        };
        let (plaintext, material_id) =
            key.decrypt(&mut call.tx, algorithm, &blob, &context).await?;
        check_dry_run(self.dry_run)?;
        call.record_material("keyMaterialId", material_id.clone());
        Ok(DecryptResponse {
            key_id: key.arn.clone(),
            plaintext: Some(plaintext),
            encryption_algorithm: algorithm.as_str().into(),
            ciphertext_for_recipient: None,
            key_material_id: material_id,
        })
    }
}
