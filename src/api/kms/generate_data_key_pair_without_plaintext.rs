use super::generate_data_key_pair::{WantedPair, pair_spec};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::types::{Arn, Blob, EncryptionContext};
use serde::{Deserialize, Serialize};

/// The same as `GenerateDataKeyPair`, but the private key is answered encrypted only.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairWithoutPlaintext {
    encryption_context: Option<EncryptionContext>,
    key_id: String,
    key_pair_spec: String,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairWithoutPlaintextResponse {
    private_key_ciphertext_blob: Blob,
    public_key: Blob,
    key_id: Arn,
    key_pair_spec: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for GenerateDataKeyPairWithoutPlaintext {
    type Service = Kms;
    type Response = GenerateDataKeyPairWithoutPlaintextResponse;
    const NAME: &'static str = "GenerateDataKeyPairWithoutPlaintext";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "KeyPairSpec", "EncryptionContext=", "DryRun"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GenerateDataKeyPairWithoutPlaintextResponse, Error> {
        let wanted = WantedPair {
            key_id: self.key_id,
            spec: pair_spec(&self.key_pair_spec)?,
            context: self.encryption_context.unwrap_or_default(),
            tokens: self.grant_tokens,
            dry_run: self.dry_run,
        };
        let action = "kms:GenerateDataKeyPairWithoutPlaintext";
        let made = wanted.make(call, Self::NAME, action).await?;
        Ok(GenerateDataKeyPairWithoutPlaintextResponse {
            private_key_ciphertext_blob: made.sealed.blob,
            public_key: made.public_key,
            key_id: made.key_id,
            key_pair_spec: self.key_pair_spec,
            key_material_id: made.sealed.material_id,
        })
    }
}
