//! What the KMS operations share: finding a key and asking for permission on it, in one step.
use super::Error;
use crate::authorize::{AccessDenied, Authorized, Conditions};
use crate::call::Call;
use crate::keys::{self, Accept, Found, Missing};
use crate::memory::LockedKey;
use crate::types::{EncryptionContext, Tags};
use serde::{Deserialize, Serialize};

/// What a stranger's refusal calls a key.
pub(super) const THIS_RESOURCE: &str = "this resource";
pub(super) const OF_CIPHERTEXT: &str = "the resource associated with this ciphertext";

/// The key that `named` means, if the caller may do `action` with it.
pub(in crate::api) async fn authorized_key(
    call: &mut Call<'_>,
    named: &str,
    accept: Accept,
    action: &'static str,
    conditions: Conditions,
) -> Result<Authorized<Found>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let found = keys::find(&mut call.tx, &account, &region, named, accept).await;
    authorize(call, found, action, conditions, THIS_RESOURCE)
}

/// The same for the key that a ciphertext names.
pub(in crate::api) async fn authorized_key_of(
    call: &mut Call<'_>,
    blob: &crate::types::Blob,
    action: &'static str,
    conditions: Conditions,
) -> Result<Authorized<Found>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let found = keys::find_for(&mut call.tx, &account, &region, blob).await;
    authorize(call, found, action, conditions, OF_CIPHERTEXT)
}

/// The same for a key that is at hand.
pub(in crate::api) fn authorized_found(
    call: &mut Call<'_>,
    found: Found,
    action: &'static str,
    conditions: Conditions,
) -> Result<Authorized<Found>, Error> {
    authorize(call, Ok(found), action, conditions, THIS_RESOURCE)
}

/// A key that is missing elsewhere and a key that forbids give a stranger the same answer.
pub(super) fn authorize(
    call: &mut Call<'_>,
    found: Result<Found, Missing>,
    action: &'static str,
    mut conditions: Conditions,
    what: &'static str,
) -> Result<Authorized<Found>, Error> {
    let found = match found {
        Ok(found) => found,
        Err(Missing::Own(error)) => return Err(error),
        Err(Missing::Foreign(_)) => {
            return Err(AccessDenied::unknown_resource(call.principal(), action, what).into());
        }
    };
    conditions.add("kms:calleraccount", call.account().as_str());
    let foreign = found.account != *call.account();
    call.authorize(action, found, conditions).map_err(|denied| {
        if foreign {
            AccessDenied::unknown_resource(call.principal(), action, what).into()
        } else {
            denied.into()
        }
    })
}

/// The condition keys of cryptographic operations.
pub(in crate::api) fn crypto_conditions(context: &EncryptionContext) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("kms:encryptionalgorithm", keys::ALGORITHM);
    conditions.add_encryption_context(&context.0);
    conditions
}

/// Only symmetric keys are served, and they have one algorithm.
pub(super) fn check_algorithm(algorithm: Option<&str>) -> Result<(), Error> {
    match algorithm {
        None | Some(keys::ALGORITHM) => Ok(()),
        Some(other) => Err(Error::IncompatibleAlgorithm(other.to_owned())),
    }
}

/// There are no grants yet, so no token can be one of ours.
pub(super) fn check_grant_tokens(tokens: Option<&Vec<String>>) -> Result<(), Error> {
    match tokens {
        Some(tokens) if !tokens.is_empty() => Err(Error::InvalidGrantToken),
        _ => Ok(()),
    }
}

/// Answers for attested enclaves are not served.
pub(super) fn check_recipient(recipient: Option<&Recipient>) -> Result<(), Error> {
    match recipient {
        Some(_) => Err(Error::Validation("Recipient is not supported by this endpoint.".into())),
        None => Ok(()),
    }
}

/// Everything was checked; a dry run ends here.
pub(super) fn check_dry_run(dry_run: Option<bool>) -> Result<(), Error> {
    if dry_run == Some(true) { Err(Error::DryRun) } else { Ok(()) }
}

/// How a call without a ciphertext ends: only a dry run that says so may do without.
pub(super) fn without_blob(dry_run: Option<bool>, modifiers: Option<&[String]>) -> Error {
    let ignored = modifiers.unwrap_or_default().iter().any(|m| m == "IGNORE_CIPHERTEXT");
    if ignored && dry_run == Some(true) { Error::DryRun } else { missing_blob() }
}

pub(super) fn missing_blob() -> Error {
    Error::Validation(
        "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: \
         Member must not be null"
            .into(),
    )
}

/// New key material: the system's generator and the device's, mixed.
pub(super) async fn fresh_material(call: &Call<'_>) -> Result<LockedKey, Error> {
    Ok(call.server.root.fresh_key().await?)
}

/// A tag as KMS writes it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub tag_key: String,
    pub tag_value: String,
}

impl Tag {
    pub(super) fn parse(tags: Option<Vec<Self>>) -> Result<Tags, Error> {
        let pairs = tags.unwrap_or_default().into_iter().map(|t| (t.tag_key, t.tag_value));
        keys::tags::parse(pairs)
    }
}

/// Where an enclave's answer would go.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Recipient {
    key_encryption_algorithm: Option<String>,
    attestation_document: Option<crate::types::Blob>,
}

/// A page size within an operation's own bound.
pub(super) fn page_size(limit: Option<i64>, default: usize, most: usize) -> Result<usize, Error> {
    match limit.map(usize::try_from) {
        None => Ok(default),
        Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::Validation(format!(
            "1 validation error detected: Value '{}' at 'limit' failed to satisfy constraint: Member \
             must have value less than or equal to {most}",
            limit.unwrap_or_default()
        ))),
    }
}

/// For operations that AWS does not offer across accounts.
pub(super) fn own(call: &Call<'_>, key: &Found) -> Result<(), Error> {
    if key.account == *call.account() {
        Ok(())
    } else {
        Err(Error::NotFound(format!("Key '{}' does not exist", key.arn)))
    }
}
