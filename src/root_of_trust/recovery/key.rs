//! The recovery key pair: X25519 and ML-KEM-1024 side by side, both out of one seed of 32 bytes. What is
//! wrapped for it stays closed as long as one of the two holds.
//!
//! ```text
//! a domain key, wrapped:
//!  off    len
//!    0      1   format: 01
//!    1   1568   public key: ML-KEM-1024 (FIPS 203, 7.1)
//! 1569     32   public key: X25519 (RFC 7748)
//! 1601     32   HMAC of both by the domain key itself (label recovery-public)
//! 1633   1568   ML-KEM-1024 ciphertext
//! 3201     32   X25519 public key of this wrap alone
//! 3233          the domain key, sealed (docs/ciphertext-format.md), label recovery-wrap, all of the above
//!               its header
//! ```
//!
//! Its key = HKDF-SHA-256(ikm = ML-KEM's secret ‖ X25519's, info = label ‖ both ciphertexts ‖ both public
//! keys). The public key stands in the wrap so that it can be made anew; the HMAC keeps out a public key
//! that somebody put there who can write the file.
use super::{PREFIX, RecoveryError};
use crate::memory::LockedKey;
use crate::random::Random;
use crate::seal::{self, Label};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_1024};
use claviger_hsm::{RootKeyId, WrappedKey};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const ML_KEM_BYTES: usize = 1568;
const X25519_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
pub(super) const PUBLIC_BYTES: usize = ML_KEM_BYTES + X25519_BYTES;
const HEADER_BYTES: usize = 1 + PUBLIC_BYTES + MAC_BYTES + ML_KEM_BYTES + X25519_BYTES;
/// How many bytes of the public key's hash name it.
pub(super) const FINGERPRINT_BYTES: usize = 16;
/// The rank of ML-KEM-1024's module, from which the place of the public half in the private one follows.
const RANK: usize = 4;

/// What the shares are shares of. In locked memory.
pub struct Seed(LockedKey);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(LockedKey::new(bytes))
    }

    pub fn generate(random: &dyn Random) -> Self {
        Self::new(&Zeroizing::new(random.bytes()))
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub fn public(&self) -> Result<PublicKey, RecoveryError> {
        Ok(self.private()?.public)
    }

    #[expect(
        deprecated,
        reason = "the crate advises seeds over expanded keys; AWS-LC takes the latter only"
    )]
    pub(super) fn private(&self) -> Result<PrivateKey, RecoveryError> {
        use ml_kem::{
            DecapsulationKey as FromSeed, ExpandedKeyEncoding, MlKem1024, Seed as Seed64,
        };
        let key = |_| RecoveryError::Key;
        let part = |info: &[u8]| seal::derive(self.expose(), Label::RECOVERY_ML_KEM, info);
        let both = Zeroizing::new([*part(b"d").expose(), *part(b"z").expose()].concat());
        let seed =
            Zeroizing::new(Seed64::try_from(both.as_slice()).map_err(|_| RecoveryError::Key)?);
        let expanded = FromSeed::<MlKem1024>::from_seed(*seed);
        let expanded = Zeroizing::new(Zeroizing::new(expanded.to_expanded_bytes()).to_vec());
        // FIPS 203: the decryption key, then the encapsulation key, then a hash of it and z.
        let at = 384 * RANK;
        let ml_kem = expanded.get(at..at + ML_KEM_BYTES).ok_or(RecoveryError::Key)?.to_vec();
        let scalar = seal::derive(self.expose(), Label::RECOVERY_X25519, &[]);
        let private = agreement::PrivateKey::from_private_key(&X25519, scalar.expose());
        let x25519 = private.map_err(|_| RecoveryError::Key)?;
        let public = x25519.compute_public_key().map_err(key)?;
        let public: [u8; X25519_BYTES] =
            public.as_ref().try_into().map_err(|_| RecoveryError::Key)?;
        Ok(PrivateKey {
            ml_kem: DecapsulationKey::new(&ML_KEM_1024, &expanded)
                .map_err(|_| RecoveryError::Key)?,
            x25519,
            public: PublicKey { ml_kem, x25519: public },
        })
    }
}

/// The half that a deployment has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// 1568 bytes.
    ml_kem: Vec<u8>,
    x25519: [u8; X25519_BYTES],
}

pub(super) struct PrivateKey {
    ml_kem: DecapsulationKey,
    x25519: agreement::PrivateKey,
    public: PublicKey,
}

/// The key that a domain key is sealed with, out of what both halves agreed on.
fn combine(
    ml_kem: &[u8],
    x25519: &[u8],
    header: &[u8],
) -> Result<Zeroizing<[u8; 32]>, RecoveryError> {
    let both = Zeroizing::new([ml_kem, x25519].concat());
    let label = Label::RECOVERY_WRAP.parts().concat();
    let mut key = Zeroizing::new([0; 32]);
    let info = [label.as_slice(), header].concat();
    let expanded = Hkdf::<Sha256>::new(None, &both).expand(&info, &mut *key);
    expanded.map_err(|_| RecoveryError::Key)?;
    Ok(key)
}

