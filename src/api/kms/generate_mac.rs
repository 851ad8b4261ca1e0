use super::common::{algorithm, check_dry_run, crypto_key};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::primitives::MacAlgorithm;
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Authenticates a message under an HMAC key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateMac {
    message: Plaintext,
    key_id: String,
    mac_algorithm: String,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateMacResponse {
    mac: Blob,
    mac_algorithm: String,
    key_id: Arn,
}

impl Operation for GenerateMac {
    type Service = Kms;
    type Response = GenerateMacResponse;
    const NAME: &'static str = "GenerateMac";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "MacAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GenerateMacResponse, Error> {
        let mut conditions = Conditions::default();
        conditions.add("kms:macalgorithm", self.mac_algorithm.as_str());
        let (action, tokens) = ("kms:GenerateMac", self.grant_tokens.as_ref());
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        let algorithm = algorithm::<MacAlgorithm>(&key, &self.mac_algorithm)?;
        key.macs_with(algorithm, Self::NAME)?;
        check_dry_run(self.dry_run)?;
        let mac = key.mac(&mut call.tx, algorithm, self.message.expose()).await?;
        Ok(GenerateMacResponse { key_id: key.arn.clone(), mac, mac_algorithm: self.mac_algorithm })
    }
}
