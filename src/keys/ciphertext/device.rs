//! Blobs of suite 02: a key that lives in a device encrypted them, and only it opens them.
//!
//! ```text
//! off len
//!   0  40  header         as in suite 01, with 02 as its suite
//!  40   1  v              length of the IV: 12, or up to 16 where the device makes it
//!  41   v  GCM IV
//! 41+v  n  ciphertext
//! 41+v+n 16 tag           n + 57 + v ≤ 6144
//! ```
//!
//! From `v` on this is what the device answered (crate `claviger-hsm`, `resident/sealed.rs`). It is
//! handed this as associated data, and puts `v` before it:
//!
//! ```text
//! HDR = header
//! AH  = SHA-256("claviger/v1/aad\0" ‖ u32be(len HDR) ‖ HDR ‖ u32be(len ec) ‖ ec)
//! HDR ‖ AH
//! ```
//!
//! There is no key for each message and no commitment: a device does AES-GCM with the key that it has.
//! Whoever could make a blob that opens under two keys would have to know both, and nobody knows these.

use super::{
    BLOB_MAX_BYTES, Blob, HEADER_BYTES, InvalidCiphertext, KeyIdBytes, PlaintextTooLong, Suite,
    encode, header,
};
use crate::seal::scheme;
use std::collections::BTreeMap;

/// Length of the IV, its shortest, and the tag.
pub(super) const SHORTEST_BYTES: usize = HEADER_BYTES + 1 + 12 + 16;

/// A blob that is to be made.
#[derive(Debug)]
pub struct Draft {
    header: Vec<u8>,
    associated: Vec<u8>,
}

impl Draft {
    /// For a key that lives in a device. `material_id` is the half of the id that blobs carry.
    pub fn new(
        key_id: KeyIdBytes,
        material_id: [u8; 16],
        context: &BTreeMap<String, String>,
    ) -> Self {
        let header = header(Suite::Device, key_id, material_id);
        let associated = associated(&header, context);
        Self { header, associated }
    }

    /// What the device is to bind.
    pub fn associated(&self) -> &[u8] {
        &self.associated
    }

    /// The blob of what the device answered.
    pub fn finish(mut self, sealed: &[u8]) -> Result<Vec<u8>, PlaintextTooLong> {
        self.header.extend_from_slice(sealed);
        if self.header.len() > BLOB_MAX_BYTES { Err(PlaintextTooLong) } else { Ok(self.header) }
    }
}

impl Blob<'_> {
    /// What the device is to open, and what is bound to it. Blobs of the other suite are not for
    /// devices.
    pub fn for_device(
        &self,
        context: &BTreeMap<String, String>,
    ) -> Result<(Vec<u8>, Vec<u8>), InvalidCiphertext> {
        let sealed = self.bytes.strip_prefix(self.header).ok_or(InvalidCiphertext)?;
        match self.suite {
            Suite::Device => Ok((sealed.to_vec(), associated(self.header, context))),
            Suite::Scheme | Suite::External => Err(InvalidCiphertext),
        }
    }
}

fn associated(header: &[u8], context: &BTreeMap<String, String>) -> Vec<u8> {
    let digest = scheme::bound(&[header], &encode(context));
    [header, &digest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_ID: KeyIdBytes = KeyIdBytes { bytes: [0xab; 16], multi_region: false };

    fn context(value: &str) -> BTreeMap<String, String> {
        [("a".to_owned(), value.to_owned())].into()
    }

    #[test]
    fn what_is_bound_is_as_drawn() {
        let draft = Draft::new(KEY_ID, [0xcd; 16], &context("b"));
        let bound = draft.associated().to_vec();
        let header = [&[1, 2, 2, 0, b'C', 1, 2, 0][..], &[0xab; 16], &[0xcd; 16]].concat();
        let ec = [&[0, 0, 0, 1, 0, 0, 0, 1][..], b"a", &[0, 0, 0, 1], b"b"].concat();
        let mut hashed = b"claviger/v1/aad\0".to_vec();
        for part in [&header, &ec] {
            hashed.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            hashed.extend_from_slice(part);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
        assert_eq!(bound, [&header, digest.as_ref()].concat());
        let blob = draft.finish(&[7; 29]).unwrap();
        assert_eq!(blob, [&header[..], &[7; 29]].concat());
        let parsed = Blob::parse(&blob).unwrap();
        assert_eq!((parsed.key_id(), parsed.material_id()), (KEY_ID, [0xcd; 16]));
        assert_eq!(parsed.for_device(&context("b")), Ok((vec![7; 29], bound)));
    }

    #[test]
    fn another_context_key_or_material_binds_something_else() {
        let of = |key_id, material, value: &str| {
            Draft::new(key_id, material, &context(value)).associated().to_vec()
        };
        let other = KeyIdBytes { bytes: [0xac; 16], multi_region: false };
        let multi = KeyIdBytes { multi_region: true, ..KEY_ID };
        let all = [
            of(KEY_ID, [1; 16], "b"),
            of(KEY_ID, [1; 16], "c"),
            of(KEY_ID, [2; 16], "b"),
            of(other, [1; 16], "b"),
            of(multi, [1; 16], "b"),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|another| one != another), "{n}");
        }
    }

    #[test]
    fn no_suite_passes_for_the_other() {
        let none = BTreeMap::new();
        let made = Draft::new(KEY_ID, [1; 16], &none).finish(&[9; 132]).unwrap();
        assert_eq!(Blob::parse(&made).unwrap().open(&[7; 32], &none), Err(InvalidCiphertext));
        let random = crate::random::SeededRandom::new(1);
        let mut ours = super::super::seal(&[7; 32], KEY_ID, [1; 16], &none, &random, b"x").unwrap();
        assert_eq!(Blob::parse(&ours).unwrap().for_device(&none), Err(InvalidCiphertext));
        ours[6] = 2;
        assert_eq!(Blob::parse(&ours).unwrap().open(&[7; 32], &none), Err(InvalidCiphertext));
    }

    #[test]
    fn lengths_are_bounded() {
        let none = BTreeMap::new();
        for (len, good) in [(28, false), (29, true), (6104, true), (6105, false)] {
            let made = Draft::new(KEY_ID, [1; 16], &none).finish(&vec![9; len]);
            let parsed = made.as_ref().is_ok_and(|blob| Blob::parse(blob).is_ok());
            assert_eq!(parsed, good, "{len}");
        }
    }
}
