use super::common::{algorithm, check_dry_run, crypto_key};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::primitives::MacAlgorithm;
use crate::types::{Arn, Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// Verifies a MAC that `GenerateMac` made. One that does not fit is an error, never `false`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyMac {
    message: Plaintext,
    key_id: String,
    mac_algorithm: String,
    mac: Blob,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VerifyMacResponse {
    key_id: Arn,
    mac_valid: bool,
    mac_algorithm: String,
}

impl Operation for VerifyMac {
    type Service = Kms;
    type Response = VerifyMacResponse;
    const NAME: &'static str = "VerifyMac";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "MacAlgorithm", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<VerifyMacResponse, Error> {
        let mut conditions = Conditions::default();
        conditions.add("kms:macalgorithm", self.mac_algorithm.as_str());
        let (action, tokens) = ("kms:VerifyMac", self.grant_tokens.as_ref());
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        let algorithm = algorithm::<MacAlgorithm>(&key, &self.mac_algorithm)?;
        key.macs_with(algorithm, Self::NAME)?;
        check_dry_run(self.dry_run)?;
        key.verify_mac(&mut call.tx, algorithm, self.message.expose(), &self.mac).await?;
        Ok(VerifyMacResponse {
            key_id: key.arn.clone(),
            mac_valid: true,
            mac_algorithm: self.mac_algorithm,
        })
    }
}
