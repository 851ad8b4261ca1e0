//! 32 secret bytes that leave no copies behind.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::Random;

/// A 256-bit secret key: zeroed when dropped, silent in logs, compared in constant time, neither
/// cloned nor serialised.
///
/// The bytes lie on the heap, because moving a value copies it and nothing wipes what it moved from.
pub struct Key32(Box<Zeroizing<[u8; 32]>>);

impl Key32 {
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self::filled(|key| key.copy_from_slice(bytes))
    }

    pub fn generate(random: &dyn Random) -> Self {
        Self::filled(|key| random.fill(key))
    }

    /// A key written where it stays, by whoever makes it.
    pub(crate) fn filled(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        fill(&mut key);
        Self(key)
    }

    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key32(..)")
    }
}

impl PartialEq for Key32 {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for Key32 {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn keys_compare_and_do_not_print() {
        let key = Key32::new(&[0xab; 32]);
        assert_eq!(key, Key32::new(&[0xab; 32]));
        let mut other = [0xab; 32];
        other[31] ^= 1;
        assert_ne!(key, Key32::new(&other));
        assert_eq!(format!("{key:?} {key:#?}"), "Key32(..) Key32(..)");
    }

    #[test]
    fn generated_keys_differ() {
        let random = SeededRandom::new(7);
        assert_ne!(Key32::generate(&random), Key32::generate(&random));
    }
}
