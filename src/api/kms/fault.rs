//! How AWS names each failure of a key operation: the code and the status, one line each.
use super::Error;
use crate::call::OperationError;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let code = match self {
            Self::NotFound(_) => "NotFoundException",
            Self::Disabled(_) => "DisabledException",
            Self::InvalidState(..) | Self::NotPendingDeletion(_) => "KMSInvalidStateException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::InvalidKeyUsage { .. } | Self::IncompatibleAlgorithm(_) => {
                "InvalidKeyUsageException"
            }
            Self::Validation(_) => "ValidationException",
            Self::Unsupported(_) => "UnsupportedOperationException",
            Self::AliasExists(_) => "AlreadyExistsException",
            Self::InvalidAliasName(_) => "InvalidAliasNameException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::Tag(_) => "TagException",
            Self::MalformedPolicy(_) => "MalformedPolicyDocumentException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::InvalidGrantToken => "InvalidGrantTokenException",
            Self::CustomKeyStoreNotFound(_) => "CustomKeyStoreNotFoundException",
            Self::DryRun => "DryRunOperationException",
            Self::AccessDenied(e) => return Fault::access_denied(Protocol::Json, e.to_string()),
            Self::Device(_) => return Fault::server("KeyUnavailableException"),
            Self::Store(_) => return Fault::server("KMSInternalException"),
        };
        Fault::client(code, self.to_string())
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
