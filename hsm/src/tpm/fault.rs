//! What a TPM command can answer, sorted by what we can do about it.
//!
//! Response codes: TPM 2.0 part 2, 6.6; those of the layers above the TPM: TCG TSS 2.0 Overview
//! and Common Structures, 4. tss-esapi shows a code's name but not its layer, and a code of the
//! transport's has the same number as another of the TPM's; so the number is used.

use crate::HsmError;
use tss_esapi::Error;
use tss_esapi::constants::response_code::Tss2ResponseCode;

/// A failure on its way up: the TPM's own words, until someone who knows what was being tried has
/// turned them into ours.
#[derive(Debug)]
pub(super) enum Fault {
    /// What was asked, and what was answered.
    Tpm(&'static str, Error),
    Hsm(HsmError),
}

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The connection is broken, or the TPM has forgotten our handles (it was restarted): connect
    /// anew, and ask again.
    Reconnect,
    /// Others hold the TPM's few slots, or it is busy with itself: ask again soon.
    Wait,
    /// Asking again would be answered the same.
    None,
}

/// Layers of a response code: bits 16 to 23.
const LAYER_TPM: u32 = 0;
const LAYER_TCTI: u32 = 10;
/// The kernel's resource manager, which passes the TPM's own codes on with its layer set.
const LAYER_RESMGR: u32 = 11;
const LAYER_RESMGR_TPM: u32 = 12;

/// ESYS: the answer's HMAC is wrong (TSS2_ESYS_RC_RSP_AUTH_FAILED).
const FORGED: u32 = 0x0007_0022;

// Codes of the TPM, without the number of the parameter, handle or session they are about.
pub(super) const VALUE: u32 = 0x084;
pub(super) const HANDLE: u32 = 0x08b;
pub(super) const AUTH_FAIL: u32 = 0x08e;
pub(super) const POLICY_FAIL: u32 = 0x09d;
pub(super) const BAD_AUTH: u32 = 0x0a2;
pub(super) const INITIALIZE: u32 = 0x100;
pub(super) const FAILURE: u32 = 0x101;
pub(super) const PCR_CHANGED: u32 = 0x128;
pub(super) const SENSITIVE: u32 = 0x155;
pub(super) const LOCKOUT: u32 = 0x921;

impl Fault {
    /// For `map_err`: `command` is what was being asked.
    pub fn of(command: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self::Tpm(command, error)
    }

    pub fn remedy(&self) -> Remedy {
        let Some(code) = self.code() else { return Remedy::None };
        match (layer(code), base(code)) {
            (LAYER_TCTI, _) => Remedy::Reconnect,
            // OBJECT_MEMORY to OBJECT_HANDLES, YIELDED to TESTING, NV_RATE, RETRY, NV_UNAVAILABLE
            (LAYER_TPM | LAYER_RESMGR | LAYER_RESMGR_TPM, 0x902..=0x906 | 0x908..=0x90a) => {
                Remedy::Wait
            }
            (LAYER_TPM | LAYER_RESMGR | LAYER_RESMGR_TPM, 0x920 | 0x922 | 0x923) => Remedy::Wait,
            // REFERENCE_H0 to REFERENCE_S6
            (LAYER_TPM | LAYER_RESMGR | LAYER_RESMGR_TPM, 0x910..=0x91e | HANDLE | INITIALIZE) => {
                Remedy::Reconnect
            }
            _ => Remedy::None,
        }
    }

    /// Whether the TPM was not reached at all.
    pub fn is_no_connection(&self) -> bool {
        self.code().is_some_and(|code| layer(code) == LAYER_TCTI)
    }

    /// Whether libtss2 gave up, not the TPM: an answer that is none, or is not the TPM's.
    pub fn is_of_the_library(&self) -> bool {
        let of_the_tpm = |code| matches!(layer(code), LAYER_TPM | LAYER_RESMGR | LAYER_RESMGR_TPM);
        self.code().is_some_and(|code| !of_the_tpm(code))
    }

    /// Whether it is about the one thing that was asked for: others can be asked for all the same.
    pub fn is_about_this_one(&self) -> bool {
        self.remedy() == Remedy::None && !self.is_of_the_library()
    }

    /// The TPM's own code without the number of a parameter, handle or session.
    pub fn tpm_code(&self) -> Option<u32> {
        self.code().filter(|code| layer(*code) == LAYER_TPM).map(base)
    }

    /// Whether the TPM says that a parameter of the command is bad: the bytes, not the device.
    pub fn is_about_a_parameter(&self) -> bool {
        let about = |code: u32| layer(code) == LAYER_TPM && code & 0xc0 == 0xc0;
        self.code().is_some_and(about) || self.tpm_code() == Some(SENSITIVE)
    }

    fn code(&self) -> Option<u32> {
        match self {
            Self::Tpm(_, Error::Tss2Error(code)) => number(*code),
            _ => None,
        }
    }

    /// "TPM2_Load answered 0x1df: integrity check failed".
    fn words(command: &str, error: Error) -> String {
        match error {
            Error::Tss2Error(code) => match number(code) {
                Some(number) if layer(number) == LAYER_TCTI => {
                    format!("{command}: no connection to the TPM (0x{number:x})")
                }
                Some(FORGED) => format!("{command}: the answer is not the TPM's (0x{FORGED:x})"),
                Some(number) => format!("{command} answered 0x{number:x}: {error}"),
                None => format!("{command} answered: {error}"),
            },
            Error::WrapperError(kind) => format!("{command}: {kind}"),
        }
    }
}

