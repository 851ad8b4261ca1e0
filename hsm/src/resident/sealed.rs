//! The format of what a resident AES key has encrypted.
//!
//! ```text
//! off  len
//!  0    1   n, the length of the IV: 12, or up to 16 where the device makes it; is the format, too
//!  1    n   IV
//! 1+n   m   ciphertext, as long as the plaintext (0 ≤ m ≤ 16384)
//! 1+n+m 16  tag
//! ```
//!
//! GCM's associated data = the first byte ‖ the caller's associated data, which so is never empty.
//! The tag has 128 bits, always. Which key it was is not in the bytes: another key means another
//! tag.

use crate::HsmError;
use crate::wrapped::{IV_LEN, TAG_LEN};

/// Longest plaintext, in bytes: four times what KMS's Encrypt takes.
pub const MAX_PLAINTEXT_LEN: usize = 16 * 1024;
/// Some devices make an IV of 16 bytes.
const MAX_IV_LEN: usize = 16;

/// GCM's associated data for the caller's, under an IV of so many bytes.
pub(crate) fn bound(iv_len: usize, aad: &[u8]) -> Result<Vec<u8>, HsmError> {
    crate::wrapped::check_aad_len(aad)?;
    let first = u8::try_from(iv_len).unwrap_or(u8::MAX);
    Ok([&[first], aad].concat())
}

/// Refuses a plaintext that is too long. An empty one is a message like others.
pub(crate) fn check_plaintext_len(len: usize) -> Result<(), HsmError> {
    if len > MAX_PLAINTEXT_LEN {
        return Err(HsmError::Refused(format!(
            "plaintext: wanted at most {MAX_PLAINTEXT_LEN} bytes, found {len}"
        )));
    }
    Ok(())
}

/// Lays it out; `sealed` is ciphertext ‖ tag.
pub(crate) fn encode(iv: &[u8], sealed: &[u8]) -> Vec<u8> {
    let iv_len = u8::try_from(iv.len()).unwrap_or(u8::MAX);
    [&[iv_len], iv, sealed].concat()
}

/// Takes it apart into IV and ciphertext ‖ tag. What is not of this format does not authenticate,
/// and the device is never shown it.
pub(crate) fn decode(bytes: &[u8]) -> Result<(&[u8], &[u8]), HsmError> {
    let parts = || {
        let (iv_len, rest) = bytes.split_first()?;
        let (iv, sealed) = rest.split_at_checked(usize::from(*iv_len))?;
        let good = (IV_LEN..=MAX_IV_LEN).contains(&iv.len())
            && (TAG_LEN..=TAG_LEN + MAX_PLAINTEXT_LEN).contains(&sealed.len());
        good.then_some((iv, sealed))
    };
    parts().ok_or(HsmError::Authentication)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_one_drawn() {
        for iv_len in [12, 16] {
            let bytes = encode(&vec![7; iv_len], &[8; 20]);
            assert_eq!(bytes.len(), 1 + iv_len + 20);
            assert_eq!(usize::from(bytes[0]), iv_len);
            assert_eq!(decode(&bytes), Ok((&vec![7; iv_len][..], &[8; 20][..])));
        }
        assert_eq!(bound(12, b"ab"), Ok(b"\x0cab".to_vec()));
        assert_eq!(bound(16, b""), Ok(b"\x10".to_vec()));
    }

    #[test]
    fn what_is_not_of_this_format_does_not_authenticate() {
        let good = encode(&[7; 12], &[8; 16]);
        for len in 0..good.len() {
            assert_eq!(decode(&good[..len]), Err(HsmError::Authentication), "{len} bytes");
        }
        for first in (0..=255).filter(|first| !(12..=16).contains(first)) {
            let other = [&[first], &[9; 600][..]].concat();
            assert_eq!(decode(&other), Err(HsmError::Authentication), "first byte {first}");
        }
        let long = encode(&[7; 12], &vec![8; TAG_LEN + MAX_PLAINTEXT_LEN + 1]);
        assert_eq!(decode(&long), Err(HsmError::Authentication));
    }
}
