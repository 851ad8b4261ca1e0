//! The format of a wrapped key for devices that do not do AES-GCM with associated data themselves.
//!
//! ```text
//! off    len
//!  0      1   format: 02 = the device wraps a wrapping key, the wrapping key wraps the key
//!  1      1   mechanism: how the device wrapped, see [`Mechanism`]
//!  2      2   m, big endian (1 ≤ m ≤ 4096)
//!  4      m   what the device made of the wrapping key W: 32 bytes, random for every wrap
//! 4+m    12   IV, random
//! 16+m    n   ciphertext, as long as the key (1 ≤ n ≤ 16384)
//! 16+m+n 16   tag
//! ```
//!
//! The key is encrypted with AES-256-GCM under HKDF-SHA-256(ikm = W, info = "claviger/hsm/hybrid\0"
//! ‖ bytes 0 to 4+m). GCM's associated data = bytes 0 to 4+m ‖ the caller's associated data. So a
//! key of any length is wrapped under a device that takes 32 bytes only, and what a device's
//! mechanism leaves unbound (associated data; the mechanism itself) is bound all the same.
//!
//! With a public key as the root whoever has it can wrap too: such a blob opens, to a key of theirs.
//! Nothing here tells, nor does a check value that stands beside the blob: the caller must know what it
//! wrapped. (The server's file of domain keys carries a MAC by the oldest of them.)

use crate::wrapped::{IV_LEN, MAX_KEY_LEN, TAG_LEN, check_aad_len, check_key_len};
use crate::{HsmError, KeyBytes, Mechanism};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) const FORMAT: u8 = 2;
/// Length of a wrapping key, in bytes.
pub(crate) const WRAPPING_KEY_LEN: usize = 32;
/// Longest blob of a device, in bytes: an RSA modulus and a sealed TPM object are far below.
const MAX_BLOB_LEN: usize = 4096;
const HEADER_LEN: usize = 4;

/// Those whose number may stand in format 02.
const HYBRID: [Mechanism; 7] = [
    Mechanism::AesGcm,
    Mechanism::AesKwp,
    Mechanism::AesKw,
    Mechanism::AesCbcHmac,
    Mechanism::RsaOaepSha256,
    Mechanism::RsaOaepSha1,
    Mechanism::TpmSeal,
];

/// A wrapped key of format 02, taken apart.
#[derive(Debug)]
pub(crate) struct Hybrid<'a> {
    pub mechanism: Mechanism,
    /// What the device made of the wrapping key.
    pub blob: &'a [u8],
    header: &'a [u8],
    iv: [u8; IV_LEN],
    sealed: &'a [u8],
}

/// A fresh wrapping key: the system's generator, mixed with what the device gives.
#[cfg(any(test, feature = "tpm"))]
pub(crate) fn wrapping_key(device: &[u8; WRAPPING_KEY_LEN]) -> Result<KeyBytes, HsmError> {
    let mut key = vec![0; WRAPPING_KEY_LEN];
    getrandom::fill(&mut key)
        .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
    for (byte, other) in key.iter_mut().zip(device) {
        *byte ^= other;
    }
    Ok(KeyBytes::new(key))
}

/// Wraps `key` under the wrapping key that the device made `blob` of.
pub(crate) fn seal(
    mechanism: Mechanism,
    blob: &[u8],
    wrapping_key: &KeyBytes,
    key: &KeyBytes,
    aad: &[u8],
) -> Result<Vec<u8>, HsmError> {
    check_key_len(key.expose().len())?;
    check_aad_len(aad)?;
    let len = u16::try_from(blob.len()).ok().filter(|_| blob.len() <= MAX_BLOB_LEN);
    let Some(len) = len.filter(|len| *len > 0) else {
        let found = blob.len();
        let text = format!("a wrapped key of 1 to {MAX_BLOB_LEN} bytes wanted, found {found}");
        return Err(HsmError::Refused(text));
    };
    let mut out = [&[FORMAT, mechanism as u8], &len.to_be_bytes()[..], blob].concat();
    let mut iv = [0; IV_LEN];
    getrandom::fill(&mut iv)
        .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
    let bound = [&out[..], aad].concat();
    let sealed = cipher(wrapping_key, &out)?
        .encrypt(&Nonce::from(iv), Payload { msg: key.expose(), aad: &bound })
        .map_err(|e| HsmError::Refused(e.to_string()))?;
    out.extend_from_slice(&iv);
    out.extend_from_slice(&sealed);
    Ok(out)
}

