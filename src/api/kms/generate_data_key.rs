use super::common::{Recipient, check_dry_run, check_recipient, crypto_conditions, crypto_key};
use super::encrypt::DEFAULT_ALGORITHM;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::{self, Found};
use crate::primitives::EncryptionAlgorithm;
use crate::types::{Arn, Blob, EncryptionContext, Plaintext};
use serde::{Deserialize, Serialize};

/// Makes a data key: in plaintext for use at once, and encrypted under a KMS key for keeping.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKey {
    key_id: String,
    encryption_context: Option<EncryptionContext>,
    number_of_bytes: Option<i64>,
    key_spec: Option<String>,
    grant_tokens: Option<Vec<String>>,
    recipient: Option<Recipient>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyResponse {
    ciphertext_blob: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Plaintext>,
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for GenerateDataKey {
    type Service = Kms;
    type Response = GenerateDataKeyResponse;
    const NAME: &'static str = "GenerateDataKey";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext=", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GenerateDataKeyResponse, Error> {
        check_recipient(self.recipient.as_ref())?;
        let wanted = Wanted {
            key_id: self.key_id,
            context: self.encryption_context.unwrap_or_default(),
            bytes: length(self.number_of_bytes, self.key_spec.as_deref())?,
            tokens: self.grant_tokens,
            dry_run: self.dry_run,
        };
        let made = wanted.make(call, Self::NAME, "kms:GenerateDataKey").await?;
        Ok(GenerateDataKeyResponse {
            ciphertext_blob: made.sealed.blob,
            plaintext: Some(made.plaintext),
            key_id: made.key_id,
            ciphertext_for_recipient: None,
            key_material_id: made.sealed.material_id,
        })
    }
}

/// How long the data key is to be: exactly one of the two members says it.
pub(super) fn length(bytes: Option<i64>, spec: Option<&str>) -> Result<usize, Error> {
    match (bytes, spec) {
        (Some(bytes), None) => usize::try_from(bytes)
            .map_err(|_| Error::Validation("NumberOfBytes must be positive.".into())),
        (None, Some("AES_128")) => Ok(16),
        (None, Some(_)) => Ok(32),
        (None, None) | (Some(_), Some(_)) => {
            Err(Error::Validation("Please specify either number of bytes or key spec.".into()))
        }
    }
}

/// A data key to be made. GenerateDataKeyWithoutPlaintext shares it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub key_id: String,
    pub context: EncryptionContext,
    pub bytes: usize,
    pub tokens: Option<Vec<String>>,
    pub dry_run: Option<bool>,
}

#[derive(Debug)]
pub(super) struct Made {
    pub plaintext: Plaintext,
    pub sealed: keys::Bound,
    pub key_id: Arn,
}

/// Only symmetric keys encrypt data keys.
pub(in crate::api) fn wraps_data_keys(
    key: &Found,
    context: &EncryptionContext,
    operation: &'static str,
) -> Result<(), Error> {
    if key.spec.is_symmetric() {
        return key.encrypts_with(EncryptionAlgorithm::SymmetricDefault, context, operation);
    }
    Err(Error::InvalidKeySpec { arn: key.arn.clone(), spec: key.spec, operation })
}

impl Wanted {
    pub(super) async fn make(
        self,
        call: &mut Call<'_>,
        operation: &'static str,
        action: &'static str,
    ) -> Result<Made, Error> {
        keys::check_context(&self.context)?;
        let conditions = crypto_conditions(DEFAULT_ALGORITHM, &self.context);
        let tokens = self.tokens.as_ref();
        let key = crypto_key(call, &self.key_id, operation, action, tokens, conditions).await?;
        wraps_data_keys(&key, &self.context, operation)?;
        check_dry_run(self.dry_run)?;
        let random = call.random();
        let mut data_key = vec![0; self.bytes];
        random.fill(&mut data_key);
        let plaintext = Plaintext::new(data_key);
        let (algorithm, bytes) = (EncryptionAlgorithm::SymmetricDefault, plaintext.expose());
        let sealed = key.encrypt(&mut call.tx, &*random, algorithm, bytes, &self.context).await?;
        call.record_material("keyMaterialId", sealed.material_id.clone());
        Ok(Made { plaintext, sealed, key_id: key.arn.clone() })
    }
}
