use super::common::{Recipient, check_dry_run, check_recipient, crypto_key};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Derives the secret that a KMS key pair shares with somebody's public key (ECDH, the raw x
/// coordinate: NIST SP 800-56A, 5.7.1.2). The caller puts it through a KDF.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeriveSharedSecret {
    key_id: String,
    key_agreement_algorithm: String,
    public_key: Blob,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
    recipient: Option<Recipient>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeriveSharedSecretResponse {
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_secret: Option<Plaintext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    key_agreement_algorithm: String,
    key_origin: String,
}

impl Operation for DeriveSharedSecret {
    type Service = Kms;
    type Response = DeriveSharedSecretResponse;
    const NAME: &'static str = "DeriveSharedSecret";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "KeyAgreementAlgorithm", "PublicKey", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DeriveSharedSecretResponse, Error> {
        check_recipient(self.recipient.as_ref())?;
        let mut conditions = Conditions::default();
        conditions.add("kms:keyagreementalgorithm", self.key_agreement_algorithm.as_str());
        let (action, tokens) = ("kms:DeriveSharedSecret", self.grant_tokens.as_ref());
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        // Whether the public key is one shows when it is used, so a dry run ends after it.
        let secret = key.derive(&mut call.tx, &self.public_key).await?;
        check_dry_run(self.dry_run)?;
        Ok(DeriveSharedSecretResponse {
            key_id: key.arn.clone(),
            shared_secret: Some(secret),
            ciphertext_for_recipient: None,
            key_agreement_algorithm: self.key_agreement_algorithm,
            key_origin: key.origin.as_str().into(),
        })
    }
}
