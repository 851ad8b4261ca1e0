//! How AWS names each failure of an identity operation: the code and the status, one line each.
use super::Error;
use crate::call::OperationError;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let (code, status) = match self {
            Self::NoSuchEntity(_) => ("NoSuchEntity", 404),
            Self::AlreadyExists(_) | Self::AccessKeyTaken(_) => ("EntityAlreadyExists", 409),
            Self::DeleteConflict(_) => ("DeleteConflict", 409),
            Self::LimitExceeded(_) => ("LimitExceeded", 409),
            Self::MalformedPolicy(_) => ("MalformedPolicyDocument", 400),
            Self::InvalidInput(_) => ("InvalidInput", 400),
            Self::Validation(_) => ("ValidationError", 400),
            Self::InvalidCode => ("InvalidAuthenticationCode", 403),
            Self::PasswordPolicy(_) => ("PasswordPolicyViolation", 400),
            Self::WrongPassword => ("AccessDenied", 403),
            Self::FeatureEnabled => ("FeatureEnabled", 409),
            Self::FeatureDisabled => ("FeatureDisabled", 404),
            Self::NotAUser => ("InvalidUserType", 400),
            Self::AccessDenied(e) => return Fault::access_denied(Protocol::Query, e.to_string()),
            Self::Throttled(_) => return Fault::throttled(Protocol::Query),
            Self::Store(_) => return Fault::server("ServiceFailure"),
        };
        Fault::client(code, self.to_string()).with_status(status)
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
