use super::common::{
    authorized_key, check_algorithm, check_dry_run, check_grant_tokens, crypto_conditions,
};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::{self, ALGORITHM, Accept};
use crate::types::{Arn, Blob, EncryptionContext, Plaintext};
use serde::{Deserialize, Serialize};

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
    encryption_algorithm: String,
}

impl Operation for Encrypt {
    type Service = Kms;
    type Response = EncryptResponse;
    const NAME: &'static str = "Encrypt";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "EncryptionAlgorithm", "EncryptionContext=", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<EncryptResponse, Error> {
        check_grant_tokens(self.grant_tokens.as_ref())?;
        check_algorithm(self.encryption_algorithm.as_deref())?;
        let context = self.encryption_context.unwrap_or_default();
        keys::check_context(&context)?;
        let conditions = crypto_conditions(&context);
        let key = authorized_key(call, &self.key_id, Accept::KeyOrAlias, "kms:Encrypt", conditions)
            .await?;
        key.usable()?;
        check_dry_run(self.dry_run)?;
        let random = call.random();
        let sealed = key.encrypt(&mut call.tx, &*random, self.plaintext.expose(), &context).await?;
        call.record("keyMaterialId", sealed.material_id);
        Ok(EncryptResponse {
            ciphertext_blob: sealed.blob,
            key_id: key.arn.clone(),
            encryption_algorithm: ALGORITHM.into(),
        })
    }
}
