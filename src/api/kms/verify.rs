use super::common::{algorithm, check_dry_run, crypto_key, message_type};
use super::sign::signing_conditions;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::primitives::SigningAlgorithm;
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Verifies a signature that `Sign` made. One that does not fit is an error, never `false`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Verify {
    key_id: String,
    message: Plaintext,
    message_type: Option<String>,
    signature: Blob,
    signing_algorithm: String,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyResponse {
    key_id: Arn,
    signature_valid: bool,
    signing_algorithm: String,
}

impl Operation for Verify {
    type Service = Kms;
    type Response = VerifyResponse;
    const NAME: &'static str = "Verify";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "MessageType", "SigningAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<VerifyResponse, Error> {
        let kind = message_type(self.message_type.as_deref())?;
        let conditions = signing_conditions(&self.signing_algorithm, kind);
        let tokens = self.grant_tokens.as_ref();
        let key =
            crypto_key(call, &self.key_id, Self::NAME, "kms:Verify", tokens, conditions).await?;
        let algorithm = algorithm::<SigningAlgorithm>(&key, &self.signing_algorithm)?;
        let message = self.message.expose();
        let outcome = key.verify(&mut call.tx, algorithm, kind, message, &self.signature).await;
        // A dry run asks whether the call may be made, not whether the signature fits.
        if matches!(outcome, Ok(()) | Err(Error::InvalidSignature)) {
            check_dry_run(self.dry_run)?;
        }
        outcome?;
        Ok(VerifyResponse {
            key_id: key.arn.clone(),
            signature_valid: true,
            signing_algorithm: self.signing_algorithm,
        })
    }
}
