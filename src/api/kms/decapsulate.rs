use super::common::{check_dry_run, crypto_key};
use super::encapsulate::encapsulation_conditions;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Opens what `Encapsulate`, or anybody with the public key, made (ML-KEM, FIPS 203). A damaged
/// ciphertext gives another secret, not an error: that is the algorithm's own way of refusing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Decapsulate {
    key_id: String,
    shared_secret_ciphertext_blob: Blob,
    encapsulation_algorithm: String,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DecapsulateResponse {
    key_id: Arn,
    shared_secret: Plaintext,
    encapsulation_algorithm: String,
}

impl Operation for Decapsulate {
    type Service = Kms;
    type Response = DecapsulateResponse;
    const NAME: &'static str = "Decapsulate";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "EncapsulationAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DecapsulateResponse, Error> {
        let conditions = encapsulation_conditions(&self.encapsulation_algorithm);
        let (action, tokens) = ("kms:Decapsulate", self.grant_tokens.as_ref());
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        let secret = key.decapsulate(&mut call.tx, &self.shared_secret_ciphertext_blob).await?;
        check_dry_run(self.dry_run)?;
        Ok(DecapsulateResponse {
            key_id: key.arn.clone(),
            shared_secret: secret,
            encapsulation_algorithm: self.encapsulation_algorithm,
        })
    }
}
