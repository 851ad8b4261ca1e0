//! The ciphertext blob, version 1: what Encrypt answers and Decrypt takes.
//!
//! ```text
//! off len
//!   0   4  01 02 02 00    its base64 begins "AQICA", which some clients look for
//!   4   1  'C'            product
//!   5   1  01             format version
//!   6   1  suite          01: HKDF-SHA-256 / AES-256-GCM / 32-byte commitment, drawn here
//!                          02: AES-256-GCM in the device that the key lives in (`device.rs`)
//!                          03: sealed here, then by the proxy of an external store (`external.rs`)
//!   7   1  flags          bit 0: the key id is of a multi-Region key; all other bits 0
//!   8  16  key id         UUID, or the 16 bytes of mrk-<32 hex>
//!  24  16  material id    the first 16 bytes of KeyMaterialId
//!  40  32  N              random
//!  72  32  commitment
//! 104  12  GCM IV         random
//! 116   n  ciphertext
//! 116+n 16 tag            n + 132 ≤ 6144
//! ```
//!
//! From N on this is [`crate::seal::scheme`] with the label `claviger/v1/enc`. Associated data is the
//! encryption context, sorted by the raw bytes of its keys and otherwise as the caller sent it, with
//! no normalisation, case folding or trimming:
//!
//! ```text
//! ec = u32be(number of pairs) ‖ for each: u32be(len key) ‖ key ‖ u32be(len value) ‖ value
//! ```

pub mod device;
pub mod external;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hmac::Mac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::random::Random;
use crate::seal::{self, Label, scheme};

const PREFIX: [u8; 6] = [0x01, 0x02, 0x02, 0x00, b'C', 0x01];
const MULTI_REGION_FLAG: u8 = 1;
const ID_BYTES: usize = 16;
const HEADER_BYTES: usize = PREFIX.len() + 2 + 2 * ID_BYTES;

/// What the rest of a blob is, and who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Suite {
    /// [`crate::seal::scheme`] under material that is here.
    Scheme = 1,
    /// What a key inside a device encrypted.
    Device = 2,
    /// What the proxy of an external key store encrypted, after the material here.
    External = 3,
}

/// The longest blob: the AWS model's limit for `CiphertextBlob`.
pub const BLOB_MAX_BYTES: usize = 6144;
/// What a blob is longer than its plaintext: 132 bytes.
pub const BLOB_OVERHEAD_BYTES: usize = HEADER_BYTES + scheme::OVERHEAD_BYTES;
pub const PLAINTEXT_MAX_BYTES: usize = BLOB_MAX_BYTES - BLOB_OVERHEAD_BYTES;

/// The blob is not one of ours, or not what this material and context sealed. There is one such
/// error and it has no reason: a reason would tell a forger how far the forgery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext is invalid")]
pub struct InvalidCiphertext;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plaintext is longer than a ciphertext blob can hold")]
pub struct PlaintextTooLong;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a lower-case UUID nor mrk- and 32 lower-case hex digits")]
pub struct InvalidKeyId;

/// Seals `plaintext` for key `key_id` under its current material.
pub fn seal(
    material: &[u8; 32],
    key_id: KeyIdBytes,
    material_id: [u8; 16],
    context: &BTreeMap<String, String>,
    random: &dyn Random,
    plaintext: &[u8],
) -> Result<Vec<u8>, PlaintextTooLong> {
    if plaintext.len() > PLAINTEXT_MAX_BYTES {
        return Err(PlaintextTooLong);
    }
    let header = header(Suite::Scheme, key_id, material_id);
    Ok(scheme::seal(material, &header, Label::ENC, &encode(context), random, plaintext))
}

fn header(suite: Suite, key_id: KeyIdBytes, material_id: [u8; 16]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&PREFIX);
    header.push(suite as u8);
    header.push(if key_id.multi_region { MULTI_REGION_FLAG } else { 0 });
    header.extend_from_slice(&key_id.bytes);
    header.extend_from_slice(&material_id);
    header
}

/// `ec`
fn encode(context: &BTreeMap<String, String>) -> Vec<u8> {
    let size = 4 + context.iter().map(|(k, v)| 8 + k.len() + v.len()).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&seal::length(context.len()));
    // A map of strings iterates in the order of their bytes, which is the order wanted.
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&seal::length(text.len()));
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// A blob of the right form: it names the key and material to look up, and proves nothing yet.
#[derive(Clone, Copy, Debug)]
pub struct Blob<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER_BYTES],
    suite: Suite,
    key_id: KeyIdBytes,
    material_id: [u8; 16],
}

