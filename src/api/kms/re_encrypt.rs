use super::common::{
    OF_CIPHERTEXT, THIS_RESOURCE, algorithm, authorize, check_dry_run, check_grant_tokens,
    crypto_conditions, missing_blob, ready, without_blob,
};
use super::encrypt::DEFAULT_ALGORITHM;
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::{self, Accept};
use crate::primitives::EncryptionAlgorithm;
use crate::types::{Arn, Blob, EncryptionContext};
use serde::{Deserialize, Serialize};

/// Opens a ciphertext and encrypts what was in it anew, without showing it to the caller. Needs
/// `kms:ReEncryptFrom` on the first key and `kms:ReEncryptTo` on the second.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncrypt {
    ciphertext_blob: Option<Blob>,
    source_encryption_context: Option<EncryptionContext>,
    source_key_id: Option<String>,
    destination_key_id: String,
    destination_encryption_context: Option<EncryptionContext>,
    source_encryption_algorithm: Option<String>,
    destination_encryption_algorithm: Option<String>,
    grant_tokens: Option<Vec<String>>,
    dry_run: Option<bool>,
    dry_run_modifiers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReEncryptResponse {
    ciphertext_blob: Blob,
    source_key_id: Arn,
    key_id: Arn,
    source_encryption_algorithm: String,
    destination_encryption_algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_material_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_material_id: Option<String>,
}

impl Operation for ReEncrypt {
    type Service = Kms;
    type Response = ReEncryptResponse;
    const NAME: &'static str = "ReEncrypt";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[
        "SourceKeyId",
        "SourceEncryptionContext=",
        "SourceEncryptionAlgorithm",
        "DestinationKeyId",
        "DestinationEncryptionContext=",
        "DestinationEncryptionAlgorithm",
        "DryRun",
        "DryRunModifiers",
    ];

    async fn execute(self, call: &mut Call<'_>) -> Result<ReEncryptResponse, Error> {
        check_grant_tokens(call, self.grant_tokens.as_ref())?;
        let opens = self.source_encryption_algorithm.as_deref().unwrap_or(DEFAULT_ALGORITHM);
        let seals = self.destination_encryption_algorithm.as_deref().unwrap_or(DEFAULT_ALGORITHM);
        let from = self.source_encryption_context.unwrap_or_default();
        let to = self.destination_encryption_context.unwrap_or_default();
        keys::check_context(&from)?;
        keys::check_context(&to)?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let any = Accept::KeyOrAlias;
        let (source, what) = match (&self.source_key_id, &self.ciphertext_blob) {
            (Some(id), _) => {
                (keys::find(&mut call.tx, &account, &region, id, any).await, THIS_RESOURCE)
            }
            (None, Some(blob)) => {
                (keys::find_for(&mut call.tx, &account, &region, blob).await, OF_CIPHERTEXT)
            }
            (None, None) => return Err(missing_blob()),
        };
        let id = &self.destination_key_id;
        let target = keys::find(&mut call.tx, &account, &region, id, any).await;
        let same = matches!((&source, &target), (Ok(one), Ok(other)) if one.arn == other.arn);
        let conditions = |algorithm, context| {
            let mut conditions = crypto_conditions(algorithm, context);
            conditions.add("kms:reencryptonsamekey", if same { "true" } else { "false" });
            conditions
        };
        let allowed = conditions(opens, &from);
        let source = authorize(call, source, "kms:ReEncryptFrom", allowed, what).await?;
        let allowed = conditions(seals, &to);
        let target = authorize(call, target, "kms:ReEncryptTo", allowed, THIS_RESOURCE).await?;
        let source = ready(call, source, Self::NAME)?;
        let target = ready(call, target, Self::NAME)?;
        let opens = algorithm::<EncryptionAlgorithm>(&source, opens)?;
        let seals = algorithm::<EncryptionAlgorithm>(&target, seals)?;
        source.encrypts_with(opens, &from, Self::NAME)?;
        target.encrypts_with(seals, &to, Self::NAME)?;
        let Some(blob) = self.ciphertext_blob else {
            return Err(without_blob(self.dry_run, self.dry_run_modifiers.as_deref()));
        };
        let (plaintext, source_material) =
            source.decrypt(&mut call.tx, opens, &blob, &from).await?;
        check_dry_run(self.dry_run)?;
        let (random, plaintext) = (call.random(), plaintext.expose());
        let sealed = target.encrypt(&mut call.tx, &*random, seals, plaintext, &to).await?;
        call.record_material("sourceKeyMaterialId", source_material.clone());
        call.record_material("destinationKeyMaterialId", sealed.material_id.clone());
        Ok(ReEncryptResponse {
            ciphertext_blob: sealed.blob,
            source_key_id: source.arn.clone(),
            key_id: target.arn.clone(),
            source_encryption_algorithm: opens.to_string(),
            destination_encryption_algorithm: seals.to_string(),
            source_key_material_id: source_material,
            destination_key_material_id: sealed.material_id,
        })
    }
}
