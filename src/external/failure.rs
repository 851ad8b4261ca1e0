//! How asking a proxy fails, in AWS's words ("Error codes", the messages of KMS). What a proxy says
//! beside the name of its error goes to the log and to nobody else.
use super::message::Refusal;

/// What a proxy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Validation,
    InvalidState,
    InvalidCiphertext,
    InvalidKeyUsage,
    AuthenticationFailed,
    AccessDenied,
    KeyNotFound,
    InvalidUriPath,
    Throttling,
    UnsupportedOperation,
    DependencyTimeout,
    Internal,
}

impl Refused {
    const NAMES: [(&'static str, Self, u16); 12] = [
        ("ValidationException", Self::Validation, 400),
        ("InvalidStateException", Self::InvalidState, 400),
        ("InvalidCiphertextException", Self::InvalidCiphertext, 400),
        ("InvalidKeyUsageException", Self::InvalidKeyUsage, 400),
        ("AuthenticationFailedException", Self::AuthenticationFailed, 401),
        ("AccessDeniedException", Self::AccessDenied, 403),
        ("KeyNotFoundException", Self::KeyNotFound, 404),
        ("InvalidUriPathException", Self::InvalidUriPath, 404),
        ("ThrottlingException", Self::Throttling, 429),
        ("UnsupportedOperationException", Self::UnsupportedOperation, 501),
        ("DependencyTimeoutException", Self::DependencyTimeout, 503),
        ("InternalException", Self::Internal, 500),
    ];

    /// What the name and the status say together; None if they do not belong together.
    pub(super) fn of(refusal: &Refusal, status: u16) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(name, ..)| *name == refusal.error_name)?;
        (named.2 == status).then_some(named.1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{}", text(*.0))]
    Refused(Refused),
    #[error(
        "AWS KMS cannot interpret the response from the external key store proxy. If you see this \
         error repeatedly, report it to your external key store proxy administrator."
    )]
    Malformed(&'static str),
    #[error(
        "AWS KMS cannot communicate with the external key store proxy. This might be a transient \
         network issue. If you see this error repeatedly, verify that your external key store proxy \
         is active and is connected to the network, and that its endpoint URI is correct in your \
         external key store."
    )]
    Unreachable,
    #[error(
        "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS \
         configuration, including its certificate."
    )]
    Tls,
    #[error(
        "AWS KMS rejected the request because the external key store proxy did not respond in time. \
         Retry the request. If you see this error repeatedly, report it to your external key store \
         proxy administrator."
    )]
    TooLate,
    /// What the proxy says is the plaintext is not what was sealed for this ciphertext.
    #[error(
        "The ciphertext that the external key store proxy submitted for decryption, or the encryption \
         context, is corrupted, missing, or otherwise invalid."
    )]
    Inside,
}

const fn text(refused: Refused) -> &'static str {
    match refused {
        Refused::Validation => {
            "AWS KMS cannot interpret the response from the external key store proxy. If you see \
             this error repeatedly, report it to your external key store proxy administrator."
        }
        Refused::InvalidState => {
            "The external key associated with this KMS key in an external key store is not enabled \
             in the external key manager. Enable the external key in the external key manager and \
             retry the request."
        }
        Refused::InvalidCiphertext => {
            "The external key store proxy rejected the request because the specified ciphertext or \
             encryption context is corrupted, missing, or otherwise invalid."
        }
        Refused::InvalidKeyUsage => {
            "The external key associated with this KMS key in an external key store does not support \
             the requested operation. Enable the operation on the key in your external key manager, \
             and try the request again."
        }
        Refused::AuthenticationFailed => {
            "The external key store proxy rejected the request because it could not authenticate AWS \
             KMS. Verify the XKS proxy authentication credentials for your external key store and \
             update if necessary."
        }
        Refused::AccessDenied => {
            "The external key store proxy denied access to the operation. Verify that the user and \
             the external key are both authorized for this operation, and try the request again."
        }
        Refused::KeyNotFound => {
            "The external key associated with this KMS key in an external key store was not found in \
             its external key manager. If the external key ID associated with this KMS key is \
             incorrect, create a new KMS key with the correct external key ID."
        }
        Refused::InvalidUriPath => {
            "The external key store proxy rejected the request because of an invalid URI path. \
             Verify the URI path for your external key store and update if necessary."
        }
        Refused::Throttling => {
            "The external key store proxy rejected the request due to a very high request rate. \
             Reduce the frequency of your calls using KMS keys in this external key store."
        }
        Refused::UnsupportedOperation => {
            "The external key store proxy rejected the request because it does not support the \
             requested operation. If you see this error repeatedly, report it to your external key \
             store proxy administrator."
        }
        Refused::DependencyTimeout => {
            "The external key store proxy did not respond to the request in the time allotted. Retry \
             the request. If you see this error repeatedly, report it to your external key store \
             proxy administrator."
        }
        Refused::Internal => {
            "The external key store proxy rejected the request because it cannot communicate with \
             the external key manager. Verify that the external key store proxy configuration is \
             correct and that the external key manager is available."
        }
    }
}
