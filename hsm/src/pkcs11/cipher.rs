//! AES-256-GCM inside the token, whoever chooses the IV, and random bytes.

use super::fault::Fault;
use super::mechanism::RawMechanism;
use super::raw::Raw;
use crate::profile::GcmIv;
use crate::wrapped::{IV_LEN, TAG_LEN};
use crate::{HsmError, KeyBytes};
use cryptoki::error::Error;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use zeroize::Zeroizing;

/// Always the whole tag, whatever a token would accept.
const TAG_BITS: u16 = TAG_LEN as u16 * 8;
/// Tokens that choose the IV make one of 12 or of 16 bytes.
pub(super) const MAX_IV_LEN: usize = 16;

/// What AES-GCM gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    /// 12 to 16 bytes, ours or the token's.
    pub(super) iv: Vec<u8>,
    /// Ciphertext ‖ tag.
    pub(super) bytes: Vec<u8>,
}

/// Encrypts under a fresh IV.
pub(super) fn encrypt(
    raw: &Raw,
    session: &Session,
    key: ObjectHandle,
    chooser: GcmIv,
    plaintext: &KeyBytes,
    aad: &[u8],
) -> Result<Sealed, Fault> {
    let mut iv = match chooser {
        GcmIv::Caller => fresh_iv(session)?.to_vec(),
        GcmIv::ZeroWrittenBack => vec![0; IV_LEN],
        GcmIv::Appended => Vec::new(),
    };
    let plaintext = plaintext.expose();
    let wanted = plaintext.len() + TAG_LEN;
    let mut gcm = RawMechanism::AesGcm { iv: &mut iv, aad, tag_bits: TAG_BITS };
    let out = raw.encrypt(session, &mut gcm, key, plaintext, wanted + MAX_IV_LEN)?;
    let found = out.expose().len();
    let Some((bytes, appended)) = out.expose().split_at_checked(wanted) else {
        return Err(refused(format!("wanted {wanted} bytes of ciphertext and tag, found {found}")));
    };
    // A token that chooses the IV against our will says so in one of the two ways, too.
    let iv = if appended.is_empty() { iv } else { appended.to_vec() };
    if !(IV_LEN..=MAX_IV_LEN).contains(&iv.len()) {
        return Err(refused(format!(
            "wanted an IV of {IV_LEN} to {MAX_IV_LEN} bytes, found {}",
            iv.len()
        )));
    }
    // The token took our zeros for an IV. The next would be the same, and that breaks GCM.
    if iv.iter().all(|byte| *byte == 0) {
        return Err(refused("the token was to choose the IV, and it is all zeros".into()));
    }
    Ok(Sealed { iv, bytes: bytes.to_vec() })
}

/// Decrypts ciphertext ‖ tag. [`Fault::of_unwrap`] knows a bad tag.
pub(super) fn decrypt(
    raw: &Raw,
    session: &Session,
    key: ObjectHandle,
    iv: &[u8],
    bytes: &[u8],
    aad: &[u8],
) -> Result<KeyBytes, Fault> {
    let mut iv = iv.to_vec();
    let mut gcm = RawMechanism::AesGcm { iv: &mut iv, aad, tag_bits: TAG_BITS };
    // Room for the tag besides: NSS wants a buffer as long as its input.
    let opened = raw.decrypt(session, &mut gcm, key, bytes, bytes.len())?;
    if opened.expose().len() + TAG_LEN != bytes.len() {
        let (wanted, found) = (bytes.len().saturating_sub(TAG_LEN), opened.expose().len());
        return Err(refused(format!("wanted {wanted} bytes of plaintext, found {found}")));
    }
    Ok(opened)
}

fn refused(what: String) -> Fault {
    Fault::Hsm(HsmError::Refused(format!("AES-GCM in the token: {what}")))
}

pub(super) fn random(session: &Session, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    session.generate_random_slice(&mut bytes)?;
    Ok(bytes)
}

/// The system's and the token's generator, mixed: one bad generator alone repeats no IV.
pub(super) fn fresh_iv(session: &Session) -> Result<[u8; IV_LEN], Fault> {
    mixed(session)
}

/// As [`fresh_iv`], of any length. Wiped by who asks.
pub(super) fn mixed<const N: usize>(session: &Session) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| HsmError::Unavailable(format!("the system's random generator: {e}")))?;
    let device = Zeroizing::new(random(session, N)?);
    for (byte, other) in bytes.iter_mut().zip(device.iter()) {
        *byte ^= other;
    }
    Ok(bytes)
}
