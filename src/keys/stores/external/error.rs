//! How a proxy makes an operation fail, by what KMS makes of it (AWS's XKS specification, the table of
//! KMS's exceptions).
use crate::external::{Failure, Refused};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    // CreateCustomKeyStore and UpdateCustomKeyStore.
    #[error("{0}")]
    Unreachable(Failure),
    #[error("{0}")]
    IncorrectCredential(Failure),
    #[error("{0}")]
    InvalidConfiguration(Failure),
    #[error("{0}")]
    InvalidResponse(Failure),
    // CreateKey.
    #[error("{0}")]
    KeyNotFound(Failure),
    #[error("{0}")]
    KeyInvalidConfiguration(String),
    #[error(
        "The external key {0} is already associated with a KMS key in this external key store. Each \
         KMS key in an external key store must be associated with a different external key."
    )]
    KeyInUse(String),
    #[error("{0}")]
    StoreInvalidState(Failure),
    /// Any use of a key.
    #[error("{0}")]
    KeyUnusable(Failure),
}

impl ExternalError {
    /// Of a proxy that was tried before its store is made or changed.
    pub(super) fn of_store(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refused::AuthenticationFailed) => Self::IncorrectCredential(failure),
            Failure::Refused(Refused::InvalidUriPath) => Self::InvalidConfiguration(failure),
            Failure::Refused(Refused::DependencyTimeout | Refused::Throttling)
            | Failure::Unreachable
            | Failure::Tls
            | Failure::TooLate => Self::Unreachable(failure),
            Failure::Refused(_) | Failure::Malformed(_) | Failure::Inside => {
                Self::InvalidResponse(failure)
            }
        }
    }

    /// Of an external key that a KMS key is to be made for.
    pub(super) fn of_key(failure: Failure) -> Self {
        match failure {
            Failure::Refused(Refused::InvalidState | Refused::InvalidKeyUsage) => {
                Self::KeyInvalidConfiguration(failure.to_string())
            }
            Failure::Refused(Refused::KeyNotFound) => Self::KeyNotFound(failure),
            Failure::Refused(Refused::AccessDenied) => Self::KeyUnusable(failure),
            _ => Self::StoreInvalidState(failure),
        }
    }
}
