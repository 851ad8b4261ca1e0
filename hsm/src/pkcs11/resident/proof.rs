//! That a resident key works, and that a key found again is the key that was used before.
//!
//! A token that was away may come back with another object under the same name. What is encrypted
//! under that one is lost with it; what it signs nobody can verify. So something that only the
//! same key can do again is kept in memory for each key, and done again before the key is used
//! under a new handle.

use super::super::fault::Fault;
use super::key::{Key, Routes, no_oaep};
use crate::resident::public_key::{self, verifies};
use crate::{Curve, Hash, HsmError, KeyBytes, ResidentId, ResidentSpec, SignatureScheme};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MESSAGE: &[u8] = b"claviger/hsm/self-test";
const AAD: &[u8] = b"claviger/hsm/self-test";
const OTHER_AAD: &[u8] = b"claviger/hsm/self-tesT";
const KEY_LEN: usize = 32;
/// The digest of a self-test is of no message that anyone knows.
const DIGEST_BYTE: u8 = 0x5a;

/// What only one key can have made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// A random message, and the same encrypted.
    Sealed { message: KeyBytes, sealed: Vec<u8> },
    /// The MAC of [`MESSAGE`].
    Mac(KeyBytes),
    /// SubjectPublicKeyInfo.
    Public(Vec<u8>),
    /// The x coordinate of the public point: what agreeing with the base point gives.
    X(KeyBytes),
}

#[derive(Debug, Default)]
pub(super) struct Proofs {
    known: Mutex<BTreeMap<ResidentId, Arc<Proof>>>,
}

impl Proofs {
    /// Uses a key once; refuses one that does not work, or is another than it was. Says how an RSA
    /// key decrypts. `public` is its public half where the caller knows it.
    pub(super) fn check(&self, key: &Key<'_>, public: Option<&[u8]>) -> Result<Routes, Fault> {
        let known = self.known().get(key.id).cloned();
        let (made, routes) = prove(key, known.as_deref(), public)?;
        // An ECDSA key does not tell its public half: nothing is made where nobody has said it.
        if let (None, Some(made)) = (known, made) {
            self.known().entry(key.id.clone()).or_insert_with(|| Arc::new(made));
        }
        Ok(routes)
    }

    /// Whether an AES key decrypts now what it encrypted before; false if nothing is known of it.
    pub(super) fn opens(&self, key: &Key<'_>) -> Result<bool, Fault> {
        let known = self.known().get(key.id).cloned();
        let Some(Proof::Sealed { message, sealed }) = known.as_deref() else { return Ok(false) };
        Ok(key.decrypt(sealed, AAD)? == *message)
    }

