//! Every way a request to the proxy fails, and what AWS's protocol calls it ("Error codes").
use crate::authorize::AccessDenied;
use crate::call::OperationError;
use crate::keys::{KeyError, Missing};
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::wire::{Fault, ServiceError};

#[derive(Debug, thiserror::Error)]
pub enum XksError {
    #[error("{0}")]
    Validation(&'static str),
    #[error("The external key is {0}.")]
    InvalidState(&'static str),
    /// Never says which part is wrong.
    #[error(
        "The ciphertext, its initialization vector, tag, metadata or associated data is invalid."
    )]
    InvalidCiphertext,
    #[error("The external key does not support {0}.")]
    InvalidKeyUsage(&'static str),
    #[error("The request's signature is not good: {0}")]
    AuthenticationFailed(String),
    #[error("{0}")]
    AccessDenied(String),
    #[error("There is no such external key in this key store.")]
    KeyNotFound,
    #[error("There is no key store at this path.")]
    InvalidUriPath,
    #[error("Only POST is served here.")]
    Method,
    #[error("Too many requests.")]
    Throttling,
    #[error("{0}")]
    Unsupported(&'static str),
    // What follows is ours: logged with its cause, and said without.
    #[error("it could not be done in time")]
    DependencyTimeout,
    #[error("{0}")]
    Internal(String),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl XksError {
    const fn name(&self) -> (&'static str, u16) {
        match self {
            Self::Validation(_) => ("ValidationException", 400),
            Self::InvalidState(_) => ("InvalidStateException", 400),
            Self::InvalidCiphertext => ("InvalidCiphertextException", 400),
            Self::InvalidKeyUsage(_) => ("InvalidKeyUsageException", 400),
            Self::AuthenticationFailed(_) => ("AuthenticationFailedException", 401),
            Self::AccessDenied(_) => ("AccessDeniedException", 403),
            Self::KeyNotFound => ("KeyNotFoundException", 404),
            Self::InvalidUriPath => ("InvalidUriPathException", 404),
            Self::Method => ("ValidationException", 405),
            Self::Throttling => ("ThrottlingException", 429),
            Self::Unsupported(_) => ("UnsupportedOperationException", 501),
            Self::DependencyTimeout => ("DependencyTimeoutException", 503),
            Self::Internal(_) | Self::Store(_) => ("InternalException", 500),
        }
    }
}

impl ServiceError for XksError {
    fn fault(&self) -> Fault {
        let (name, status) = self.name();
        Fault::client(name, self.to_string()).with_status(status)
    }
}

impl OperationError for XksError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

impl From<Throttled> for XksError {
    fn from(_: Throttled) -> Self {
        Self::Throttling
    }
}

impl From<AccessDenied> for XksError {
    fn from(denied: AccessDenied) -> Self {
        Self::AccessDenied(denied.to_string())
    }
}

impl From<KeyError> for XksError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound(_) => Self::KeyNotFound,
            KeyError::Disabled(_) => Self::InvalidState("disabled"),
            // The key's device fails, or its key store is disconnected: nothing that can be mended at the
            // external key. What it was stands in the log.
            KeyError::InvalidState(_, "unavailable") => {
                Self::Internal("the key's device cannot be used".into())
            }
            KeyError::InvalidState(_, state) => Self::InvalidState(state),
            KeyError::InvalidCiphertext | KeyError::IncorrectKey => Self::InvalidCiphertext,
            KeyError::InvalidKeyUsage { .. } | KeyError::InvalidKeySpec { .. } => {
                Self::InvalidKeyUsage("this operation")
            }
            KeyError::AccessDenied(denied) => denied.into(),
            KeyError::Throttled(_) => Self::Throttling,
            KeyError::Unsupported(_) => Self::InvalidKeyUsage("this operation"),
            KeyError::Store(error) => error.into(),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<Missing> for XksError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Own(error) => error.into(),
            Missing::Foreign(_) => Self::KeyNotFound,
        }
    }
}