impl<'a> Blob<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InvalidCiphertext> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(InvalidCiphertext)?;
        let rest = header.strip_prefix(&PREFIX).ok_or(InvalidCiphertext)?;
        let (suite, rest) = rest.split_first().ok_or(InvalidCiphertext)?;
        let (suite, shortest) = match *suite {
            1 => (Suite::Scheme, BLOB_OVERHEAD_BYTES),
            2 => (Suite::Device, device::SHORTEST_BYTES),
            3 => (Suite::External, external::SHORTEST_BYTES),
            _ => return Err(InvalidCiphertext),
        };
        if !(shortest..=BLOB_MAX_BYTES).contains(&bytes.len()) {
            return Err(InvalidCiphertext);
        }
        let (flags, rest) = rest.split_first().ok_or(InvalidCiphertext)?;
        let (key_id, rest) = rest.split_first_chunk().ok_or(InvalidCiphertext)?;
        let material_id = rest.first_chunk().ok_or(InvalidCiphertext)?;
        let multi_region = match *flags {
            0 => false,
            MULTI_REGION_FLAG => true,
            _ => return Err(InvalidCiphertext),
        };
        let key_id = KeyIdBytes { bytes: *key_id, multi_region };
        Ok(Self { bytes, header, suite, key_id, material_id: *material_id })
    }

    pub fn key_id(&self) -> KeyIdBytes {
        self.key_id
    }

    /// See [`KeyMaterialId::prefix`].
    pub fn material_id(&self) -> [u8; 16] {
        self.material_id
    }

    /// The plaintext, if this material and this context sealed the blob.
    pub fn open(
        &self,
        material: &[u8; 32],
        context: &BTreeMap<String, String>,
    ) -> Result<Zeroizing<Vec<u8>>, InvalidCiphertext> {
        if self.suite != Suite::Scheme {
            return Err(InvalidCiphertext);
        }
        scheme::open(material, self.header, Label::ENC, &encode(context), self.bytes)
            .map_err(|_| InvalidCiphertext)
    }
}

/// A key id as blobs carry it. Its text has one spelling: lower-case, `mrk-` for multi-Region keys,
/// otherwise a UUID with its hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIdBytes {
    pub bytes: [u8; 16],
    pub multi_region: bool,
}

impl fmt::Display for KeyIdBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = uuid::Uuid::from_bytes(self.bytes);
        let mut text = uuid::Uuid::encode_buffer();
        if self.multi_region {
            f.write_str("mrk-")?;
            f.write_str(id.simple().encode_lower(&mut text))
        } else {
            f.write_str(id.hyphenated().encode_lower(&mut text))
        }
    }
}

impl FromStr for KeyIdBytes {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let (digits, chars, multi_region) = match text.strip_prefix("mrk-") {
            Some(digits) => (digits, 32, true),
            None => (text, 36, false),
        };
        // Of several spellings that the parser takes, one has this length and no capital letters.
        if digits.len() != chars || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidKeyId);
        }
        let id = uuid::Uuid::try_parse(digits).map_err(|_| InvalidKeyId)?;
        Ok(Self { bytes: *id.as_bytes(), multi_region })
    }
}

/// The public identity of key material: `HMAC-SHA-256(material, "claviger/v1/key-material-id\0" ‖
/// key id as text)`. It tells whether imported material is the same as before, and nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyMaterialId([u8; 32]);

impl KeyMaterialId {
    pub fn of(material: &[u8], key_id: KeyIdBytes) -> Self {
        let mut mac = seal::keyed(material, Label::KEY_MATERIAL_ID);
        mac.update(key_id.to_string().as_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// Of an HMAC key, which is up to 128 bytes long. HMAC itself would take two for the same: one
    /// that is longer than 64 bytes, and its hash; so here the length counts.
    pub fn of_hmac_key(material: &[u8], key_id: KeyIdBytes) -> Self {
        let mut hash = Sha256::new();
        for part in Label::HMAC_MATERIAL.parts() {
            hash.update(part);
        }
        hash.update(seal::length(material.len()));
        hash.update(material);
        let hash: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
        Self::of(&*hash, key_id)
    }

    /// The part that blobs carry.
    pub fn prefix(&self) -> [u8; 16] {
        let mut prefix = [0; 16];
        // 16 of 32 bytes: `zip` ends with the shorter.
        prefix.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        prefix
    }
}

/// As AWS writes it: 64 lower-case hex digits.
impl fmt::Display for KeyMaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests;
