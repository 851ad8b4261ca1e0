//! How AWS names each failure of an STS operation.
use crate::authorize::AccessDenied;
use crate::call::OperationError;
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

#[derive(Debug, thiserror::Error)]
pub enum StsError {
    #[error("{0}")]
    AccessDenied(#[from] AccessDenied),
    /// Refused, but not by a policy.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    InvalidParameterValue(String),
    #[error("{0}")]
    MalformedPolicy(String),
    /// In percent of what there is room for.
    #[error("Packed policy consumes {0}% of allotted space, please use smaller policy.")]
    PackedPolicyTooLarge(usize),
    /// A web identity token that is not good, and what it says is not accepted.
    #[error("{0}")]
    InvalidIdentityToken(String),
    #[error("{0}")]
    RejectedClaim(String),
    #[error("{0}")]
    ProviderUnreachable(String),
    #[error("{0}")]
    ExpiredToken(String),
    #[error("{0}")]
    ExpiredTradeInToken(String),
    #[error("Outbound web identity federation is not enabled for this account.")]
    OutboundFederationDisabled,
    #[error(
        "The requested token duration would extend the session beyond its original expiration time."
    )]
    SessionDurationEscalation,
    #[error(
        "The requested token payload size exceeds the maximum allowed size. Reduce the number of \
         request tags."
    )]
    JwtPayloadSizeExceeded,
    #[error("Message is not valid")]
    InvalidAuthorizationMessage,
    #[error("{0}")]
    Throttled(#[from] Throttled),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl ServiceError for StsError {
    fn fault(&self) -> Fault {
        let text = self.to_string();
        match self {
            Self::AccessDenied(_) | Self::Denied(_) => Fault::access_denied(Protocol::Query, text),
            Self::Validation(_) => Fault::validation(Protocol::Query, text),
            Self::InvalidParameterValue(_) => Fault::client("InvalidParameterValue", text),
            Self::MalformedPolicy(_) => Fault::client("MalformedPolicyDocument", text),
            Self::InvalidIdentityToken(_) => Fault::client("InvalidIdentityToken", text),
            Self::RejectedClaim(_) => Fault::client("IDPRejectedClaim", text).with_status(403),
            Self::ProviderUnreachable(_) => Fault::client("IDPCommunicationError", text),
            Self::ExpiredToken(_) => Fault::client("ExpiredTokenException", text),
            Self::ExpiredTradeInToken(_) => Fault::client("ExpiredTradeInTokenException", text),
            Self::PackedPolicyTooLarge(_) => Fault::client("PackedPolicyTooLarge", text),
            Self::OutboundFederationDisabled => {
                let code = "OutboundWebIdentityFederationDisabledException";
                Fault::client(code, text).with_status(403)
            }
            Self::SessionDurationEscalation => {
                Fault::client("SessionDurationEscalationException", text).with_status(403)
            }
            Self::JwtPayloadSizeExceeded => Fault::client("JWTPayloadSizeExceededException", text),
            Self::InvalidAuthorizationMessage => {
                Fault::client("InvalidAuthorizationMessageException", text)
            }
            Self::Throttled(_) => Fault::throttled(Protocol::Query),
            Self::Store(_) => Fault::internal(),
        }
    }
}

impl OperationError for StsError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