impl<'a> Hybrid<'a> {
    /// What is not of this format does not authenticate, and the device is never shown it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, HsmError> {
        let parts = || {
            let [FORMAT, mechanism, high, low, rest @ ..] = bytes else { return None };
            let mechanism = HYBRID.into_iter().find(|known| *known as u8 == *mechanism)?;
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (blob, rest) = rest.split_at_checked(len)?;
            let header = bytes.get(..HEADER_LEN + len)?;
            let (iv, sealed) = rest.split_first_chunk::<IV_LEN>()?;
            let good = (1..=MAX_BLOB_LEN).contains(&len)
                && (TAG_LEN + 1..=TAG_LEN + MAX_KEY_LEN).contains(&sealed.len());
            good.then_some(Self { mechanism, blob, header, iv: *iv, sealed })
        };
        parts().ok_or(HsmError::Authentication)
    }

    /// Opens it with the wrapping key that the device made of the blob.
    pub fn open(&self, wrapping_key: &KeyBytes, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        check_aad_len(aad)?;
        let bound = [self.header, aad].concat();
        cipher(wrapping_key, self.header)?
            .decrypt(&Nonce::from(self.iv), Payload { msg: self.sealed, aad: &bound })
            .map(KeyBytes::new)
            .map_err(|_| HsmError::Authentication)
    }
}

fn cipher(wrapping_key: &KeyBytes, header: &[u8]) -> Result<Aes256Gcm, HsmError> {
    if wrapping_key.expose().len() != WRAPPING_KEY_LEN {
        return Err(HsmError::Authentication);
    }
    let mut key = Zeroizing::new([0; 32]);
    let info = [&b"claviger/hsm/hybrid\0"[..], header].concat();
    hkdf::Hkdf::<Sha256>::new(None, wrapping_key.expose())
        .expand(&info, &mut *key)
        .map_err(|e| HsmError::Refused(e.to_string()))?;
    Aes256Gcm::new_from_slice(&*key).map_err(|e| HsmError::Refused(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w() -> KeyBytes {
        KeyBytes::new(vec![7; WRAPPING_KEY_LEN])
    }

    fn sealed(key: &[u8], aad: &[u8]) -> Vec<u8> {
        let key = KeyBytes::new(key.to_vec());
        seal(Mechanism::AesKwp, b"device's", &w(), &key, aad).unwrap()
    }

    #[test]
    fn the_layout_is_the_one_drawn() {
        let bytes = sealed(&[9; 5], b"a");
        assert_eq!(bytes[..12], *b"\x02\x01\x00\x08device's");
        assert_eq!(bytes.len(), 12 + IV_LEN + 5 + TAG_LEN);
        let parts = Hybrid::decode(&bytes).unwrap();
        assert_eq!((parts.mechanism, parts.blob), (Mechanism::AesKwp, &b"device's"[..]));
        assert_eq!(parts.open(&w(), b"a").unwrap().expose(), [9; 5]);
    }

    #[test]
    fn every_byte_and_the_associated_data_are_bound() {
        let good = sealed(&[9; 32], b"a");
        for n in 0..good.len() {
            let mut bad = good.clone();
            bad[n] ^= 4;
            let opened = Hybrid::decode(&bad).and_then(|parts| parts.open(&w(), b"a"));
            assert_eq!(opened, Err(HsmError::Authentication), "byte {n}");
            let cut = Hybrid::decode(&good[..n]).and_then(|parts| parts.open(&w(), b"a"));
            assert_eq!(cut, Err(HsmError::Authentication), "cut at {n}");
        }
        let parts = Hybrid::decode(&good).unwrap();
        assert_eq!(parts.open(&w(), b"b"), Err(HsmError::Authentication));
        let other = KeyBytes::new(vec![8; WRAPPING_KEY_LEN]);
        assert_eq!(parts.open(&other, b"a"), Err(HsmError::Authentication));
    }

    #[test]
    fn no_two_are_alike_and_lengths_are_bounded() {
        assert_ne!(sealed(&[9; 32], b"a"), sealed(&[9; 32], b"a"));
        let key = KeyBytes::new(vec![1; 32]);
        for blob in [&[][..], &[1; MAX_BLOB_LEN + 1]] {
            let sealed = seal(Mechanism::AesKw, blob, &w(), &key, b"");
            assert!(matches!(sealed, Err(HsmError::Refused(_))), "{} bytes", blob.len());
        }
    }
}
