//! The format of a wrapped key, for devices that do AES-GCM with associated data. Others: `hybrid.rs`.
//!
//! ```text
//! off    len
//!  0      1   format: 01 = AES-256-GCM, 96-bit IV chosen by us, 128-bit tag
//!  1     12   IV, random for every wrap
//! 13      n   ciphertext, as long as the key (1 ≤ n ≤ 16384)
//! 13+n   16   tag
//! ```
//!
//! GCM's associated data = the format byte ‖ the caller's associated data, so that a blob cannot
//! be read as another format and the associated data is never empty. The tag length is always
//! 128 bits and never taken from the blob: SoftHSM 2.6 would accept 0. The IV is never empty:
//! SoftHSM 2.6 would take that too, and be deterministic.
//!
//! The name of the root travels beside the bytes, unauthenticated: another name means another
//! key, and that the tag detects.

use crate::HsmError;

/// The first byte.
pub const FORMAT: u8 = 1;
pub const IV_LEN: usize = 12;
pub const TAG_LEN: usize = 16;
/// What wrapping adds to a key, in bytes.
pub const OVERHEAD: usize = 1 + IV_LEN + TAG_LEN;
/// Longest key that is wrapped, in bytes: several times the largest PKCS#8 we keep.
pub const MAX_KEY_LEN: usize = 16 * 1024;
/// Longest associated data, in bytes: what every device we know takes in one call.
pub const MAX_AAD_LEN: usize = 16 * 1024;

/// GCM's associated data for the caller's.
pub(crate) fn bound(aad: &[u8]) -> Result<Vec<u8>, HsmError> {
    check_aad_len(aad)?;
    Ok([&[FORMAT], aad].concat())
}

pub(crate) fn check_aad_len(aad: &[u8]) -> Result<(), HsmError> {
    if aad.len() > MAX_AAD_LEN {
        return Err(HsmError::Refused(format!(
            "associated data: wanted at most {MAX_AAD_LEN} bytes, found {}",
            aad.len()
        )));
    }
    Ok(())
}

/// Refuses a key that is empty or too long to wrap.
pub(crate) fn check_key_len(len: usize) -> Result<(), HsmError> {
    if len == 0 || len > MAX_KEY_LEN {
        return Err(HsmError::Refused(format!(
            "key to wrap: wanted 1 to {MAX_KEY_LEN} bytes, found {len}"
        )));
    }
    Ok(())
}

/// Lays out a wrapped key; `sealed` is ciphertext ‖ tag.
pub(crate) fn encode(iv: &[u8; IV_LEN], sealed: &[u8]) -> Vec<u8> {
    [&[FORMAT], &iv[..], sealed].concat()
}

/// Takes a wrapped key apart into IV and ciphertext ‖ tag.
///
/// What is not of this format does not authenticate: the caller learns no more than from a bad
/// tag, and the device is never shown it.
pub(crate) fn decode(bytes: &[u8]) -> Result<([u8; IV_LEN], &[u8]), HsmError> {
    let (&FORMAT, rest) = bytes.split_first().ok_or(HsmError::Authentication)? else {
        return Err(HsmError::Authentication);
    };
    let (iv, sealed) = rest.split_first_chunk::<IV_LEN>().ok_or(HsmError::Authentication)?;
    if sealed.len() <= TAG_LEN || sealed.len() > MAX_KEY_LEN + TAG_LEN {
        return Err(HsmError::Authentication);
    }
    Ok((*iv, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_one_drawn() {
        let bytes = encode(&[0xaa; IV_LEN], &[0xbb; 17]);
        assert_eq!(bytes.len(), 17 - TAG_LEN + OVERHEAD);
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[1..13], [0xaa; 12]);
        assert_eq!(bytes[13..], [0xbb; 17]);
        assert_eq!(decode(&bytes), Ok(([0xaa; IV_LEN], &[0xbb; 17][..])));
    }

    #[test]
    fn the_format_is_bound_and_associated_data_never_empty() {
        assert_eq!(bound(b"ab"), Ok(b"\x01ab".to_vec()));
        assert_eq!(bound(b""), Ok(b"\x01".to_vec()));
    }

    #[test]
    fn what_is_not_of_this_format_does_not_authenticate() {
        let good = encode(&[1; IV_LEN], &[2; 48]);
        for len in 0..OVERHEAD + 1 {
            assert_eq!(decode(&good[..len]), Err(HsmError::Authentication), "{len} bytes");
        }
        for version in (0..=255).filter(|&v| v != FORMAT) {
            let other = [&[version], &good[1..]].concat();
            assert_eq!(decode(&other), Err(HsmError::Authentication), "format {version}");
        }
        let long = encode(&[1; IV_LEN], &vec![2; MAX_KEY_LEN + TAG_LEN + 1]);
        assert_eq!(decode(&long), Err(HsmError::Authentication));
    }
}
