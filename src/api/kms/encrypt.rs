use super::common::{algorithm, check_dry_run, crypto_conditions, crypto_key};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys;
use crate::primitives::EncryptionAlgorithm;
use crate::types::{Arn, Blob, EncryptionContext, Plaintext};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Encrypts up to 4096 bytes under a KMS key, bound to an encryption context.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Encrypt {
    key_id: String,
    plaintext: Plaintext,
    encryption_context: Option<EncryptionContext>,
    grant_tokens: Option<Vec<String>>,
    encryption_algorithm: Option<String>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncryptResponse {
    ciphertext_blob: Blob,
    key_id: Arn,
    encryption_algorithm: Cow<'static, str>,
}

/// What the members that name an encryption algorithm mean when they are absent.
pub(super) const DEFAULT_ALGORITHM: &str = EncryptionAlgorithm::SymmetricDefault.as_str();

impl Operation for Encrypt {
    type Service = Kms;
    type Response = EncryptResponse;
    const NAME: &'static str = "Encrypt";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "EncryptionAlgorithm", "EncryptionContext=", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<EncryptResponse, Error> {
        let context = self.encryption_context.unwrap_or_default();
        keys::check_context(&context)?;
        let named = self.encryption_algorithm.as_deref().unwrap_or(DEFAULT_ALGORITHM);
        let conditions = crypto_conditions(named, &context);
        let tokens = self.grant_tokens.as_ref();
        let key =
            crypto_key(call, &self.key_id, Self::NAME, "kms:Encrypt", tokens, conditions).await?;
        let algorithm = algorithm::<EncryptionAlgorithm>(&key, named)?;
        key.encrypts_with(algorithm, &context, Self::NAME)?;
        check_dry_run(self.dry_run)?;
        let (random, plaintext) = (call.random(), self.plaintext.expose());
        let sealed = key.encrypt(&mut call.tx, &*random, algorithm, plaintext, &context).await?;
        call.record_material("keyMaterialId", sealed.material_id);
        Ok(EncryptResponse {
            ciphertext_blob: sealed.blob,
            key_id: key.arn.clone(),
            encryption_algorithm: algorithm.as_str().into(),
        })
    }
}
