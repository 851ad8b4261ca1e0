//! Keys that live in a device: made there, used there, destroyed there, never out of there.
//!
//! A root key wraps other keys; a resident key is itself what a customer uses, so that every
//! operation with it is a call of the device. Devices that can do this implement
//! [`ResidentKeys`] beside [`Hsm`](crate::Hsm) and answer with it in
//! [`Hsm::resident`](crate::Hsm::resident).
//!
//! | module | role |
//! |---|---|
//! | `spec` | kinds of keys, and what each may be asked |
//! | `sealed` | the format of what an AES key has encrypted |
//! | `public_key`, `der` | public halves: written, read strictly, used to check the private ones |

pub(crate) mod der;
#[cfg_attr(
    not(any(test, feature = "pkcs11")),
    expect(dead_code, reason = "some of it is for tokens only")
)]
pub(crate) mod public_key;
pub(crate) mod sealed;
mod spec;

pub use sealed::MAX_PLAINTEXT_LEN;
pub use spec::{Curve, Hash, MAX_MESSAGE_LEN, ResidentSpec};

use crate::{HsmError, KeyBytes};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};

/// Names a resident key inside its device. In a token the name is the object's label:
/// `claviger/<cluster>/key/<key id>/<generation>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResidentId(String);

impl ResidentId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Refuses names that a token could cut short, or that would read differently than they are.
    pub fn check(&self) -> Result<(), HsmError> {
        crate::key::check_name("resident key", &self.0)
    }
}

impl fmt::Display for ResidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a digest is signed. RSA-PSS has a salt as long as the digest (FIPS 186-5, 5.4 (g)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SignatureScheme {
    RsaPss(Hash),
    RsaPkcs1(Hash),
    /// Of a digest by the hash of the curve ([`Curve::hash`]).
    Ecdsa,
}

/// What a device says of a resident key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentReport {
    pub spec: ResidentSpec,
    /// Names and values of the attributes that were read back from the device: its own words,
    /// which prove nothing by themselves. Empty for a device that knows none.
    pub attributes: Vec<(String, String)>,
}

/// A resident key that must not be used: half made, or not held as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenKey {
    pub id: ResidentId,
    /// What is wrong, in words.
    pub reason: String,
}

/// Keys inside the device, beside its root keys.
///
/// Every method blocks, as those of [`Hsm`](crate::Hsm) do. What a device cannot do is
/// [`HsmError::Unsupported`], decided before anything is made. A key that is not there is
/// [`HsmError::NoSuchResidentKey`]; one asked for what it is not made for is
/// [`HsmError::WrongUse`].
pub trait ResidentKeys: Send + Sync + Debug {
    /// What kinds of keys the device makes and uses.
    fn specs(&self) -> Vec<ResidentSpec>;

    /// Another number whenever the process that the device runs in was started anew, and so has
    /// forgotten what its keys were known by: whoever has proved a key proves it again. Does not ask
    /// the device.
    fn epoch(&self) -> u64 {
        0
    }

    /// Makes a key that cannot be taken out, reads its attributes back and uses it once; a key
    /// that does not pass is destroyed again. Of a key pair the public half comes back, as
    /// SubjectPublicKeyInfo (RFC 5280) in DER. The caller keeps it: not every device gives it
    /// again. He writes the name down before, too: what is left of a key by a process that was
    /// killed while it made it may be found by its name only.
    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError>;

    /// Proves that exactly one object is this key, that it is held as it must be, that it works,
    /// and, where `public` is given, that it is the private half of that.
    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError>;

    /// Destroys every object of the key, then looks whether any is left. A key that is not there
    /// is destroyed already.
    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError>;

    /// The resident keys in this device, sorted: those that are broken, too.
    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError>;

    /// Those of [`ResidentKeys::resident_keys`] that cannot be used, and why: what a process left
    /// that was killed while it made one. They are for [`ResidentKeys::destroy`].
    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError>;

    /// AES-256-GCM under an IV of this call's own, in the format of `resident/sealed.rs`; at most
    /// [`MAX_PLAINTEXT_LEN`] bytes.
    fn encrypt(
        &self,
        id: &ResidentId,
        plaintext: &KeyBytes,
        aad: &[u8],
    ) -> Result<Vec<u8>, HsmError>;

    /// Opens what [`ResidentKeys::encrypt`] gave. Anything else is [`HsmError::Authentication`].
    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError>;

    /// Signs a digest. RSA (SHA-256, 384 or 512): as long as the modulus. ECDSA: DER (RFC 3279,
    /// Ecdsa-Sig-Value).
    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError>;

    /// HMAC with the hash of the key's kind, of at most [`MAX_MESSAGE_LEN`] bytes.
    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError>;

    /// RSA-OAEP with this hash (SHA-1 or SHA-256), MGF1 with the same, and no label. A ciphertext
    /// that does not decrypt is [`HsmError::Authentication`].
    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError>;

    /// The x coordinate of the shared point (SP 800-56A, 5.7.1.2); `peer` is a
    /// SubjectPublicKeyInfo in DER, on the key's curve. Another curve, or what is no point of it,
    /// is [`HsmError::Refused`].
    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError>;
}

/// What is answered to a peer's public key that is none.
pub(crate) fn bad_peer(curve: Curve) -> HsmError {
    HsmError::Refused(format!(
        "the peer's public key: wanted a SubjectPublicKeyInfo with an uncompressed point of \
         {curve:?}, found none"
    ))
}
