use super::common::{
    Recipient, check_dry_run, check_recipient, crypto_conditions, crypto_key, generate_pair,
};
use super::encrypt::DEFAULT_ALGORITHM;
use super::generate_data_key::wraps_data_keys;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys;
use crate::primitives::{EncryptionAlgorithm, KeySpec};
use crate::quotas::Quota;
use crate::types::{Arn, Blob, EncryptionContext, Plaintext};
use serde::{Deserialize, Serialize};

/// Makes a key pair for use outside: the private key (PKCS#8 DER) in plaintext and encrypted under a
/// KMS key, the public key (SubjectPublicKeyInfo DER) in plaintext.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPair {
    encryption_context: Option<EncryptionContext>,
    key_id: String,
    key_pair_spec: String,
    grant_tokens: Option<Vec<String>>,
    recipient: Option<Recipient>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GenerateDataKeyPairResponse {
    private_key_ciphertext_blob: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_plaintext: Option<Plaintext>,
    public_key: Blob,
    key_id: Arn,
    key_pair_spec: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_for_recipient: Option<Blob>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for GenerateDataKeyPair {
    type Service = Kms;
    type Response = GenerateDataKeyPairResponse;
    const NAME: &'static str = "GenerateDataKeyPair";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["KeyId", "KeyPairSpec", "EncryptionContext=", "DryRun"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GenerateDataKeyPairResponse, Error> {
        check_recipient(self.recipient.as_ref())?;
        let wanted = WantedPair {
            key_id: self.key_id,
            spec: pair_spec(&self.key_pair_spec)?,
            context: self.encryption_context.unwrap_or_default(),
            tokens: self.grant_tokens,
            dry_run: self.dry_run,
        };
        let made = wanted.make(call, Self::NAME, "kms:GenerateDataKeyPair").await?;
        Ok(GenerateDataKeyPairResponse {
            private_key_ciphertext_blob: made.sealed.blob,
            private_key_plaintext: Some(made.private_key),
            public_key: made.public_key,
            key_id: made.key_id,
            key_pair_spec: self.key_pair_spec,
            ciphertext_for_recipient: None,
            key_material_id: made.sealed.material_id,
        })
    }
}

/// What of the model's list can be made here: all but China's.
pub(super) fn pair_spec(named: &str) -> Result<KeySpec, Error> {
    named.parse().ok().filter(|spec: &KeySpec| spec.pair_spec()).ok_or_else(|| {
        Error::Unsupported(format!("KeyPairSpec {named} is not supported in this Region."))
    })
}

/// A data key pair to be made. GenerateDataKeyPairWithoutPlaintext shares it.
#[derive(Debug)]
pub(super) struct WantedPair {
    pub key_id: String,
    pub spec: KeySpec,
    pub context: EncryptionContext,
    pub tokens: Option<Vec<String>>,
    pub dry_run: Option<bool>,
}

#[derive(Debug)]
pub(super) struct MadePair {
    pub private_key: Plaintext,
    pub public_key: Blob,
    pub sealed: keys::Bound,
    pub key_id: Arn,
}

impl WantedPair {
    pub(super) async fn make(
        self,
        call: &mut Call<'_>,
        operation: &'static str,
        action: &'static str,
    ) -> Result<MadePair, Error> {
        keys::check_context(&self.context)?;
        let mut conditions = crypto_conditions(DEFAULT_ALGORITHM, &self.context);
        conditions.add("kms:datakeypairspec", self.spec.as_str());
        let tokens = self.tokens.as_ref();
        let key = crypto_key(call, &self.key_id, operation, action, tokens, conditions).await?;
        wraps_data_keys(&key, &self.context, operation)?;
        if key.custom_key_store.is_some() {
            return Err(key.wrong_origin());
        }
        if let Some(quota) = Quota::of_pair(self.spec) {
            call.throttle(quota)?;
        }
        check_dry_run(self.dry_run)?;
        let mut pair = generate_pair(call, self.spec).await?;
        let public_key = Blob(pair.public);
        let private_key = Plaintext::new(std::mem::take(&mut *pair.private));
        let (random, algorithm) = (call.random(), EncryptionAlgorithm::SymmetricDefault);
        let bytes = private_key.expose();
        let sealed = key.encrypt(&mut call.tx, &*random, algorithm, bytes, &self.context).await?;
        call.record_material("keyMaterialId", sealed.material_id.clone());
        Ok(MadePair { private_key, public_key, sealed, key_id: key.arn.clone() })
    }
}
