use super::common::{check_dry_run, crypto_key};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::primitives::KeyUsage;
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Makes a shared secret and the ciphertext that carries it to the key's owner (ML-KEM, FIPS 203).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Encapsulate {
    key_id: String,
    encapsulation_algorithm: String,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncapsulateResponse {
    key_id: Arn,
    shared_secret: Plaintext,
    shared_secret_ciphertext_blob: Blob,
    encapsulation_algorithm: String,
}

impl Operation for Encapsulate {
    type Service = Kms;
    type Response = EncapsulateResponse;
    const NAME: &'static str = "Encapsulate";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "EncapsulationAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<EncapsulateResponse, Error> {
        let conditions = encapsulation_conditions(&self.encapsulation_algorithm);
        let (action, tokens) = ("kms:Encapsulate", self.grant_tokens.as_ref());
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        key.used_for(KeyUsage::EncapsulateDecapsulate, Self::NAME)?;
        check_dry_run(self.dry_run)?;
        let (secret, ciphertext) = key.encapsulate(&mut call.tx).await?;
        Ok(EncapsulateResponse {
            key_id: key.arn.clone(),
            shared_secret: secret,
            shared_secret_ciphertext_blob: ciphertext,
            encapsulation_algorithm: self.encapsulation_algorithm,
        })
    }
}

/// The condition key of Encapsulate and Decapsulate.
pub(super) fn encapsulation_conditions(algorithm: &str) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("kms:encapsulationalgorithm", algorithm);
    conditions
}
