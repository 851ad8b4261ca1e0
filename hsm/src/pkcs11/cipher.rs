//! AES-256-GCM inside the token, for the format in `wrapped.rs`.

use super::fault::Fault;
use crate::wrapped::{IV_LEN, TAG_LEN};
use crate::{HsmError, KeyBytes};
use cryptoki::error::Error;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use cryptoki::types::Ulong;

/// Always the whole tag, whatever a token would accept.
const TAG_BITS: u64 = TAG_LEN as u64 * 8;

/// Encrypts under a fresh IV; gives the IV and ciphertext ‖ tag.
pub(super) fn encrypt(
    session: &Session,
    root: ObjectHandle,
    key: &KeyBytes,
    aad: &[u8],
) -> Result<([u8; IV_LEN], Vec<u8>), Fault> {
    let mut iv = fresh_iv(session)?;
    let params = GcmParams::new(&mut iv, aad, tag_bits()?)?;
    let sealed = session.encrypt(&Mechanism::AesGcm(params), root, key.expose())?;
    // Tokens that choose the IV themselves append it, or write it back where it is then read
    // from here; what they return for the former has another length.
    let wanted = key.expose().len() + TAG_LEN;
    if sealed.len() != wanted {
        return Err(Fault::Hsm(HsmError::Refused(format!(
            "AES-GCM in the token: wanted {wanted} bytes of ciphertext and tag, found {}",
            sealed.len()
        ))));
    }
    Ok((iv, sealed))
}

/// Decrypts ciphertext ‖ tag. [`Fault::of_unwrap`] knows a bad tag.
pub(super) fn decrypt(
    session: &Session,
    root: ObjectHandle,
    mut iv: [u8; IV_LEN],
    sealed: &[u8],
    aad: &[u8],
) -> Result<KeyBytes, Fault> {
    let params = GcmParams::new(&mut iv, aad, tag_bits()?)?;
    Ok(KeyBytes::new(session.decrypt(&Mechanism::AesGcm(params), root, sealed)?))
}

pub(super) fn random(session: &Session, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    session.generate_random_slice(&mut bytes)?;
    Ok(bytes)
}

/// The system's and the token's generator, mixed: one bad generator alone repeats no IV.
fn fresh_iv(session: &Session) -> Result<[u8; IV_LEN], Fault> {
    let mut iv = [0; IV_LEN];
    getrandom::fill(&mut iv)
        .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
    for (byte, other) in iv.iter_mut().zip(random(session, IV_LEN)?) {
        *byte ^= other;
    }
    Ok(iv)
}

fn tag_bits() -> Result<Ulong, Error> {
    // CK_ULONG is as wide as the platform's `long`; 128 fits every width.
    Ok(Ulong::from(TAG_BITS))
}
