//! Blobs of suite 03: a key in an external key store made them. First the key's own material seals, then
//! the store's proxy encrypts what came out.
//!
//! ```text
//! off len
//!   0  40  header         as in suite 01, with 03 as its suite
//!  40  16  R              random
//!  56   1  m              length of the proxy's metadata, 0 to 20
//!  57   m  metadata
//!   .   1  v              length of the IV, 12 or 16
//!   .   v  IV
//!   .  16  tag
//!   .   n  ciphertext, as long as what was sealed
//!
//! sealed        = crate::seal::scheme under the material, label "claviger/v1/xks-enc", header HDR =
//!                 header ‖ R, associated data the encryption context: without the header, 92 bytes
//!                 longer than the plaintext
//! to the proxy: plaintext = sealed; associated data = HDR ‖ AH, with
//! AH            = SHA-256("claviger/v1/aad\0" ‖ u32be(len HDR) ‖ HDR ‖ u32be(len ec) ‖ ec)
//! ```
//!
//! R is why a proxy that answers with the inside of another blob, of the same key and context, is found
//! out: that was sealed under another header. The proxy learns neither plaintexts nor contexts.

use super::{
    BLOB_MAX_BYTES, Blob, HEADER_BYTES, InvalidCiphertext, KeyIdBytes, PlaintextTooLong, Suite,
    encode, header,
};
use crate::random::Random;
use crate::seal::{Label, scheme};
use crate::types::Sealed;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const RANDOM_BYTES: usize = 16;
const HDR_BYTES: usize = HEADER_BYTES + RANDOM_BYTES;
const TAG_BYTES: usize = 16;
const MAX_METADATA_BYTES: usize = 20;

/// Without metadata, with the short IV, of an empty plaintext.
pub(super) const SHORTEST_BYTES: usize =
    HDR_BYTES + 1 + 1 + 12 + TAG_BYTES + scheme::OVERHEAD_BYTES;

/// What the proxy is to encrypt.
#[derive(Debug)]
pub struct Draft {
    hdr: Vec<u8>,
    /// Ciphertext already, and no secret.
    pub sealed: Vec<u8>,
    pub associated: Vec<u8>,
}

impl Draft {
    pub fn new(
        material: &[u8; 32],
        key_id: KeyIdBytes,
        material_id: [u8; 16],
        context: &BTreeMap<String, String>,
        random: &dyn Random,
        plaintext: &[u8],
    ) -> Self {
        let mut hdr = header(Suite::External, key_id, material_id);
        hdr.extend_from_slice(&random.bytes::<RANDOM_BYTES>());
        let ec = encode(context);
        let mut sealed = scheme::seal(material, &hdr, Label::XKS_ENC, &ec, random, plaintext);
        sealed.drain(..hdr.len());
        let associated = associated(&hdr, &ec);
        Self { hdr, sealed, associated }
    }

    /// The blob of what the proxy answered.
    pub fn finish(self, outer: &Sealed) -> Result<Vec<u8>, PlaintextTooLong> {
        let too_long = |_| PlaintextTooLong;
        let metadata_len = u8::try_from(outer.metadata.len()).map_err(too_long)?;
        let iv_len = u8::try_from(outer.iv.len()).map_err(too_long)?;
        let mut blob = self.hdr;
        blob.push(metadata_len);
        blob.extend_from_slice(&outer.metadata);
        blob.push(iv_len);
        blob.extend_from_slice(&outer.iv);
        blob.extend_from_slice(&outer.tag);
        blob.extend_from_slice(&outer.ciphertext);
        if blob.len() > BLOB_MAX_BYTES { Err(PlaintextTooLong) } else { Ok(blob) }
    }
}

impl Blob<'_> {
    /// What the proxy is to decrypt, and the associated data.
    pub fn for_proxy(
        &self,
        context: &BTreeMap<String, String>,
    ) -> Result<(Sealed, Vec<u8>), InvalidCiphertext> {
        let (hdr, rest) = self.external()?;
        let associated = associated(hdr, &encode(context));
        outer(rest).map(|outer| (outer, associated)).ok_or(InvalidCiphertext)
    }

    /// The plaintext, if what the proxy answered is what this material sealed for this very blob.
    pub fn open_inner(
        &self,
        material: &[u8; 32],
        context: &BTreeMap<String, String>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, InvalidCiphertext> {
        let (hdr, _) = self.external()?;
        let whole = [hdr, sealed].concat();
        scheme::open(material, hdr, Label::XKS_ENC, &encode(context), &whole)
            .map_err(|_| InvalidCiphertext)
    }

    fn external(&self) -> Result<(&[u8], &[u8]), InvalidCiphertext> {
        match self.suite {
            Suite::External => self.bytes.split_at_checked(HDR_BYTES).ok_or(InvalidCiphertext),
            Suite::Scheme | Suite::Device => Err(InvalidCiphertext),
        }
    }
}

