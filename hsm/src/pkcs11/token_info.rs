//! What a token says of itself and of its mechanisms, without what cryptoki stumbles over.

use cryptoki_sys::*;

/// What a token says of a mechanism (CK_MECHANISM_INFO). Key sizes in bits or bytes, as the
/// mechanism has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MechanismInfo {
    pub(super) min_key_size: u64,
    pub(super) max_key_size: u64,
    /// CKF_…
    pub(super) flags: CK_FLAGS,
}

/// CK_TOKEN_INFO but for the clock, which some tokens fill with what is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawTokenInfo {
    pub(super) label: String,
    pub(super) manufacturer: String,
    pub(super) model: String,
    pub(super) serial: String,
    /// CKF_…
    pub(super) flags: CK_FLAGS,
    /// As "2.6".
    pub(super) firmware: String,
    /// Sessions that are open, and the most that may be, where the token says.
    pub(super) sessions: Option<u64>,
    pub(super) max_sessions: Option<u64>,
    pub(super) rw_sessions: Option<u64>,
    pub(super) max_rw_sessions: Option<u64>,
}

impl From<CK_MECHANISM_INFO> for MechanismInfo {
    fn from(info: CK_MECHANISM_INFO) -> Self {
        Self { min_key_size: info.ulMinKeySize, max_key_size: info.ulMaxKeySize, flags: info.flags }
    }
}

impl From<&CK_TOKEN_INFO> for RawTokenInfo {
    fn from(info: &CK_TOKEN_INFO) -> Self {
        Self {
            label: padded(&info.label),
            manufacturer: padded(&info.manufacturerID),
            model: padded(&info.model),
            serial: padded(&info.serialNumber),
            flags: info.flags,
            firmware: format!("{}.{}", info.firmwareVersion.major, info.firmwareVersion.minor),
            sessions: known(info.ulSessionCount),
            max_sessions: limit(info.ulMaxSessionCount),
            rw_sessions: known(info.ulRwSessionCount),
            max_rw_sessions: limit(info.ulMaxRwSessionCount),
        }
    }
}

/// Text in a field of fixed length, padded with blanks, by some tokens with zeros.
fn padded(field: &[CK_BYTE]) -> String {
    String::from_utf8_lossy(field).trim_end_matches([' ', '\0']).to_owned()
}

/// CK_UNAVAILABLE_INFORMATION is all ones.
fn known(count: CK_ULONG) -> Option<u64> {
    (count != CK_UNAVAILABLE_INFORMATION).then_some(count)
}

/// CK_EFFECTIVELY_INFINITE is 0.
fn limit(count: CK_ULONG) -> Option<u64> {
    known(count).filter(|count| *count != CK_EFFECTIVELY_INFINITE)
}
