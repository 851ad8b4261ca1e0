//! The root of trust: a device that keeps root keys and never shows them.
//!
//! Everything above this crate sees one small trait, [`Hsm`]. A PKCS#11 token and a software
//! stand-in implement it; the same test suite runs against both. The crate knows nothing of AWS,
//! of stores or of networks.
//!
//! | module | role |
//! |---|---|
//! | `key` | the words: root key names, key bytes, wrapped keys |
//! | `wrapped` | the format of a wrapped key, drawn; shared by every device |
//! | `error` | every way a device can be wrong, each saying what was sought and what was found |
//! | `software` | root keys derived from a seed; tests and development only |
//! | `pkcs11` | root keys in a PKCS#11 token |
//! | `suite` | what any device must do, as tests |

mod error;
mod key;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod software;
#[cfg(feature = "suite")]
pub mod suite;
mod wrapped;

pub use error::{AttributeFault, HsmError, TokenSeen, TokenState};
pub use key::{KeyBytes, RootKeyId, WrappedKey};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pin, Pkcs11Config, Pkcs11Hsm};
pub use software::SoftwareHsm;
pub use wrapped::{FORMAT, IV_LEN, MAX_AAD_LEN, MAX_KEY_LEN, OVERHEAD, TAG_LEN};

use serde::Serialize;
use std::fmt::Debug;

/// What a device says it is, asked once when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    pub vendor: String,
    pub model: String,
    pub serial: String,
    pub label: String,
    pub firmware: Option<String>,
    /// False for anything known to be software: its keys can be copied with its files.
    /// True is the device's own claim and proves nothing.
    pub hardware: bool,
}

/// A device that keeps root keys.
///
/// Calls block: devices are slow and their drivers are synchronous. Callers move them off their
/// async threads. All methods may be called from many threads at once.
pub trait Hsm: Send + Sync + Debug {
    fn info(&self) -> DeviceInfo;

    /// Fills `out` from the device's generator.
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError>;

    /// Makes a root key inside the device and checks it as [`Hsm::check_root_key`] does. A key
    /// that does not pass is destroyed again: nothing was wrapped under it yet.
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError>;

    /// The root keys that [`Hsm::create_root_key`] made in this device, sorted.
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError>;

    /// Proves, before anything is written under it, that exactly one object is this root key,
    /// that the device holds it the way we want, and that it opens what it wraps.
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError>;

    /// Wraps `key` under a root key, binding `aad`. What is returned has been opened again and
    /// compared.
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError>;

    /// Opens a wrapped key. Other `aad`, another root or a changed byte is
    /// [`HsmError::Authentication`], never a different key.
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError>;
}
