//! Records of the store, sealed so that an edited, moved or stale one is detected, never believed.
//!
//! ```text
//! off  len
//!  0    4   "CLVR"
//!  4    1   01            format version
//!  5    1   01            suite: HKDF-SHA-256 / AES-256-GCM / 32-byte commitment
//!  6    1   t             length of the table's name, 1 to 32
//!  7    t   table         a-z, 0-9, -
//! 7+t   4   generation    of the domain key, u32be
//! 11+t  n   N ‖ Com ‖ IV ‖ ciphertext ‖ tag    (see `scheme`)
//! ```
//!
//! Label `claviger/v1/row/<table>`; associated data = length-prefixed (cluster, table, record key,
//! revision as u64be). The place is not in the message but in the hands of whoever opens it: a row
//! copied to another key or cluster, or an older revision put back, does not open there.

use zeroize::Zeroizing;

use super::labels::{Label, Table};
use super::scheme::{self, SealError};
use super::{Key32, derive, length_prefixed};
use crate::random::Random;

const PREFIX: [u8; 6] = *b"CLVR\x01\x01";

/// Where a row belongs and which of its revisions it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The cluster's UUID.
    pub cluster: &'a [u8; 16],
    pub table: Table,
    /// The record's key within the table.
    pub key: &'a [u8],
    pub revision: u64,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let revision = self.revision.to_be_bytes();
        length_prefixed(&[self.cluster, self.table.name().as_bytes(), self.key, &revision])
    }
}

/// The key that seals one table's rows, from the domain key of a generation.
pub fn sub_key(domain_key: &[u8; 32], table: Table) -> Key32 {
    derive(domain_key, Label::row(table), b"")
}

/// Seals a record under the row key of a generation.
pub fn seal(
    key: &[u8; 32],
    generation: u32,
    place: &Place<'_>,
    random: &dyn Random,
    plaintext: &[u8],
) -> Vec<u8> {
    let header = header(place.table, generation);
    let label = Label::row(place.table);
    scheme::seal(key, &header, label, &place.associated_data(), random, plaintext)
}

fn header(table: Table, generation: u32) -> Vec<u8> {
    let name = table.name().as_bytes();
    let mut header = Vec::with_capacity(PREFIX.len() + 1 + name.len() + 4);
    header.extend_from_slice(&PREFIX);
    // A table's name has at most 32 bytes.
    header.push(name.len() as u8);
    header.extend_from_slice(name);
    header.extend_from_slice(&generation.to_be_bytes());
    header
}

/// A sealed row whose header has been read but not yet believed.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    sealed: &'a [u8],
    header: &'a [u8],
    table: &'a [u8],
    generation: u32,
}

impl<'a> Row<'a> {
    pub fn parse(sealed: &'a [u8]) -> Result<Self, SealError> {
        let rest = sealed.strip_prefix(&PREFIX).ok_or(SealError)?;
        let (len, rest) = rest.split_first().ok_or(SealError)?;
        let (table, rest) = rest.split_at_checked(usize::from(*len)).ok_or(SealError)?;
        let (generation, rest) = rest.split_first_chunk::<4>().ok_or(SealError)?;
        if rest.len() < scheme::OVERHEAD_BYTES {
            return Err(SealError);
        }
        let (header, _) = sealed.split_at_checked(sealed.len() - rest.len()).ok_or(SealError)?;
        Ok(Self { sealed, header, table, generation: u32::from_be_bytes(*generation) })
    }

    /// The generation of the domain key that opens the row.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The record, if it was sealed under this key for this very place.
    pub fn open(&self, key: &[u8; 32], place: &Place<'_>) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if self.table != place.table.name().as_bytes() {
            return Err(SealError);
        }
        let label = Label::row(place.table);
        scheme::open(key, self.header, label, &place.associated_data(), self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    const KEY: [u8; 32] = [7; 32];
    const KEYS: Table = Table::new("kms-key");
    const PLACE: Place<'static> =
        Place { cluster: &[1; 16], table: KEYS, key: b"a/b", revision: 41 };

    fn open(key: &[u8; 32], place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        Row::parse(sealed)?.open(key, place).map(|record| record.to_vec())
    }

    #[test]
    fn a_row_opens_in_its_own_place_only() {
        let sealed = seal(&KEY, 3, &PLACE, &SeededRandom::new(1), b"record");
        assert_eq!(Row::parse(&sealed).unwrap().generation(), 3);
        assert_eq!(open(&KEY, &PLACE, &sealed).unwrap(), b"record");
        let elsewhere = [
            Place { cluster: &[2; 16], ..PLACE },
            Place { table: Table::new("kms-keys"), ..PLACE },
            Place { key: b"a/c", ..PLACE },
            Place { key: b"", ..PLACE },
            Place { revision: 40, ..PLACE },
            Place { revision: 42, ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(open(&KEY, &place, &sealed), Err(SealError), "{place:?}");
        }
        assert_eq!(open(&[8; 32], &PLACE, &sealed), Err(SealError));
    }

    #[test]
    fn every_bit_and_every_cut_of_a_row_counts() {
        let sealed = seal(&KEY, 3, &PLACE, &SeededRandom::new(1), b"record");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&KEY, &PLACE, &changed), Err(SealError), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(open(&KEY, &PLACE, &sealed[..len]), Err(SealError), "cut to {len}");
        }
    }

    #[test]
    fn tables_have_keys_of_their_own() {
        assert_ne!(sub_key(&KEY, KEYS), sub_key(&KEY, Table::new("secret")));
    }
}