fn outer(rest: &[u8]) -> Option<Sealed> {
    let (metadata_len, rest) = rest.split_first()?;
    let (metadata, rest) = rest.split_at_checked(usize::from(*metadata_len))?;
    let (iv_len, rest) = rest.split_first()?;
    let (iv, rest) = rest.split_at_checked(usize::from(*iv_len))?;
    let (tag, ciphertext) = rest.split_first_chunk::<TAG_BYTES>()?;
    let good = metadata.len() <= MAX_METADATA_BYTES
        && matches!(iv.len(), 12 | 16)
        && ciphertext.len() >= scheme::OVERHEAD_BYTES;
    good.then(|| Sealed {
        metadata: metadata.to_vec(),
        iv: iv.to_vec(),
        ciphertext: ciphertext.to_vec(),
        tag: *tag,
    })
}

fn associated(hdr: &[u8], ec: &[u8]) -> Vec<u8> {
    let digest = scheme::bound(&[hdr], ec);
    [hdr, &digest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    const KEY_ID: KeyIdBytes = KeyIdBytes { bytes: [0xab; 16], multi_region: false };
    const MATERIAL: [u8; 32] = [7; 32];

    fn context(value: &str) -> BTreeMap<String, String> {
        [("a".to_owned(), value.to_owned())].into()
    }

    fn draft(seed: u64, plaintext: &[u8]) -> Draft {
        let random = SeededRandom::new(seed);
        Draft::new(&MATERIAL, KEY_ID, [0xcd; 16], &context("b"), &random, plaintext)
    }

    /// A proxy that encrypts nothing: what it is given shows through.
    fn proxied(draft: &Draft, metadata: usize, iv: usize) -> Sealed {
        Sealed {
            metadata: vec![1; metadata],
            iv: vec![2; iv],
            ciphertext: draft.sealed.clone(),
            tag: [3; 16],
        }
    }

    #[test]
    fn what_was_sealed_opens() {
        for (metadata, iv, len) in [(0, 12, 0), (20, 16, 4096), (13, 12, 100)] {
            let draft = draft(1, &vec![9; len]);
            // A plaintext of KMS is at most 4096 bytes; proxies take 4300.
            assert_eq!(draft.sealed.len(), len + 92);
            let (associated, outer) = (draft.associated.clone(), proxied(&draft, metadata, iv));
            let blob = draft.finish(&outer).unwrap();
            let parsed = Blob::parse(&blob).unwrap();
            assert_eq!((parsed.key_id(), parsed.material_id()), (KEY_ID, [0xcd; 16]));
            assert_eq!(parsed.for_proxy(&context("b")), Ok((outer.clone(), associated)));
            let opened = parsed.open_inner(&MATERIAL, &context("b"), &outer.ciphertext).unwrap();
            assert_eq!(*opened, vec![9; len]);
            assert!(parsed.open(&MATERIAL, &context("b")).is_err());
            assert!(parsed.for_device(&context("b")).is_err());
        }
    }

    #[test]
    fn the_inside_of_another_blob_does_not_open() {
        let (one, other) = (draft(1, b"one"), draft(2, b"two"));
        let (outer, inside) = (proxied(&one, 0, 12), other.sealed.clone());
        let blob = one.finish(&outer).unwrap();
        let parsed = Blob::parse(&blob).unwrap();
        let open = |context: &str, sealed: &[u8]| {
            parsed.open_inner(&MATERIAL, &self::context(context), sealed)
        };
        assert!(open("b", &outer.ciphertext).is_ok());
        assert!(open("b", &inside).is_err());
        assert!(open("c", &outer.ciphertext).is_err());
        assert!(open("b", &[]).is_err());
        for at in 0..outer.ciphertext.len() {
            let mut changed = outer.ciphertext.clone();
            changed[at] ^= 1;
            assert!(open("b", &changed).is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_not_of_this_form_goes_to_no_proxy() {
        let draft = draft(1, b"");
        let outer = proxied(&draft, 0, 12);
        let blob = draft.finish(&outer).unwrap();
        assert_eq!(blob.len(), SHORTEST_BYTES);
        let sent = |bytes: &[u8]| {
            Blob::parse(bytes).and_then(|blob| blob.for_proxy(&context("b")).map(|_| ())).is_ok()
        };
        assert!(sent(&blob));
        for len in 0..blob.len() {
            assert!(!sent(&blob[..len]), "{len} bytes");
        }
        for (at, value) in [(6, 1), (6, 2), (6, 4), (HDR_BYTES, 21), (HDR_BYTES + 1, 13)] {
            let mut changed = blob.clone();
            changed[at] = value;
            assert!(!sent(&changed), "{at}: {value}");
        }
    }
}
