//! What a PKCS#11 call can answer, sorted by what we can do about it. [`class`] is the one table.

use crate::HsmError;
use cryptoki::context::Function;
use cryptoki::error::{Error, Rv, RvError};

/// A failure on its way up: the device's own words, until someone who knows what was being tried
/// has turned them into ours.
#[derive(Debug)]
pub(super) enum Fault {
    Device(Error),
    Hsm(HsmError),
}

/// What can be done about an answer of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It is about this one request. Nothing is healed and nothing repeated.
    Request,
    /// It is about a PIN. Nothing is repeated, ever: tokens count.
    Pin,
    /// The device has too much to do at the moment. The same call may work later.
    Busy,
    /// A broken device says so, but so does a sound one of a bad ciphertext: the device is asked
    /// whether it works. If it does the call is made once more; if not its module is restarted.
    Suspect,
    /// The session is gone or spoilt: a new one.
    Session,
    /// The token has logged us out or forgotten object handles: a new login where one is needed,
    /// objects found anew; if that does not help, a restart.
    Login,
    /// The module or the device is gone: C_Finalize, C_Initialize, all from the beginning.
    Restart,
}

/// AEAD_DECRYPT_FAILED of PKCS#11 3.0, which cryptoki does not name.
const AEAD_DECRYPT_FAILED: RvError = RvError::UnknownErrorCode(0x42);
/// Likewise CKR_TOKEN_RESOURCE_EXCEEDED, OPERATION_CANCEL_FAILED and KEY_EXHAUSTED (3.0).
const TOKEN_RESOURCE_EXCEEDED: RvError = RvError::UnknownErrorCode(0x201);
const OPERATION_CANCEL_FAILED: RvError = RvError::UnknownErrorCode(0x202);
const KEY_EXHAUSTED: RvError = RvError::UnknownErrorCode(0x203);

/// The class of a return value (CK_RV), as PKCS#11 3.0 lists them; None of CKR_OK.
pub fn class(code: std::ffi::c_ulong) -> Option<Class> {
    match Rv::from(code) {
        Rv::Ok => None,
        Rv::Error(rv) => Some(class_of(rv)),
    }
}

fn class_of(rv: RvError) -> Class {
    match rv {
        RvError::PinIncorrect
        | RvError::PinInvalid
        | RvError::PinLenRange
        | RvError::PinExpired
        | RvError::PinLocked
        | RvError::PinTooWeak
        | RvError::NewPinMode
        | RvError::NextOtp
        | RvError::UserPinNotInitialized => Class::Pin,

        RvError::SessionCount
        | RvError::SessionExists
        | RvError::SessionReadOnlyExists
        | RvError::SessionReadWriteSoExists
        | RvError::UserAnotherAlreadyLoggedIn
        | RvError::UserTooManyTypes
        | TOKEN_RESOURCE_EXCEEDED => Class::Busy,

        RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::OperationActive
        | RvError::OperationNotInitialized
        | OPERATION_CANCEL_FAILED => Class::Session,

        RvError::UserNotLoggedIn
        | RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::WrappingKeyHandleInvalid
        | RvError::UnwrappingKeyHandleInvalid => Class::Login,

        RvError::CryptokiNotInitialized
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::FipsSelfTestFailed
        | RvError::LibraryLoadFailed
        | RvError::MutexBad
        | RvError::MutexNotLocked => Class::Restart,

        RvError::GeneralError
        | RvError::FunctionFailed
        | RvError::DeviceError
        | RvError::DeviceMemory
        | RvError::HostMemory
        | RvError::Cancel
        | RvError::FunctionCanceled
        // The key that it is said of was permitted it when it was found: it is just being
        // destroyed, or is another.
        | RvError::KeyFunctionNotPermitted
        | RvError::VendorDefined(_) => Class::Suspect,

        AEAD_DECRYPT_FAILED | KEY_EXHAUSTED => Class::Request,
        // Nobody knows, so the device is asked.
        RvError::UnknownErrorCode(_) => Class::Suspect,
        _ => Class::Request,
    }
}

