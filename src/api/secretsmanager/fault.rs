//! How AWS names each failure of a secret operation: the code and the status, one line each.
use super::Error;
use crate::call::OperationError;
use crate::keys::KeyError;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let code = match self {
            Self::NotFound | Self::NoSuchPolicy | Self::NoSuchVersion(_) => {
                "ResourceNotFoundException"
            }
            Self::Exists(_) => "ResourceExistsException",
            Self::InvalidParameter(_) => "InvalidParameterException",
            Self::InvalidRequest(_) => "InvalidRequestException",
            Self::Validation(_) => "ValidationException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::InvalidNextToken => "InvalidNextTokenException",
            Self::MalformedPolicy(_) => "MalformedPolicyDocumentException",
            Self::PublicPolicy => "PublicPolicyException",
            Self::Encryption(_) => "EncryptionFailure",
            Self::Decryption(_) => "DecryptionFailure",
            Self::AccessDenied(_) | Self::KmsDenied | Self::CannotInvoke => {
                return Fault::access_denied(Protocol::Json, self.to_string());
            }
            Self::Throttled(_) => return Fault::throttled(Protocol::Json),
            Self::Key(_) | Self::Store(_) => return Fault::server("InternalServiceError"),
        };
        Fault::client(code, self.to_string()).upper()
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        match self {
            Self::Store(error) | Self::Key(KeyError::Store(error)) => {
                matches!(error, StoreError::Conflict)
            }
            _ => false,
        }
    }
}
