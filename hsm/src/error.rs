//! Every way a device can be wrong. Each says what was looked for and what was found instead, so
//! that an operator need not guess; none carries a secret.

use crate::{ResidentId, RootKeyId};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum HsmError {
    // --- the module -------------------------------------------------------------------------
    #[error("PKCS#11 module {}: no such file ({reason})", path.display())]
    ModuleMissing { path: PathBuf, reason: String },
    #[error("{} is not a PKCS#11 module: {reason}", path.display())]
    NotAModule { path: PathBuf, reason: String },
    #[error("PKCS#11 module {} does not start: {reason}{}", path.display(), hint(path))]
    ModuleInitialize { path: PathBuf, reason: String },

    // --- the token --------------------------------------------------------------------------
    #[error("no token is labelled {wanted:?}; found: {}", list(found))]
    NoSuchToken { wanted: String, found: Vec<TokenSeen> },
    #[error("wanted one token labelled {wanted:?}, found {}: {}", found.len(), list(found))]
    DuplicateToken { wanted: String, found: Vec<TokenSeen> },
    #[error("no token is labelled {wanted:?}: no token is initialised yet; found: {}", list(found))]
    TokenNotInitialised { wanted: String, found: Vec<TokenSeen> },
    #[error("token {token:?} in slot {slot} has no user PIN yet: its initialisation was not ended")]
    UserPinNotSet { token: String, slot: u64 },
    #[error("no slot with a token to initialise; found: {}", list(found))]
    NoFreeSlot { found: Vec<TokenSeen> },
    #[error("token {token:?} is another than was opened: wanted {wanted}, found {found}")]
    WrongToken { token: String, wanted: String, found: String },

    // --- the PIN ----------------------------------------------------------------------------
    #[error(
        "token {token:?}: wrong PIN; it was tried exactly once and will not be tried again; \
         the token's PIN flags are now: {flags}; put the right PIN where it is configured"
    )]
    WrongPin { token: String, flags: String },
    #[error(
        "token {token:?}: the PIN of {source_name} was tried before and not accepted, so it was not \
         tried again; put the right PIN there, or restart this process to have it tried once more"
    )]
    PinNotTried { token: String, source_name: String },
    #[error(
        "token {token:?}: the PIN has expired; PIN flags: {flags}; set a new one by the vendor's tool"
    )]
    PinExpired { token: String, flags: String },
    #[error("PIN file {}: {reason}", path.display())]
    PinUnreadable { path: PathBuf, reason: String },
    #[error("token {token:?}: the PIN is locked and was not tried; PIN flags: {flags}")]
    PinLocked { token: String, flags: String },
    #[error(
        "token {token:?}: one more wrong PIN would lock it, so the PIN was not tried; \
         PIN flags: {flags}; log in once by hand with the vendor's tool"
    )]
    PinFinalTry { token: String, flags: String },

    // --- mechanisms and root keys -----------------------------------------------------------
    #[error("token {token:?} lacks {}; found: {}", wanted.join(", "), list(found))]
    MechanismMissing { token: String, wanted: Vec<String>, found: Vec<String> },
    #[error("token {token:?} wraps keys in no way that we know; tried: {}", tried.join("; "))]
    NoWrap { token: String, tried: Vec<String> },
    #[error(
        "token {token:?} hands out keys that it must keep: {}. Who has its PIN has every root key \
         in it. Use another token; or, for a try, set accept_weak_token",
        findings.join("; ")
    )]
    WeakToken { token: String, findings: Vec<String> },
    #[error("no root key {wanted}; keys found: {}", list(found))]
    NoSuchKey { wanted: RootKeyId, found: Vec<String> },
    #[error("root key {0} already exists")]
    KeyExists(RootKeyId),
    #[error("wanted exactly one object labelled {id}, found {count}")]
    DuplicateKey { id: RootKeyId, count: usize },
    #[error("root key {id} is not held as it must be: {}", list(faults))]
    BadAttributes { id: RootKeyId, faults: Vec<AttributeFault> },
    #[error(
        "root key {id} is another key than this process has used before: the object was replaced; \
         nothing is wrapped under it. If that was meant, restart this process"
    )]
    WrongRootKey { id: RootKeyId },
    #[error("root key {id} fails its self-test: {reason}")]
    SelfTest { id: RootKeyId, reason: String },

    // --- resident keys ----------------------------------------------------------------------
    #[error("no resident key {wanted}; {found} other objects bear its name")]
    NoSuchResidentKey { wanted: ResidentId, found: usize },
    #[error("resident key {id} already exists: {found} objects bear its name")]
    ResidentKeyExists { id: ResidentId, found: usize },
    #[error("wanted exactly one key {id}, found {count}")]
    DuplicateResidentKey { id: ResidentId, count: usize },
    #[error("resident key {id} is not held as it must be: {}", list(faults))]
    BadResidentKey { id: ResidentId, faults: Vec<AttributeFault> },
    #[error(
        "resident key {id} is another key than it was, or than its public half says: the object \
         was replaced; nothing is done with it"
    )]
    WrongResidentKey { id: ResidentId },
    #[error("resident key {id} fails its self-test: {reason}")]
    ResidentSelfTest { id: ResidentId, reason: String },
    #[error("resident key {id} is for {found}; it was asked for {wanted}")]
    WrongUse { id: ResidentId, wanted: String, found: String },

    /// The PCRs of a TPM are not what they were when the key was wrapped: another firmware, boot
    /// chain or configuration was started.
    #[error(
        "{token}: the key was wrapped in another state of this machine: of {pcrs}, PCR {} changed \
         since. It opens in that state only; there is no fallback. Start what was started then, or \
         open another wrapping of the key (another root, the recovery key) and wrap it anew",
        list(changed)
    )]
    PcrMismatch { token: String, pcrs: String, changed: Vec<u8> },

    // --- calls ------------------------------------------------------------------------------
    /// The wrapped key, the root key and the associated data do not belong together.
    #[error("wrapped key does not authenticate")]
    Authentication,
    /// The device is busy or gone; the same call may work later.
    #[error("device unavailable: {0}")]
    Unavailable(String),
    /// The device cannot do this at all; nothing was made or changed.
    #[error("device cannot do this: {0}")]
    Unsupported(String),
    /// The same call will not work later either.
    #[error("device refused: {0}")]
    Refused(String),
}

/// One attribute of a root key that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeFault {
    pub attribute: String,
    pub wanted: String,
    pub found: String,
}

impl Display for AttributeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wanted {}, found {}", self.attribute, self.wanted, self.found)
    }
}

/// A token that was met while another was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSeen {
    pub slot: u64,
    pub state: TokenState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    Labelled(String),
    NotInitialised,
    Unreadable(String),
}

impl Display for TokenSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            TokenState::Labelled(label) => write!(f, "{label:?} in slot {}", self.slot),
            TokenState::NotInitialised => write!(f, "a blank token in slot {}", self.slot),
            TokenState::Unreadable(why) => {
                write!(f, "an unreadable token in slot {} ({why})", self.slot)
            }
        }
    }
}

/// "a, b, c", or "none".
fn list<T: Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".into();
    }
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// SoftHSM says no more than CKR_GENERAL_ERROR when its configuration is missing or names no
/// token directory: the commonest mistake of all.
fn hint(path: &std::path::Path) -> &'static str {
    if path.to_string_lossy().contains("softhsm") {
        " (does SOFTHSM2_CONF name a configuration file whose token directory exists?)"
    } else {
        ""
    }
}