fn agree(
    private: &agreement::PrivateKey,
    public: &[u8],
) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
    let public = UnparsedPublicKey::new(&X25519, public);
    agreement::agree(private, public, RecoveryError::Key, |secret| {
        Ok(Zeroizing::new(secret.to_vec()))
    })
}

impl PublicKey {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (ml_kem, x25519) = bytes.split_at_checked(ML_KEM_BYTES)?;
        let x25519 = x25519.try_into().ok()?;
        // FIPS 203, 7.2: only what is a key is taken.
        EncapsulationKey::new(&ML_KEM_1024, ml_kem).ok()?;
        Some(Self { ml_kem: ml_kem.to_vec(), x25519 })
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.ml_kem.as_slice(), &self.x25519].concat()
    }

    /// 32 hexadecimal digits that name it.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.bytes());
        hex::encode(digest.get(..FINGERPRINT_BYTES).unwrap_or_default())
    }

    /// Its name among roots.
    pub fn root(&self) -> RootKeyId {
        RootKeyId::new(format!("{PREFIX}{}", self.fingerprint()))
    }

    fn mac(&self, domain_key: &[u8; 32], aad: &[u8]) -> [u8; MAC_BYTES] {
        seal::mac(domain_key, Label::RECOVERY_PUBLIC, &[aad, &self.ml_kem, &self.x25519])
    }

    /// Wraps a domain key, bound to `aad`.
    pub fn wrap(
        &self,
        domain_key: &[u8; 32],
        aad: &[u8],
        random: &dyn Random,
    ) -> Result<WrappedKey, RecoveryError> {
        let key =
            EncapsulationKey::new(&ML_KEM_1024, &self.ml_kem).map_err(|_| RecoveryError::Key)?;
        let (ciphertext, quantum) = key.encapsulate().map_err(|_| RecoveryError::Key)?;
        let scalar = Zeroizing::new(random.bytes::<32>());
        let ours = agreement::PrivateKey::from_private_key(&X25519, &*scalar);
        let ours = ours.map_err(|_| RecoveryError::Key)?;
        let public = ours.compute_public_key().map_err(|_| RecoveryError::Key)?;
        let classic = agree(&ours, &self.x25519)?;
        let mac = self.mac(domain_key, aad);
        let parts: [&[u8]; 6] =
            [&[FORMAT], &self.ml_kem, &self.x25519, &mac, ciphertext.as_ref(), public.as_ref()];
        let header = parts.concat();
        let key = combine(quantum.as_ref(), &classic, &header)?;
        let bytes = seal::seal(&key, &header, Label::RECOVERY_WRAP, aad, random, domain_key);
        Ok(WrappedKey { root: self.root(), bytes })
    }

    /// The public key in a wrap that whoever had the domain key made for it.
    pub(in crate::root_of_trust) fn of_wrap(
        wrapped: &WrappedKey,
        domain_key: &[u8; 32],
        aad: &[u8],
    ) -> Result<Self, RecoveryError> {
        let parse = || {
            let (_, rest) = wrapped.bytes.split_first().filter(|(format, _)| **format == FORMAT)?;
            let (public, rest) = rest.split_at_checked(PUBLIC_BYTES)?;
            let (public, mac) = (Self::parse(public)?, rest.get(..MAC_BYTES)?);
            let parts: [&[u8]; 3] = [aad, &public.ml_kem, &public.x25519];
            let ours = seal::mac_matches(domain_key, Label::RECOVERY_PUBLIC, &parts, mac);
            (ours && public.root() == wrapped.root).then_some(public)
        };
        parse().ok_or_else(|| RecoveryError::Foreign(wrapped.root.to_string()))
    }
}

impl PrivateKey {
    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// None if it was not made for this key, this `aad`, or was changed.
    pub(super) fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (header, _) = wrapped.bytes.split_at_checked(HEADER_BYTES)?;
        let (format, rest) = header.split_first()?;
        let (public, rest) = rest.split_at_checked(PUBLIC_BYTES)?;
        let (mac, rest) = rest.split_at_checked(MAC_BYTES)?;
        let (ciphertext, theirs) = rest.split_at_checked(ML_KEM_BYTES)?;
        if *format != FORMAT || public != self.public.bytes() {
            return None;
        }
        let quantum = self.ml_kem.decapsulate(Ciphertext::from(ciphertext)).ok()?;
        let classic = agree(&self.x25519, theirs).ok()?;
        let key = combine(quantum.as_ref(), &classic, header).ok()?;
        let opened = seal::open(&key, header, Label::RECOVERY_WRAP, aad, &wrapped.bytes).ok()?;
        // What whoever made it knew: the key that is in it.
        let domain_key = <&[u8; 32]>::try_from(opened.as_slice()).ok()?;
        let parts: [&[u8]; 3] = [aad, &self.public.ml_kem, &self.public.x25519];
        seal::mac_matches(domain_key, Label::RECOVERY_PUBLIC, &parts, mac).then_some(opened)
    }
}
