//! What a proxy binds a ciphertext to, and the value by which it says that it will open again.
use super::{MAX_ASSOCIATED_BYTES, MAX_METADATA_BYTES};
use crate::types::Sealed;
use sha2::{Digest, Sha256};

/// AES-GCM's associated data for the caller's and the ciphertext's metadata:
///
/// ```text
/// u16be(len aad) ‖ aad ‖ u8(len metadata) ‖ metadata
/// ```
///
/// None if one of them is longer than the protocol has it.
pub fn associated_data(aad: &[u8], metadata: &[u8]) -> Option<Vec<u8>> {
    if aad.len() > MAX_ASSOCIATED_BYTES || metadata.len() > MAX_METADATA_BYTES {
        return None;
    }
    let aad_len = u16::try_from(aad.len()).ok()?;
    let metadata_len = u8::try_from(metadata.len()).ok()?;
    let mut out = Vec::with_capacity(3 + aad.len() + metadata.len());
    out.extend_from_slice(&aad_len.to_be_bytes());
    out.extend_from_slice(aad);
    out.push(metadata_len);
    out.extend_from_slice(metadata);
    Some(out)
}

/// The ciphertext data integrity value: SHA-256 of `aad ‖ metadata ‖ IV ‖ ciphertext ‖ tag`. It is
/// against bits that flip on the way; against an attacker there is the tag.
pub fn integrity_value(aad: &[u8], sealed: &Sealed) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [aad, &sealed.metadata, &sealed.iv, &sealed.ciphertext, &sealed.tag] {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD as B64};

    /// The specification's appendix C.
    #[test]
    fn the_published_value() {
        let bytes = |text: &str| B64.decode(text).unwrap();
        let aad = bytes("cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n");
        let sealed = Sealed {
            metadata: bytes("a2V5X3ZlcnNpb249MQ=="),
            iv: bytes("HMrlRw85cAJUd5Ax"),
            ciphertext: bytes("ghxkK1txeDNn3q8Y"),
            tag: bytes("vBxN2ncH1oEkR8WVXpmyYQ==").try_into().unwrap(),
        };
        let value = B64.encode(integrity_value(&aad, &sealed));
        assert_eq!(value, "qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=");
    }

    #[test]
    fn no_two_pairs_are_bound_alike() {
        assert_eq!(associated_data(b"ab", b"c").unwrap(), b"\0\x02ab\x01c");
        assert_eq!(associated_data(b"", b"").unwrap(), b"\0\0\0");
        let pairs: [(&[u8], &[u8]); 5] =
            [(b"ab", b"c"), (b"a", b"bc"), (b"abc", b""), (b"", b"abc"), (b"ab\x01c", b"")];
        let bound: std::collections::BTreeSet<_> =
            pairs.iter().map(|(aad, metadata)| associated_data(aad, metadata).unwrap()).collect();
        assert_eq!(bound.len(), pairs.len());
    }

    #[test]
    fn what_is_too_long_is_bound_to_nothing() {
        assert!(associated_data(&[0; 8192], &[0; 20]).is_some());
        assert!(associated_data(&[0; 8193], b"").is_none());
        assert!(associated_data(b"", &[0; 21]).is_none());
    }
}
