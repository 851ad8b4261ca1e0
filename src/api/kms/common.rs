//! What the KMS operations share: finding a key and asking for permission on it, in one step.
use super::Error;
use super::asking::asking;
use super::get_key_last_usage::unused_days;
use super::grants::by_policy_or_grant;
pub(super) use super::grants::check_grant_tokens;
use crate::authorize::{AccessDenied, Authorized, Conditions};
use crate::call::Call;
use crate::keys::grant::{Asked, GrantOperation};
use crate::keys::{self, Accept, Found, Missing, Usable};
use crate::memory::SecretBytes;
use crate::primitives::{KeySpec, MessageType, PrimitiveError, PrivateKey};
use crate::types::{EncryptionContext, Tags};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use zeroize::Zeroizing;

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
    authorize(call, found, action, conditions, THIS_RESOURCE).await
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
    authorize(call, found, action, conditions, OF_CIPHERTEXT).await
}

/// The same for a key that is at hand.
pub(in crate::api) async fn authorized_found(
    call: &mut Call<'_>,
    found: Found,
    action: &'static str,
    conditions: Conditions,
) -> Result<Authorized<Found>, Error> {
    authorize(call, Ok(found), action, conditions, THIS_RESOURCE).await
}

/// By policies or, where they do not allow it, by a grant.
pub(super) async fn authorize(
    call: &mut Call<'_>,
    found: Result<Found, Missing>,
    action: &'static str,
    mut conditions: Conditions,
    what: &'static str,
) -> Result<Authorized<Found>, Error> {
    let found = there(call, found, action, what)?;
    conditions.add("kms:calleraccount", call.account().as_str());
    let foreign = found.account != *call.account();
    let by_grant = GrantOperation::of_action(action).filter(|_| found.granted);
    let allowed = match by_grant {
        None => call.authorize(action, found, conditions).map_err(Error::from),
        Some(operation) => {
            let asked = Asked::Use(operation, &conditions);
            // In a box: most keys have no grants, and their calls are to be small.
            Box::pin(by_policy_or_grant(call, found, action, &conditions, asked)).await
        }
    };
    allowed.map_err(|error| hidden(call, error, foreign, action, what))
}

/// The key, if there is one. One that is missing elsewhere and one that forbids give a stranger the
/// same answer.
pub(super) fn there(
    call: &Call<'_>,
    found: Result<Found, Missing>,
    action: &'static str,
    what: &'static str,
) -> Result<Found, Error> {
    found.map_err(|missing| match missing {
        Missing::Own(error) => error,
        Missing::Foreign(_) => {
            AccessDenied::unknown_resource(call.principal(), action, what).into()
        }
    })
}

/// A refusal as a stranger may read it.
pub(super) fn hidden(
    call: &Call<'_>,
    error: Error,
    foreign: bool,
    action: &'static str,
    what: &'static str,
) -> Error {
    match error {
        Error::AccessDenied(_) if foreign => {
            AccessDenied::unknown_resource(call.principal(), action, what).into()
        }
        error => error,
    }
}

/// The key that a cryptographic operation uses: permitted, and in a state to be used.
pub(super) async fn crypto_key(
    call: &mut Call<'_>,
    named: &str,
    operation: &'static str,
    action: &'static str,
    tokens: Option<&Vec<String>>,
    conditions: Conditions,
) -> Result<Usable, Error> {
    check_grant_tokens(call, tokens)?;
    let key = authorized_key(call, named, Accept::KeyOrAlias, action, conditions).await?;
    ready(call, key, operation)
}

/// What holds for every use of a key, however it was found.
pub(in crate::api) fn ready(
    call: &mut Call<'_>,
    key: Authorized<Found>,
    operation: &'static str,
) -> Result<Usable, Error> {
    call.throttle_use(operation, key.spec)?;
    let key = key.usable(operation, call.now, &call.server.devices)?;
    let key = key.asking_for(|| asking(call, operation));
    // Reading a public key is no use of the key.
    if operation != "GetPublicKey" {
        call.uses_key(&key.arn, operation);
    }
    Ok(key)
}

/// The caller's own key, which may be told to end: what DisableKey and ScheduleKeyDeletion ask about
/// besides.
pub(super) async fn unneeded_key(
    call: &mut Call<'_>,
    named: &str,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<Authorized<Found>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let found = keys::find(&mut call.tx, &account, &region, named, Accept::Key).await;
    if let Ok(key) = &found {
        let days = unused_days(call, key).await?;
        conditions.add("kms:trailingdayswithoutkeyusage", days);
    }
    let key = authorize(call, found, action, conditions, THIS_RESOURCE).await?;
    own(call, &key)?;
    Ok(key)
}

/// The condition keys of operations that encrypt or decrypt.
pub(in crate::api) fn crypto_conditions(
    algorithm: &str,
    context: &EncryptionContext,
) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("kms:encryptionalgorithm", algorithm);
    conditions.add_encryption_context(&context.0);
    conditions
}

/// The algorithm that a request names. One that the model knows and no key has here (SM2) fits no
/// key.
pub(super) fn algorithm<A: FromStr>(key: &Found, named: &str) -> Result<A, Error> {
    let unknown = |_| Error::IncompatibleAlgorithm { algorithm: named.into(), spec: key.spec };
    named.parse().map_err(unknown)
}

/// What Sign and Verify are given: the message itself, if the caller does not say.
pub(super) fn message_type(named: Option<&str>) -> Result<MessageType, Error> {
    let unknown = |_| Error::Validation("MessageType is unknown.".into());
    named.map_or(Ok(MessageType::Raw), |named| named.parse().map_err(unknown))
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

/// New key material. Symmetric keys and HMAC keys are the system's randomness and the device's,
/// mixed; key pairs are what the library makes from the system's.
pub(super) async fn fresh_material(call: &Call<'_>, spec: KeySpec) -> Result<SecretBytes, Error> {
    if spec.is_symmetric() {
        return Ok(call.server.root.fresh_key().await?.into());
    }
    let Some(bytes) = spec.hmac_bytes() else {
        return Ok(SecretBytes::new(&generate_pair(call, spec).await?.private));
    };
    let mut material = Zeroizing::new(Vec::with_capacity(2 * FRESH_BYTES));
    while material.len() < bytes {
        material.extend_from_slice(call.server.root.fresh_key().await?.expose());
    }
    material.truncate(bytes);
    Ok(SecretBytes::new(&material))
}

/// What the root of trust makes at a time.
const FRESH_BYTES: usize = 32;

/// A new key pair.
pub(super) struct NewPair {
    /// PKCS#8 DER.
    pub private: Zeroizing<Vec<u8>>,
    /// SubjectPublicKeyInfo DER.
    pub public: Vec<u8>,
}

/// Makes a key pair away from the threads that serve requests: an RSA key takes seconds, and
/// checking it when it is read takes milliseconds more.
pub(super) async fn generate_pair(call: &Call<'_>, spec: KeySpec) -> Result<NewPair, Error> {
    let random = call.random();
    let make = move || {
        let private = PrivateKey::generate(spec, &*random)?;
        let public = PrivateKey::parse(spec, &private)?.public_key_der()?;
        Ok::<_, PrimitiveError>(NewPair { private, public })
    };
    match call.compute(make).await? {
        Some(made) => Ok(made?),
        None => Err(Error::Primitive("key generation")),
    }
}

/// A tag as KMS writes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