    /// The key was destroyed, or made anew, by ourselves.
    pub(super) fn forget(&self, id: &ResidentId) {
        self.known().remove(id);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ResidentId, Arc<Proof>>> {
        // Every change is one insert or remove.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prove(
    key: &Key<'_>,
    known: Option<&Proof>,
    public: Option<&[u8]>,
) -> Result<(Option<Proof>, Routes), Fault> {
    let wrong = || Fault::Hsm(HsmError::WrongResidentKey { id: key.id.clone() });
    if public.is_some() && !key.found.spec.is_pair() {
        return Err(wrong());
    }
    let mut routes = Routes::default();
    let made = match key.found.spec {
        ResidentSpec::Aes256 => match known {
            Some(known) => return reopen(key, known).map(|()| (None, routes)),
            None => Some(seal(key)?),
        },
        ResidentSpec::Hmac(hash) => Some(Proof::Mac(KeyBytes::new(key.mac(hash, MESSAGE)?))),
        ResidentSpec::RsaSign(_) => {
            let told = key.found.rsa.as_deref().unwrap_or_default();
            let schemes = [SignatureScheme::RsaPss, SignatureScheme::RsaPkcs1];
            for scheme in schemes.map(|scheme| scheme(Hash::Sha256)) {
                signs(key, scheme, Hash::Sha256, |digest, signature| {
                    verifies(told, None, scheme, digest, signature)
                })?;
            }
            Some(Proof::Public(told.to_vec()))
        }
        ResidentSpec::RsaDecrypt(_) => {
            let told = key.found.rsa.as_deref().unwrap_or_default();
            routes = key.routes(told)?;
            if routes == Routes::default() {
                return Err(no_oaep(Hash::Sha256).into());
            }
            Some(Proof::Public(told.to_vec()))
        }
        ResidentSpec::EcSign(curve) => {
            let known = match known {
                None => None,
                Some(Proof::Public(known)) => Some(known.as_slice()),
                Some(_) => return Err(wrong()),
            };
            if public.is_some() && known.is_some() && public != known {
                return Err(wrong());
            }
            let public = public.or(known);
            let is_mine = |digest: &[u8], signature: &[u8]| {
                let scheme = SignatureScheme::Ecdsa;
                public.is_none_or(|public| verifies(public, Some(curve), scheme, digest, signature))
            };
            match signs(key, SignatureScheme::Ecdsa, curve.hash(), is_mine) {
                Err(Fault::Hsm(HsmError::ResidentSelfTest { .. })) => return Err(wrong()),
                other => other?,
            }
            return Ok((public.map(|public| Proof::Public(public.to_vec())), routes));
        }
        ResidentSpec::EcAgree(curve) => {
            let x = key.agree(base_point(curve))?;
            if public.is_some_and(|public| !is_x(curve, public, &x)) {
                return Err(wrong());
            }
            Some(Proof::X(x))
        }
    };
    let is_another = known.is_some_and(|known| made.as_ref() != Some(known));
    let says_other =
        matches!((&made, public), (Some(Proof::Public(told)), Some(public)) if told != public);
    if is_another || says_other { Err(wrong()) } else { Ok((made, routes)) }
}

/// Encrypts, and must decrypt that, but not under other associated data.
fn seal(key: &Key<'_>) -> Result<Proof, Fault> {
    let mut message = vec![0; KEY_LEN];
    getrandom::fill(&mut message)
        .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
    let message = KeyBytes::new(message);
    let sealed = key.encrypt(&message, AAD)?;
    match key.decrypt(&sealed, AAD) {
        Ok(opened) if opened == message => {}
        Err(fault) if !fault.is_bad_tag() => return Err(fault),
        _ => return Err(fails(key, "it did not decrypt what it had just encrypted")),
    }
    match key.decrypt(&sealed, OTHER_AAD) {
        Ok(_) => Err(fails(key, "it decrypted under other associated data")),
        Err(fault) if fault.is_bad_tag() => Ok(Proof::Sealed { message, sealed }),
        Err(fault) => Err(fault),
    }
}

fn reopen(key: &Key<'_>, known: &Proof) -> Result<(), Fault> {
    let wrong = || Fault::Hsm(HsmError::WrongResidentKey { id: key.id.clone() });
    let Proof::Sealed { message, sealed } = known else { return Err(wrong()) };
    match key.decrypt(sealed, AAD) {
        Ok(opened) if opened == *message => Ok(()),
        Err(fault) if !fault.is_bad_tag() => Err(fault),
        // Another key, or a token that cannot decrypt at all: then it fails here.
        _ => Err(seal(key).err().unwrap_or_else(wrong)),
    }
}

fn signs(
    key: &Key<'_>,
    scheme: SignatureScheme,
    hash: Hash,
    is_valid: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<(), Fault> {
    let digest = vec![DIGEST_BYTE; hash.digest_len()];
    let signature = key.sign(scheme, &digest)?;
    if is_valid(&digest, &signature) {
        return Ok(());
    }
    Err(fails(key, &format!("its public half does not verify a signature by {scheme:?}")))
}

fn fails(key: &Key<'_>, reason: &str) -> Fault {
    HsmError::ResidentSelfTest { id: key.id.clone(), reason: reason.into() }.into()
}

/// Whether this is the x coordinate of a public key.
fn is_x(curve: Curve, public: &[u8], x: &KeyBytes) -> bool {
    let point = public_key::point(curve, public);
    let found = point.and_then(|point| point.get(1..=curve.scalar_len()));
    found.is_some_and(|found| found == x.expose())
}

/// The base point of a curve, uncompressed (SP 800-186, 3.2.1): a key agrees with it to the x
/// coordinate of its own public point.
fn base_point(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 | Curve::Secp256k1 => &[
            0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63,
            0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39,
            0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e,
            0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e,
            0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
        ],
        Curve::P384 => &[
            0x04, 0xaa, 0x87, 0xca, 0x22, 0xbe, 0x8b, 0x05, 0x37, 0x8e, 0xb1, 0xc7, 0x1e, 0xf3,
            0x20, 0xad, 0x74, 0x6e, 0x1d, 0x3b, 0x62, 0x8b, 0xa7, 0x9b, 0x98, 0x59, 0xf7, 0x41,
            0xe0, 0x82, 0x54, 0x2a, 0x38, 0x55, 0x02, 0xf2, 0x5d, 0xbf, 0x55, 0x29, 0x6c, 0x3a,
            0x54, 0x5e, 0x38, 0x72, 0x76, 0x0a, 0xb7, 0x36, 0x17, 0xde, 0x4a, 0x96, 0x26, 0x2c,
            0x6f, 0x5d, 0x9e, 0x98, 0xbf, 0x92, 0x92, 0xdc, 0x29, 0xf8, 0xf4, 0x1d, 0xbd, 0x28,
            0x9a, 0x14, 0x7c, 0xe9, 0xda, 0x31, 0x13, 0xb5, 0xf0, 0xb8, 0xc0, 0x0a, 0x60, 0xb1,
            0xce, 0x1d, 0x7e, 0x81, 0x9d, 0x7a, 0x43, 0x1d, 0x7c, 0x90, 0xea, 0x0e, 0x5f,
        ],
        Curve::P521 => &[
            0x04, 0x00, 0xc6, 0x85, 0x8e, 0x06, 0xb7, 0x04, 0x04, 0xe9, 0xcd, 0x9e, 0x3e, 0xcb,
            0x66, 0x23, 0x95, 0xb4, 0x42, 0x9c, 0x64, 0x81, 0x39, 0x05, 0x3f, 0xb5, 0x21, 0xf8,
            0x28, 0xaf, 0x60, 0x6b, 0x4d, 0x3d, 0xba, 0xa1, 0x4b, 0x5e, 0x77, 0xef, 0xe7, 0x59,
            0x28, 0xfe, 0x1d, 0xc1, 0x27, 0xa2, 0xff, 0xa8, 0xde, 0x33, 0x48, 0xb3, 0xc1, 0x85,
            0x6a, 0x42, 0x9b, 0xf9, 0x7e, 0x7e, 0x31, 0xc2, 0xe5, 0xbd, 0x66, 0x01, 0x18, 0x39,
            0x29, 0x6a, 0x78, 0x9a, 0x3b, 0xc0, 0x04, 0x5c, 0x8a, 0x5f, 0xb4, 0x2c, 0x7d, 0x1b,
            0xd9, 0x98, 0xf5, 0x44, 0x49, 0x57, 0x9b, 0x44, 0x68, 0x17, 0xaf, 0xbd, 0x17, 0x27,
            0x3e, 0x66, 0x2c, 0x97, 0xee, 0x72, 0x99, 0x5e, 0xf4, 0x26, 0x40, 0xc5, 0x50, 0xb9,
            0x01, 0x3f, 0xad, 0x07, 0x61, 0x35, 0x3c, 0x70, 0x86, 0xa2, 0x72, 0xc2, 0x40, 0x88,
            0xbe, 0x94, 0x76, 0x9f, 0xd1, 0x66, 0x50,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_points_are_on_their_curves_and_give_the_public_x() {
        use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
        for (curve, algorithm) in [
            (Curve::P256, &agreement::ECDH_P256),
            (Curve::P384, &agreement::ECDH_P384),
            (Curve::P521, &agreement::ECDH_P521),
        ] {
            let key = PrivateKey::generate(algorithm).unwrap();
            let public = key.compute_public_key().unwrap();
            let public = public_key::of_point(curve, public.as_ref()).unwrap();
            let base = UnparsedPublicKey::new(algorithm, base_point(curve));
            let x = agreement::agree(&key, base, (), |x| Ok(KeyBytes::new(x.to_vec()))).unwrap();
            assert!(is_x(curve, &public, &x), "{curve:?}");
            assert!(!is_x(curve, &public, &KeyBytes::new(vec![0; curve.scalar_len()])));
        }
    }
}
