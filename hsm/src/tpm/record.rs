//! What is kept of a root key: an NV index of the TPM with its name.
//!
//! ```text
//! off    len
//!  0      1   format: 01
//!  1      1   1 = the root key was made with an auth value, 0 = without
//!  2     34   the Name of the primary key: 000b (TPM_ALG_SHA256) ‖ SHA-256 of its public area
//! 36      n   the root key's name (1 ≤ n ≤ 128)
//! ```
//!
//! The key itself is derived from the owner seed whenever it is needed. TPM2_Clear makes a new seed
//! and removes the index, so a key that cannot come back is not listed either.

use crate::RootKeyId;
use std::ops::RangeInclusive;

/// NV indices of ours, in the part of the range that is the owner's (TCG Registry of Reserved TPM
/// 2.0 Handles and Localities).
pub(super) const INDICES: RangeInclusive<u32> = 0x018c_1a00..=0x018c_1aff;

pub(super) const NAME_LEN: usize = 34;
const FORMAT: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub auth: bool,
    pub name: [u8; NAME_LEN],
    pub id: RootKeyId,
}

impl Record {
    pub fn encode(&self) -> Vec<u8> {
        [&[FORMAT, self.auth.into()], &self.name[..], self.id.as_str().as_bytes()].concat()
    }

    /// None for what is not of this format.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[FORMAT, auth], rest) = bytes.split_first_chunk()? else { return None };
        let (name, id) = rest.split_first_chunk()?;
        let id = RootKeyId::new(std::str::from_utf8(id).ok()?);
        id.check().ok()?;
        (auth <= 1).then_some(Self { auth: auth == 1, name: *name, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_written_and_nothing_else_is() {
        let record = Record { auth: true, name: [3; NAME_LEN], id: RootKeyId::new("a/b/1") };
        let bytes = record.encode();
        assert_eq!((&bytes[..2], &bytes[36..]), (&[1, 1][..], &b"a/b/1"[..]));
        assert_eq!(Record::decode(&bytes), Some(record));
        for len in 0..37 {
            assert_eq!(Record::decode(&bytes[..len]), None, "{len} bytes");
        }
        for (at, byte) in [(0, 2), (1, 2), (36, b' '), (36, 0xff)] {
            let mut other = bytes.clone();
            other[at] = byte;
            assert_eq!(Record::decode(&other), None, "byte {at} = {byte}");
        }
    }
}
