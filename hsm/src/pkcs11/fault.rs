//! What a PKCS#11 call can answer, sorted by what we can do about it.

use crate::HsmError;
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

/// A failure on its way up: the device's own words, until someone who knows what was being tried
/// has turned them into ours.
#[derive(Debug)]
pub(super) enum Fault {
    Device(Error),
    Hsm(HsmError),
}

impl Fault {
    /// The token has forgotten a session or an object handle of ours. Both can be had anew.
    pub(super) fn is_stale(&self) -> bool {
        matches!(
            self.rv(),
            Some(
                RvError::SessionHandleInvalid
                    | RvError::SessionClosed
                    | RvError::KeyHandleInvalid
                    | RvError::ObjectHandleInvalid
            )
        )
    }

    /// What a failed unwrapping means. Asked of a healthy token, some errors mean a bad tag; else
    /// nobody knows yet whether the key opens, and to say "forged" would be wrong.
    pub(super) fn of_unwrap(self, is_healthy: impl FnOnce() -> bool) -> HsmError {
        if self.may_be_bad_tag() && is_healthy() { HsmError::Authentication } else { self.into() }
    }

    /// What tokens answer to a bad GCM tag. SoftHSM 2.6 says CKR_GENERAL_ERROR, others
    /// CKR_FUNCTION_FAILED or CKR_DEVICE_ERROR: words that elsewhere mean a broken device. Only
    /// the C_Decrypt itself is meant, not what came before it.
    fn may_be_bad_tag(&self) -> bool {
        let Fault::Device(Error::Pkcs11(rv, Function::Decrypt)) = self else { return false };
        matches!(
            rv,
            RvError::GeneralError
                | RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::FunctionFailed
                | RvError::DeviceError
        )
    }

    /// The return value, if the device gave one.
    pub(super) fn rv(&self) -> Option<RvError> {
        match self {
            Fault::Device(Error::Pkcs11(rv, _)) => Some(*rv),
            _ => None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Device(error)
    }
}

impl From<HsmError> for Fault {
    fn from(error: HsmError) -> Self {
        Fault::Hsm(error)
    }
}

impl From<Fault> for HsmError {
    fn from(fault: Fault) -> Self {
        let passing = fault.is_stale()
            || matches!(
                fault.rv(),
                Some(
                    RvError::GeneralError
                        | RvError::FunctionFailed
                        | RvError::DeviceError
                        | RvError::DeviceMemory
                        | RvError::DeviceRemoved
                        | RvError::HostMemory
                        | RvError::TokenNotPresent
                        | RvError::TokenNotRecognized
                        | RvError::SessionCount
                        | RvError::UserNotLoggedIn
                        | RvError::CryptokiNotInitialized
                )
            );
        match fault {
            Fault::Hsm(error) => error,
            Fault::Device(error) if passing => HsmError::Unavailable(words(&error)),
            Fault::Device(error) => HsmError::Refused(words(&error)),
        }
    }
}

/// "C_Login answered PinIncorrect". Cryptoki's own text quotes the standard's paragraph.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Pkcs11(rv, function) => format!("C_{function:?} answered {rv:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap_fails(rv: RvError, function: Function, healthy: bool) -> HsmError {
        Fault::Device(Error::Pkcs11(rv, function)).of_unwrap(|| healthy)
    }

    // No token to hand fails in C_Decrypt for another reason than the tag, so the decision is
    // tested here, without one.
    #[test]
    fn forged_only_if_the_token_is_well_and_the_decryption_itself_failed() {
        for rv in [
            RvError::GeneralError,
            RvError::EncryptedDataInvalid,
            RvError::EncryptedDataLenRange,
            RvError::FunctionFailed,
            RvError::DeviceError,
        ] {
            let error = unwrap_fails(rv, Function::Decrypt, true);
            assert_eq!(error, HsmError::Authentication, "{rv:?}");
            for (function, healthy) in [
                (Function::Decrypt, false),
                (Function::DecryptInit, true),
                (Function::FindObjects, true),
            ] {
                let error = unwrap_fails(rv, function, healthy);
                assert_ne!(error, HsmError::Authentication, "{rv:?} of {function:?}");
            }
        }
        for rv in [RvError::DeviceRemoved, RvError::UserNotLoggedIn, RvError::HostMemory] {
            let error = unwrap_fails(rv, Function::Decrypt, true);
            assert!(matches!(error, HsmError::Unavailable(_)), "{rv:?}: {error:?}");
        }
    }

    #[test]
    fn an_error_is_named_not_explained() {
        let error = unwrap_fails(RvError::MechanismInvalid, Function::DecryptInit, true);
        let text = "C_DecryptInit answered MechanismInvalid".to_owned();
        assert_eq!(error, HsmError::Refused(text));
    }
}
