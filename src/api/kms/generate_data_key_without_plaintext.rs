use super::generate_data_key::{Wanted, length};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::types::{Arn, Blob, EncryptionContext};
use serde::{Deserialize, Serialize};

/// Makes a data key that nobody sees before somebody decrypts it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyWithoutPlaintext {
    key_id: String,
    encryption_context: Option<EncryptionContext>,
    key_spec: Option<String>,
    number_of_bytes: Option<i64>,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyWithoutPlaintextResponse {
    ciphertext_blob: Blob,
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for GenerateDataKeyWithoutPlaintext {
    type Service = Kms;
    type Response = GenerateDataKeyWithoutPlaintextResponse;
    const NAME: &'static str = "GenerateDataKeyWithoutPlaintext";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "KeySpec", "NumberOfBytes", "EncryptionContext=", "DryRun"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<GenerateDataKeyWithoutPlaintextResponse, Error> {
        let wanted = Wanted {
            key_id: self.key_id,
            context: self.encryption_context.unwrap_or_default(),
            bytes: length(self.number_of_bytes, self.key_spec.as_deref())?,
            tokens: self.grant_tokens,
            dry_run: self.dry_run,
        };
        let made = wanted.make(call, Self::NAME, "kms:GenerateDataKeyWithoutPlaintext").await?;
        Ok(GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: made.sealed.blob,
            key_id: made.key_id,
            key_material_id: made.sealed.material_id,
        })
    }
}
