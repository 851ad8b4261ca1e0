//! Sealing: the one authenticated encryption of the product, the keys derived for it, and the labels
//! that keep its uses apart.
//!
//! | module | what |
//! |---|---|
//! | [`labels`] | the registry of purposes |
//! | [`scheme`] | how a message is sealed: blobs, rows and tokens differ only in header and label |
//! | [`row`] | a record of the store, bound to its place and revision |
//! | [`token`] | an opaque token handed to a client, bound to its context |
//!
//! Nothing here knows AWS, the store or the device. docs/ciphertext-format.md gives the reasons and
//! tests/vectors the proof that other implementations agree.

mod key;
pub mod labels;
pub mod row;
pub mod scheme;
pub mod token;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

pub use key::Key32;
pub use labels::{Label, Table};
pub use scheme::{SealError, open, seal};

/// A sub-key for one purpose: `HKDF-SHA-256(salt = "", ikm = key, info = label ‖ info)`, 32 bytes.
pub fn derive(key: &[u8; 32], label: Label, info: &[u8]) -> Key32 {
    let [stem, table, end] = label.parts();
    Key32::filled(|out| hkdf(key, &[], &[stem, table, end, info], out))
}

/// `HMAC-SHA-256(key, label ‖ length_prefixed(parts))`.
pub fn mac(key: &[u8; 32], label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key, label);
    mac.update(&length(parts.len()));
    for part in parts {
        mac.update(&length(part.len()));
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether `expected` is the [`mac`] of `parts`, in constant time.
pub fn mac_matches(key: &[u8; 32], label: Label, parts: &[&[u8]], expected: &[u8]) -> bool {
    mac(key, label, parts).ct_eq(expected).into()
}

/// An encoding no two lists share, so that `["ab", "c"]` and `["a", "bc"]` stay two things:
///
/// ```text
/// u32be(number of parts) ‖ for each: u32be(length) ‖ part
/// ```
pub fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let size = 4 + parts.iter().map(|part| 4 + part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&length(parts.len()));
    for part in parts {
        out.extend_from_slice(&length(part.len()));
        out.extend_from_slice(part);
    }
    out
}

/// `n` as the formats write lengths and counts: four bytes, big-endian.
#[expect(clippy::expect_used, reason = "cutting a length short would let two inputs encode alike")]
pub(crate) fn length(n: usize) -> [u8; 4] {
    u32::try_from(n)
        .expect("nothing sealed here reaches 4 GiB: requests and rows are capped")
        .to_be_bytes()
}

/// HMAC-SHA-256 under `key` that has read `label`.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(crate) fn keyed(key: &[u8], label: Label) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    for part in label.parts() {
        mac.update(part);
    }
    mac
}

/// HKDF-SHA-256; `info` is the concatenation of its pieces.
#[expect(clippy::expect_used, reason = "HKDF gives up to 255 blocks; no caller asks for over two")]
fn hkdf(ikm: &[u8; 32], salt: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let (mut pseudorandom_key, hkdf) = Hkdf::<Sha256>::extract(Some(salt), ikm);
    pseudorandom_key.zeroize();
    hkdf.expand_multi_info(info, out).expect("two blocks at most");
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn lists_do_not_encode_alike() {
        let lists: [&[&[u8]]; 7] =
            [&[], &[b""], &[b"", b""], &[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"c", b"ab"]];
        let encoded: std::collections::BTreeSet<_> =
            lists.iter().map(|parts| length_prefixed(parts)).collect();
        assert_eq!(encoded.len(), lists.len());
        assert_eq!(length_prefixed(&[b"ab", b""]), b"\0\0\0\x02\0\0\0\x02ab\0\0\0\0");
    }

    #[test]
    fn macs_and_keys_are_of_their_label() {
        let macs: std::collections::BTreeSet<_> =
            Label::ALL.iter().map(|label| mac(&KEY, *label, &[b"x"])).collect();
        assert_eq!(macs.len(), Label::ALL.len());
        let audit = derive(&KEY, Label::AUDIT, b"");
        assert_eq!(audit, derive(&KEY, Label::AUDIT, b""));
        assert_ne!(audit, derive(&KEY, Label::CHAIN, b""));
        assert_ne!(audit, derive(&KEY, Label::AUDIT, b"\0"));
        assert_ne!(audit, derive(&[8; 32], Label::AUDIT, b""));
    }

    #[test]
    fn a_mac_matches_whole_and_unchanged_only() {
        let tag = mac(&KEY, Label::CLIENT_REQUEST_TOKEN, &[b"token", b"secret"]);
        let matches = |parts: &[&[u8]], tag: &[u8]| {
            mac_matches(&KEY, Label::CLIENT_REQUEST_TOKEN, parts, tag)
        };
        assert!(matches(&[b"token", b"secret"], &tag));
        assert!(!matches(&[b"tokens", b"ecret"], &tag));
        assert!(!matches(&[b"token", b"secret"], &tag[..31]));
        assert!(!matches(&[b"token", b"secret"], &[]));
        assert!(!mac_matches(&KEY, Label::AUDIT, &[b"token", b"secret"], &tag));
    }
}
