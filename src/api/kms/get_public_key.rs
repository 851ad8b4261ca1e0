use super::common::crypto_key;
use super::metadata::Algorithms;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::types::{Arn, Blob};
use serde::{Deserialize, Serialize};

/// The public key of an asymmetric KMS key: DER, SubjectPublicKeyInfo (RFC 5280).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPublicKey {
    key_id: String,
    grant_tokens: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPublicKeyResponse {
    key_id: Arn,
    public_key: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_master_key_spec: Option<String>,
    key_spec: String,
    key_usage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_agreement_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encapsulation_algorithms: Option<Vec<String>>,
}

impl Operation for GetPublicKey {
    type Service = Kms;
    type Response = GetPublicKeyResponse;
    const NAME: &'static str = "GetPublicKey";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetPublicKeyResponse, Error> {
        let (action, tokens) = ("kms:GetPublicKey", self.grant_tokens.as_ref());
        let conditions = Conditions::default();
        let key = crypto_key(call, &self.key_id, Self::NAME, action, tokens, conditions).await?;
        let public_key = key.public_key(&mut call.tx).await?;
        let algorithms = Algorithms::of(&key);
        Ok(GetPublicKeyResponse {
            key_id: key.arn.clone(),
            public_key,
            customer_master_key_spec: Some(key.spec.to_string()),
            key_spec: key.spec.to_string(),
            key_usage: key.usage.to_string(),
            encryption_algorithms: algorithms.encryption,
            signing_algorithms: algorithms.signing,
            key_agreement_algorithms: algorithms.agreement,
            encapsulation_algorithms: algorithms.encapsulation,
        })
    }
}
