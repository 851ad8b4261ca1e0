//! Tokens that a client keeps and hands back: page markers, grant and import tokens, sessions.
//!
//! ```text
//! off len
//!  0   4  "CLVT"
//!  4   1  01            format version
//!  5   1  01            suite: HKDF-SHA-256 / AES-256-GCM / 32-byte commitment
//!  6   4  generation    of the domain key, u32be
//! 10   n  N ‖ Com ‖ IV ‖ ciphertext ‖ tag    (see `scheme`)
//! ```
//!
//! The kind of token is its label, so a page marker can never serve as a grant token. The context is
//! what must be the same when the token comes back, such as principal and resource; associated data =
//! length-prefixed (context). What the opener cannot know beforehand, an expiry above all, belongs
//! into the payload and is checked by the opener. Base64 is the caller's.

use zeroize::Zeroizing;

use super::labels::Label;
use super::scheme::{self, SealError};
use super::{Key32, derive, length_prefixed};
use crate::random::Random;

const PREFIX: [u8; 6] = *b"CLVT\x01\x01";
const HEADER_BYTES: usize = PREFIX.len() + 4;

/// The key that seals one kind of token, from the domain key of a generation.
pub fn sub_key(domain_key: &[u8; 32], label: Label) -> Key32 {
    derive(domain_key, label, b"")
}

/// Seals a token of the kind `label` under that kind's key of a generation.
pub fn seal(
    key: &[u8; 32],
    generation: u32,
    label: Label,
    context: &[&[u8]],
    random: &dyn Random,
    payload: &[u8],
) -> Vec<u8> {
    let mut header = PREFIX.to_vec();
    header.extend_from_slice(&generation.to_be_bytes());
    scheme::seal(key, &header, label, &length_prefixed(context), random, payload)
}

/// A token whose header has been read but not yet believed.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    sealed: &'a [u8],
    header: &'a [u8; HEADER_BYTES],
    generation: u32,
}

impl<'a> Token<'a> {
    pub fn parse(sealed: &'a [u8]) -> Result<Self, SealError> {
        let rest = sealed.strip_prefix(&PREFIX).ok_or(SealError)?;
        let (generation, rest) = rest.split_first_chunk::<4>().ok_or(SealError)?;
        if rest.len() < scheme::OVERHEAD_BYTES {
            return Err(SealError);
        }
        let header = sealed.first_chunk::<HEADER_BYTES>().ok_or(SealError)?;
        Ok(Self { sealed, header, generation: u32::from_be_bytes(*generation) })
    }

    /// The generation of the domain key that opens the token.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The payload, if the token is of this kind and was made for this context.
    pub fn open(
        &self,
        key: &[u8; 32],
        label: Label,
        context: &[&[u8]],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        scheme::open(key, self.header, label, &length_prefixed(context), self.sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    const KEY: [u8; 32] = [7; 32];

    fn open(label: Label, context: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        Token::parse(sealed)?.open(&KEY, label, context).map(|payload| payload.to_vec())
    }

    #[test]
    fn a_token_opens_as_its_kind_and_in_its_context_only() {
        let context: &[&[u8]] = &[b"alice", b"ListKeys"];
        let page = seal(&KEY, 9, Label::PAGE_TOKEN, context, &SeededRandom::new(1), b"next");
        assert_eq!(Token::parse(&page).unwrap().generation(), 9);
        assert_eq!(open(Label::PAGE_TOKEN, context, &page).unwrap(), b"next");
        assert_eq!(open(Label::GRANT_TOKEN, context, &page), Err(SealError));
        let others: [&[&[u8]]; 6] = [
            &[],
            &[b"alice"],
            &[b"ListKeys", b"alice"],
            &[b"aliceL", b"istKeys"],
            &[b"alice", b"ListKeys", b""],
            &[b"Alice", b"ListKeys"],
        ];
        for context in others {
            assert_eq!(open(Label::PAGE_TOKEN, context, &page), Err(SealError), "{context:?}");
        }
    }

    #[test]
    fn every_bit_and_every_cut_of_a_token_counts() {
        let sealed = seal(&KEY, 9, Label::PAGE_TOKEN, &[b"a"], &SeededRandom::new(1), b"next");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(Label::PAGE_TOKEN, &[b"a"], &changed), Err(SealError), "bit {bit}");
        }
        for len in 0..sealed.len() {
            let cut = &sealed[..len];
            assert_eq!(open(Label::PAGE_TOKEN, &[b"a"], cut), Err(SealError), "cut to {len}");
        }
    }
}
