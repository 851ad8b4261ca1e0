//! The root of trust: a device that keeps root keys and never shows them.
//!
//! Everything above this crate sees one small trait, [`Hsm`]. A PKCS#11 token and a software
//! stand-in implement it; the same test suite runs against both. The crate knows nothing of AWS,
//! of stores or of networks.
//!
//! `unsafe` stands in one file, `pkcs11/raw.rs`: what PKCS#11's C interface needs.
//!
//! | module | role |
//! |---|---|
//! | `key` | the words: root key names, key bytes, wrapped keys |
//! | `wrapped`, `hybrid` | the two formats of a wrapped key, drawn; shared by every device |
//! | `mechanism` | how a device wraps |
//! | `error` | every way a device can be wrong, each saying what was sought and what was found |
//! | `evidence` | what a device shows of a root key to somebody who was not there |
//! | `resident` | keys that live in a device and are used there: the words, and a second trait |
//! | `software` | root keys derived from a seed, resident keys in memory; tests and development only |
//! | `pkcs11` | root keys in a PKCS#11 token |
//! | `profile` | what is known of vendors' PKCS#11 modules |
//! | `tpm` | root keys in a TPM 2.0 |
//! | `worker` | a device in a process of its own, which may crash or hang |
//! | `guard` | deadlines, a bounded queue and a circuit breaker around any device |
//! | `health` | what is known of a device without asking it |
//! | `suite` | what any device must do, as tests |

mod elapsed;
mod error;
mod evidence;
mod guard;
mod health;
#[cfg(any(feature = "pkcs11", feature = "tpm"))]
mod hybrid;
mod key;
mod mechanism;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
#[cfg(feature = "pkcs11")]
pub mod profile;
mod resident;
mod software;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "tpm")]
pub mod tpm;
#[cfg(feature = "pkcs11")]
pub mod worker;
mod wrapped;

pub use error::{AttributeFault, HsmError, TokenSeen, TokenState};
pub use evidence::{Attestation, Certification, Challenge, Quote};
pub use guard::{Circuit, GuardConfig, GuardStatus, Guarded, Pace};
pub use health::DeviceHealth;
pub use key::{KeyBytes, RootKeyId, WrappedKey};
pub use mechanism::Mechanism;
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pin, PinSource, Pkcs11Config, Pkcs11Hsm};
pub use resident::{
    BrokenKey, Curve, Hash, MAX_MESSAGE_LEN, MAX_PLAINTEXT_LEN, ResidentId, ResidentKeys,
    ResidentReport, ResidentSpec, SignatureScheme,
};
pub use software::SoftwareHsm;
#[cfg(feature = "tpm")]
pub use tpm::{TpmConfig, TpmHsm};
#[cfg(feature = "pkcs11")]
pub use worker::{HelperConfig, HelperHsm, HelperStatus};
pub use wrapped::{FORMAT, IV_LEN, MAX_AAD_LEN, MAX_KEY_LEN, OVERHEAD, TAG_LEN};

use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// What a device says it is, asked once when it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    ///
    /// Two processes must not make keys of one name at one time: a token that shows them each
    /// other's objects late (SoftHSM) says yes to both. Then neither key is found any more
    /// ([`HsmError::DuplicateKey`]).
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError>;

    /// Destroys all that lives in the device of a root key, then looks whether anything is left:
    /// what is wrapped under it opens no more. A key that is not there is destroyed already.
    ///
    /// A PKCS#11 token destroys the objects (C_DestroyObject). A TPM derives its root keys from
    /// its seed: what goes is the record without which none is used, and a key made again under
    /// the same name opens the same wrapped keys; only TPM2_Clear ends that. So it is with the
    /// software device and its seed.
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError>;

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

    /// Asks the device whether it works, as cheaply as it can be asked; heals what can be healed.
    fn probe(&self) -> Result<(), HsmError> {
        self.random(&mut [0; 16])
    }

    /// Everything known of it for an operator, if it is a PKCS#11 token. Some of that is tried with
    /// keys that are thrown away, and takes as long as making keys does.
    #[cfg(feature = "pkcs11")]
    fn token_report(&self) -> Result<Option<pkcs11::Report>, HsmError> {
        Ok(None)
    }

    /// How many calls it works on at once, where it says: more of them only wait inside it.
    fn calls_at_once(&self) -> Option<usize> {
        None
    }

    /// What is known of it without asking it: never blocks. None of a device that nobody watches.
    fn health(&self) -> Option<DeviceHealth> {
        None
    }

    /// The keys that live in it, if it is a device that has such.
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        None
    }

    /// What the device says of itself and of a root key, by the names of its standard: its own words,
    /// which prove nothing by themselves. Empty for a device that has none.
    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        self.check_root_key(root).map(|()| Vec::new())
    }

    /// Has the device sign, for a nonce of 16 to 32 bytes, that it holds a root key, and the state of
    /// its machine. None of a device that signs nothing.
    fn certify_root_key(
        &self,
        _root: &RootKeyId,
        _nonce: &[u8],
    ) -> Result<Option<Attestation>, HsmError> {
        Ok(None)
    }

    /// The secret of a challenge that was made for this device and the key that it signs with.
    fn answer_challenge(&self, _challenge: &Challenge) -> Result<KeyBytes, HsmError> {
        Err(HsmError::Unsupported("answering a challenge, which a TPM does".into()))
    }
}
