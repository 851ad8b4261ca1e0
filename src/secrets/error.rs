//! Every way a secret operation fails, in the domain's words. `api/secretsmanager/fault.rs` gives
//! each its code.
use crate::authorize::AccessDenied;
use crate::keys::KeyError;
use crate::quotas::Throttled;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("Secrets Manager can't find the specified secret.")]
    NotFound,
    /// What was looked for: `staging label: AWSCURRENT` or `VersionId: …`.
    #[error("Secrets Manager can't find the specified secret value for {0}")]
    NoSuchVersion(String),
    #[error("{0}")]
    Exists(String),
    #[error("{0}")]
    InvalidParameter(String),
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("{0}")]
    Validation(&'static str),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("The NextToken value is invalid.")]
    InvalidNextToken,
    #[error("{0}")]
    MalformedPolicy(&'static str),
    #[error("Secrets Manager can't find the specified resource policy.")]
    NoSuchPolicy,
    #[error("You can't attach a resource-based policy that allows broad access to the secret.")]
    PublicPolicy,
    #[error("Secrets Manager can't encrypt the secret value: {0}")]
    Encryption(KeyError),
    /// The key said no, or what it opened does not open the value; then there is nothing to add.
    #[error("Secrets Manager can't decrypt the secret value{}", because(.0.as_ref()))]
    Decryption(Option<KeyError>),
    /// The caller may use the secret but not the key behind it. Says no more: the audit event of
    /// the KMS call does.
    #[error("Access to KMS is not allowed")]
    KmsDenied,
    #[error(
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function \
         policy grants access to the principal secretsmanager.amazonaws.com."
    )]
    CannotInvoke,
    #[error("{0}")]
    AccessDenied(#[from] AccessDenied),
    /// Also when it was KMS that the caller has used too much.
    #[error("{0}")]
    Throttled(#[from] Throttled),

    // From below. Logged with their cause; a client sees only the code.
    #[error("key: {0}")]
    Key(KeyError),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl SecretError {
    /// A failure of KMS while something was to be encrypted.
    pub fn on_encrypt(error: KeyError) -> Self {
        Self::of_kms(error, Self::Encryption)
    }

    /// A failure of KMS while something was to be decrypted.
    pub fn on_decrypt(error: KeyError) -> Self {
        Self::of_kms(error, |error| match error {
            // It has no words of its own.
            KeyError::InvalidCiphertext => Self::Decryption(None),
            error => Self::Decryption(Some(error)),
        })
    }

    fn of_kms(error: KeyError, told: impl FnOnce(KeyError) -> Self) -> Self {
        match error {
            KeyError::Store(error) => Self::Store(error),
            KeyError::AccessDenied(_) => Self::KmsDenied,
            KeyError::Throttled(throttled) => Self::Throttled(throttled),
            error @ KeyError::Device(_) => Self::Key(error),
            error => told(error),
        }
    }
}

fn because(error: Option<&KeyError>) -> String {
    error.map_or_else(|| ".".into(), |error| format!(": {error}"))
}