impl Fault {
    pub(super) fn class(&self) -> Class {
        match self {
            Fault::Device(Error::Pkcs11(rv, _)) => class_of(*rv),
            // What cryptoki could not make sense of, or could not ask for.
            Fault::Device(_) => Class::Request,
            // To a session that was logged out, or a token whose files were moved away, objects
            // are not there, or are half there.
            Fault::Hsm(
                HsmError::NoSuchKey { .. }
                | HsmError::BadAttributes { .. }
                | HsmError::SelfTest { .. }
                | HsmError::WrongRootKey { .. }
                | HsmError::NoSuchResidentKey { .. }
                | HsmError::BadResidentKey { .. }
                | HsmError::ResidentSelfTest { .. }
                | HsmError::WrongResidentKey { .. },
            ) => Class::Suspect,
            Fault::Hsm(_) => Class::Request,
        }
    }

    /// The token has forgotten a session, a login or an object handle of ours, or is gone. All
    /// can be had anew, so this is no finding about an object.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.class(), Class::Session | Class::Login | Class::Restart)
    }

    /// What a failed unwrapping means. Asked of a healthy token, some errors mean a bad tag; else
    /// nobody knows yet whether the key opens, and to say "forged" would be wrong.
    pub(super) fn of_unwrap(self, is_healthy: impl FnOnce() -> bool) -> HsmError {
        if !self.may_be_bad_tag() {
            return self.into();
        }
        if is_healthy() {
            return HsmError::Authentication;
        }
        match self {
            Fault::Device(error) => HsmError::Unavailable(words(&error)),
            Fault::Hsm(error) => error,
        }
    }

    /// What tokens answer to a bad tag or a bad padding. SoftHSM 2.6 says
    /// CKR_GENERAL_ERROR of a bad GCM tag, others CKR_FUNCTION_FAILED or CKR_DEVICE_ERROR: words
    /// that elsewhere mean a broken device. Only the call that opens is meant, not what came
    /// before it.
    pub(super) fn may_be_bad_tag(&self) -> bool {
        let Fault::Device(Error::Pkcs11(rv, function)) = self else { return false };
        match rv {
            RvError::GeneralError | RvError::FunctionFailed | RvError::DeviceError => {
                matches!(function, Function::Decrypt | Function::UnwrapKey)
            }
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | &AEAD_DECRYPT_FAILED => {
                matches!(function, Function::Decrypt | Function::UnwrapKey)
            }
            RvError::WrappedKeyInvalid | RvError::WrappedKeyLenRange => {
                matches!(function, Function::UnwrapKey)
            }
            _ => false,
        }
    }

    /// The wrapped key did not open, as far as the device or its format says.
    pub(super) fn is_bad_tag(&self) -> bool {
        self.may_be_bad_tag() || matches!(self, Fault::Hsm(HsmError::Authentication))
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
        let passing = !matches!(fault.class(), Class::Request | Class::Pin);
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

    #[test]
    fn forged_only_if_the_token_is_well_and_the_opening_itself_failed() {
        for rv in [
            RvError::GeneralError,
            RvError::EncryptedDataInvalid,
            RvError::EncryptedDataLenRange,
            RvError::FunctionFailed,
            RvError::DeviceError,
            AEAD_DECRYPT_FAILED,
        ] {
            for function in [Function::Decrypt, Function::UnwrapKey] {
                let error = unwrap_fails(rv, function, true);
                assert_eq!(error, HsmError::Authentication, "{rv:?} of {function:?}");
                let error = unwrap_fails(rv, function, false);
                assert!(matches!(error, HsmError::Unavailable(_)), "{rv:?}: {error:?}");
            }
            for function in [Function::DecryptInit, Function::FindObjects, Function::Encrypt] {
                let error = unwrap_fails(rv, function, true);
                assert_ne!(error, HsmError::Authentication, "{rv:?} of {function:?}");
            }
        }
        let error = unwrap_fails(RvError::WrappedKeyInvalid, Function::UnwrapKey, true);
        assert_eq!(error, HsmError::Authentication);
        let error = unwrap_fails(RvError::WrappedKeyInvalid, Function::Decrypt, true);
        assert_ne!(error, HsmError::Authentication);
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

    #[test]
    fn a_pin_is_never_a_reason_to_try_again() {
        for code in 0..0x400 {
            let says_pin = format!("{:?}", Rv::from(code)).contains("Pin");
            assert!(!says_pin || class(code) == Some(Class::Pin), "{code:#x}");
        }
        assert_eq!(class(0), None);
        assert_eq!(class(0x42), Some(Class::Request));
        assert_eq!(class(0x8000_0001), Some(Class::Suspect));
    }
}
