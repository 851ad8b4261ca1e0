//! Every way an identity operation fails. `api/iam/fault.rs` gives each its code and status.
use crate::authorize::AccessDenied;
use crate::policy::PolicyError;
use crate::quotas::Throttled;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{0}")]
    NoSuchEntity(String),
    #[error("{0}")]
    AlreadyExists(String),
    #[error("{0}")]
    DeleteConflict(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("{0}")]
    MalformedPolicy(String),
    #[error("{0}")]
    InvalidInput(String),
    /// Of operations that have no InvalidInput in the model.
    #[error("{0}")]
    Validation(String),
    /// An MFA code that is not the device's of this moment, or was used already.
    #[error("Authentication code for device is not valid.")]
    InvalidCode,
    #[error("{0}")]
    PasswordPolicy(String),
    #[error("The old password was incorrect.")]
    WrongPassword,
    #[error("Only IAM Users can change their own password")]
    NotAUser,
    #[error("Outbound identity federation is already enabled for your account.")]
    FeatureEnabled,
    #[error("Outbound identity federation is disabled for your account.")]
    FeatureDisabled,
    #[error("the access key id {0} belongs to another account")]
    AccessKeyTaken(String),
    #[error("{0}")]
    AccessDenied(#[from] AccessDenied),
    #[error("{0}")]
    Throttled(#[from] Throttled),

    // From below. Logged with its cause; a client sees only the code.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl From<PolicyError> for IdentityError {
    fn from(e: PolicyError) -> Self {
        Self::MalformedPolicy(e.to_string())
    }
}
