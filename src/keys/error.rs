//! Every way a key operation fails, in the domain's words. `api/kms/fault.rs` gives each its code.
use crate::authorize::AccessDenied;
use crate::policy::PolicyError;
use crate::primitives::{KeySpec, KeyUsage};
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::types::Arn;
use claviger_hsm::HsmError;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0} is disabled.")]
    Disabled(Arn),
    /// The second part is the state in words: `pending deletion`.
    #[error("{0} is {1}.")]
    InvalidState(Arn, &'static str),
    #[error("{0} is not pending deletion.")]
    NotPendingDeletion(Arn),
    /// Never says why: a caller must not learn which part was wrong.
    #[error("")]
    InvalidCiphertext,
    #[error("The key ID in the request does not identify a CMK that can perform this operation.")]
    IncorrectKey,
    #[error("{arn} key usage is {usage} which is not valid for {operation}.")]
    InvalidKeyUsage { arn: Arn, usage: KeyUsage, operation: &'static str },
    #[error("{arn} key spec is {spec} which is not valid for {operation}.")]
    InvalidKeySpec { arn: Arn, spec: KeySpec, operation: &'static str },
    #[error("Algorithm {algorithm} is incompatible with key spec {spec}.")]
    IncompatibleAlgorithm { algorithm: String, spec: KeySpec },
    /// Like the next: AWS gives no reason.
    #[error("")]
    InvalidSignature,
    #[error("")]
    InvalidMac,
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("An alias with the name {0} already exists")]
    AliasExists(Arn),
    /// In the region that a replica was to be made in.
    #[error("Key {0} already exists")]
    KeyExists(Arn),
    #[error("{0}")]
    InvalidAliasName(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("An automatic rotation of {0} is in progress or begins within the next 20 minutes.")]
    RotationIsNear(Arn),
    #[error("No available key material pending rotation for the key: {0}.")]
    NothingToRotateTo(Arn),
    #[error("{0}")]
    Tag(&'static str),
    #[error("{0}")]
    MalformedPolicy(String),
    #[error("The marker is not valid.")]
    InvalidMarker,
    #[error("The grant token is not valid.")]
    InvalidGrantToken,
    #[error("The grant id is not valid.")]
    InvalidGrantId,
    #[error("{0}")]
    InvalidArn(String),
    #[error("The import token is invalid or is associated with a different KMS key.")]
    InvalidImportToken,
    #[error("The import token is expired.")]
    ExpiredImportToken,
    #[error("{0}")]
    IncorrectKeyMaterial(String),
    #[error(
        "New key material (id: {new}) cannot be imported into KMS key {key}, because another key \
         material (id: {pending}) is pending rotation."
    )]
    MaterialPending { key: Arn, new: String, pending: String },
    #[error("The custom key store {0} was not found.")]
    CustomKeyStoreNotFound(String),
    #[error(transparent)]
    KeyStore(#[from] super::stores::KeyStoreError),
    #[error(transparent)]
    External(#[from] super::stores::external::ExternalError),
    #[error("The request would have succeeded, but the DryRun option is set.")]
    DryRun,
    #[error("{0}")]
    AccessDenied(#[from] AccessDenied),
    #[error(
        "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
    )]
    Throttled(#[from] Throttled),

    /// A call of the cryptographic library that should never fail.
    #[error("{0} failed")]
    Primitive(&'static str),
    // From below. Logged with their cause; a client sees only the code.
    #[error("device: {0}")]
    Device(#[from] HsmError),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl From<PolicyError> for KeyError {
    fn from(e: PolicyError) -> Self {
        Self::MalformedPolicy(e.to_string())
    }
}
