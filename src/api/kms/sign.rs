use super::common::{algorithm, check_dry_run, crypto_key, message_type};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::primitives::{MessageType, SigningAlgorithm};
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Signs a message, or the digest of one, with the private key of an asymmetric KMS key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Sign {
    key_id: String,
    message: Plaintext,
    message_type: Option<String>,
    grant_tokens: Option<Vec<String>>,
    signing_algorithm: String,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignResponse {
    key_id: Arn,
    signature: Blob,
    signing_algorithm: String,
}

impl Operation for Sign {
    type Service = Kms;
    type Response = SignResponse;
    const NAME: &'static str = "Sign";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "MessageType", "SigningAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<SignResponse, Error> {
        let kind = message_type(self.message_type.as_deref())?;
        let conditions = signing_conditions(&self.signing_algorithm, kind);
        let tokens = self.grant_tokens.as_ref();
        let key =
            crypto_key(call, &self.key_id, Self::NAME, "kms:Sign", tokens, conditions).await?;
        let algorithm = algorithm::<SigningAlgorithm>(&key, &self.signing_algorithm)?;
        // Whether the message fits shows when it is signed, so a dry run ends after it.
        let signature = key.sign(&mut call.tx, algorithm, kind, self.message.expose()).await?;
        check_dry_run(self.dry_run)?;
        Ok(SignResponse {
            key_id: key.arn.clone(),
            signature,
            signing_algorithm: self.signing_algorithm,
        })
    }
}

/// The condition keys of Sign and Verify.
pub(super) fn signing_conditions(algorithm: &str, kind: MessageType) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("kms:signingalgorithm", algorithm);
    conditions.add("kms:messagetype", kind.as_str());
    conditions
}
