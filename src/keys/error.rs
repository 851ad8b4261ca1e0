//! Every way a key operation fails, in the domain's words. `api/kms/fault.rs` gives each its code.
use crate::authorize::AccessDenied;
use crate::policy::PolicyError;
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
    InvalidKeyUsage { arn: Arn, usage: &'static str, operation: &'static str },
    #[error("Algorithm {0} is incompatible with key spec {spec}.", spec = super::SPEC)]
    IncompatibleAlgorithm(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("An alias with the name {0} already exists")]
    AliasExists(Arn),
    #[error("{0}")]
    InvalidAliasName(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("{0}")]
    Tag(&'static str),
    #[error("{0}")]
    MalformedPolicy(String),
    #[error("The marker is not valid.")]
    InvalidMarker,
    #[error("The grant token is not valid.")]
    InvalidGrantToken,
    #[error("The custom key store {0} was not found.")]
    CustomKeyStoreNotFound(String),
    #[error("The request would have succeeded, but the DryRun option is set.")]
    DryRun,
    #[error("{0}")]
    AccessDenied(#[from] AccessDenied),

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