impl From<HsmError> for Fault {
    fn from(error: HsmError) -> Self {
        Self::Hsm(error)
    }
}

impl From<Fault> for HsmError {
    fn from(fault: Fault) -> Self {
        let remedy = fault.remedy();
        let code = fault.tpm_code();
        let passing = remedy != Remedy::None || fault.is_of_the_library();
        match fault {
            Fault::Hsm(error) => error,
            Fault::Tpm(command, error) if code == Some(INITIALIZE) => HsmError::Unavailable(
                format!("{command}: the TPM was not started up (TPM2_Startup): {error}"),
            ),
            Fault::Tpm(command, error) if passing => {
                HsmError::Unavailable(Fault::words(command, error))
            }
            Fault::Tpm(command, error) => HsmError::Refused(Fault::words(command, error)),
        }
    }
}

fn layer(code: u32) -> u32 {
    code >> 16 & 0xff
}

/// Format one (bit 7): the error number alone. Format zero: all of it.
fn base(code: u32) -> u32 {
    if code & 0x80 == 0 { code & 0xfff } else { code & 0xbf }
}

/// The number of a response code, which tss-esapi gives as text only.
fn number(code: Tss2ResponseCode) -> Option<u32> {
    let text = match code {
        Tss2ResponseCode::Success => return Some(0),
        Tss2ResponseCode::FormatZero(code) => code.to_string(),
        Tss2ResponseCode::FormatOne(code) => code.to_string(),
    };
    u32::from_str_radix(text.rsplit_once("0x")?.1, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: u32) -> Fault {
        Fault::Tpm("TPM2_Test", Error::Tss2Error(Tss2ResponseCode::from(code)))
    }

    #[test]
    fn the_number_of_a_code_is_read_whole() {
        for code in [0x100, 0x1df, 0x98e, 0x921, 0xa000a, 0x7_0022, 0x0b_0902] {
            assert_eq!(fault(code).code(), Some(code), "{code:x}");
        }
    }

    #[test]
    fn faults_are_sorted_by_what_can_be_done() {
        for (code, remedy) in [
            (0x000a_000a, Remedy::Reconnect), // the transport's I/O error
            (0x000a_0008, Remedy::Reconnect), // the transport's NO_CONNECTION
            (0x910, Remedy::Reconnect),
            (0x918, Remedy::Reconnect),
            (0x18b, Remedy::Reconnect),
            (0x100, Remedy::Reconnect),
            (0x902, Remedy::Wait),
            (0x903, Remedy::Wait),
            (0x905, Remedy::Wait),
            (0x000b_0902, Remedy::Wait),
            (0x922, Remedy::Wait),
            (LOCKOUT, Remedy::None),
            (0x98e, Remedy::None),
            (0x9a2, Remedy::None),
            (0x1df, Remedy::None),
            (0x101, Remedy::None),
            (0x0007_0002, Remedy::None), // the same number as OBJECT_MEMORY, of the library
        ] {
            assert_eq!(fault(code).remedy(), remedy, "{code:x}");
        }
    }

    #[test]
    fn codes_lose_what_they_are_about() {
        for (code, base) in [
            (0x98e, AUTH_FAIL),
            (0x18e, AUTH_FAIL),
            (0x9a2, BAD_AUTH),
            (0x99d, POLICY_FAIL),
            (0x1c4, VALUE),
            (0x18b, HANDLE),
            (0x921, LOCKOUT),
            (0x128, PCR_CHANGED),
        ] {
            assert_eq!(fault(code).tpm_code(), Some(base), "{code:x}");
        }
        // The same number from another layer is another thing.
        assert_eq!(fault(0x0007_0128).tpm_code(), None);
        assert!(fault(0x1df).is_about_a_parameter() && fault(0x155).is_about_a_parameter());
        for other in [0x98e, 0x18b, 0x902, 0x921, 0x000a_01df] {
            assert!(!fault(other).is_about_a_parameter(), "{other:x}");
        }
    }

    #[test]
    fn an_error_names_the_command_and_the_code() {
        let error = HsmError::from(fault(0x1df));
        let HsmError::Refused(text) = error else { panic!("{error:?}") };
        assert!(text.starts_with("TPM2_Test answered 0x1df: integrity check failed"), "{text}");
        let error = HsmError::from(fault(0x000a_000a));
        let text = "TPM2_Test: no connection to the TPM (0xa000a)".to_owned();
        assert_eq!(error, HsmError::Unavailable(text));
        assert!(matches!(HsmError::from(fault(0x902)), HsmError::Unavailable(_)));
        // What is not the TPM's word may be otherwise the next time.
        let error = HsmError::from(fault(FORGED));
        let text = "TPM2_Test: the answer is not the TPM's (0x70022)".to_owned();
        assert_eq!(error, HsmError::Unavailable(text));
        for (code, of_the_library) in [(0x0007_0007, true), (0x0009_0006, true), (0x1df, false)] {
            assert_eq!(fault(code).is_of_the_library(), of_the_library, "{code:x}");
            assert_eq!(fault(code).is_about_this_one(), !of_the_library, "{code:x}");
        }
    }
}
