//! Taking off the padding of RSA-OAEP (RFC 8017, 7.1.2, step 3), for tokens that give the bare
//! modular power only.
//!
//! Which of the checks failed must not show, neither in the answer nor in its time: Manger (2001)
//! decrypts with a thousand answers to "was the first byte zero?". So everything is computed for
//! every input, choices are made by masks, and there is one error. Only whether it was good, and
//! the length of a good message, decide what is done next: the caller learns both anyway.

use crate::{Hash, HsmError, KeyBytes};
use aws_lc_rs::digest::{self, Algorithm};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// The message in an encoded message, which has as many bytes as the modulus. MGF1 with the same
/// hash, an empty label.
pub(super) fn decode(
    hash: Hash,
    modulus_len: usize,
    encoded: &KeyBytes,
) -> Result<KeyBytes, HsmError> {
    let algorithm = match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        other => return Err(super::key::no_oaep(other)),
    };
    let hash_len = hash.digest_len();
    // Lengths are no secret: tokens that cut zeros off are not used in this way.
    let parts = || {
        let encoded = encoded.expose();
        let (first, rest) = encoded.split_first()?;
        let (seed, data) = rest.split_at_checked(hash_len)?;
        (encoded.len() == modulus_len && data.len() > hash_len).then_some((*first, seed, data))
    };
    let (first, masked_seed, masked_data) = parts().ok_or(HsmError::Authentication)?;
    let mut seed = Zeroizing::new(masked_seed.to_vec());
    let mut data = Zeroizing::new(masked_data.to_vec());
    mask(algorithm, masked_data, &mut seed);
    mask(algorithm, &seed, &mut data);
    let (label_hash, padded) = data.split_at_checked(hash_len).ok_or(HsmError::Authentication)?;

    let mut is_good = first.ct_eq(&0);
    is_good &= label_hash.ct_eq(digest::digest(algorithm, b"").as_ref());
    // The message begins behind the first 01; before it only zeros may be.
    let mut is_before = Choice::from(1);
    let mut begins = 0_u32;
    for (n, byte) in (1_u32..).zip(padded) {
        let is_one = byte.ct_eq(&1);
        begins.conditional_assign(&n, is_before & is_one);
        is_before &= !is_one;
        is_good &= !is_before | byte.ct_eq(&0);
    }
    is_good &= !is_before;
    if !bool::from(is_good) {
        return Err(HsmError::Authentication);
    }
    let begins = usize::try_from(begins).unwrap_or(usize::MAX);
    let message = padded.split_at_checked(begins).ok_or(HsmError::Authentication)?.1;
    Ok(KeyBytes::new(message.to_vec()))
}

/// `out` ⊕ MGF1(seed) (RFC 8017, B.2.1).
fn mask(algorithm: &'static Algorithm, seed: &[u8], out: &mut [u8]) {
    for (counter, chunk) in (0_u32..).zip(out.chunks_mut(algorithm.output_len())) {
        let mut context = digest::Context::new(algorithm);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        for (byte, mask) in chunk.iter_mut().zip(context.finish().as_ref()) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 256;

    fn algorithm(hash: Hash) -> &'static Algorithm {
        match hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            _ => &digest::SHA256,
        }
    }

    /// What is under the masks: label's hash, zeros, 01, message.
    fn data(hash: Hash, message: &[u8]) -> Vec<u8> {
        let label = digest::digest(algorithm(hash), b"");
        let zeros = vec![0; LEN - 2 - 2 * hash.digest_len() - message.len()];
        [label.as_ref(), &zeros, &[1], message].concat()
    }

    fn encode(hash: Hash, first: u8, mut data: Vec<u8>) -> KeyBytes {
        let mut seed = vec![0x3c; hash.digest_len()];
        mask(algorithm(hash), &seed.clone(), &mut data);
        mask(algorithm(hash), &data, &mut seed);
        KeyBytes::new([&[first], &seed[..], &data].concat())
    }

    fn opened(hash: Hash, encoded: &KeyBytes) -> Result<Vec<u8>, HsmError> {
        decode(hash, LEN, encoded).map(|message| message.expose().to_vec())
    }

    #[test]
    fn messages_of_every_length_come_back() {
        for hash in [Hash::Sha1, Hash::Sha256] {
            for len in 0..=LEN - 2 - 2 * hash.digest_len() {
                for filling in [0_u8, 1, 0xff] {
                    let message = vec![filling; len];
                    let encoded = encode(hash, 0, data(hash, &message));
                    assert_eq!(opened(hash, &encoded), Ok(message), "{hash:?} {len} {filling}");
                }
            }
        }
    }

    #[test]
    fn every_bad_padding_is_the_same_error() {
        for hash in [Hash::Sha1, Hash::Sha256] {
            let good = data(hash, b"message");
            let forged = Err(HsmError::Authentication);
            for first in 1..=255 {
                assert_eq!(opened(hash, &encode(hash, first, good.clone())), forged, "{first}");
            }
            // Each byte of the label's hash and of the zeros, in turn; and the 01.
            let one = good.len() - 8;
            for at in 0..one {
                let mut bad = good.clone();
                bad[at] ^= 0x80;
                assert_eq!(opened(hash, &encode(hash, 0, bad)), forged, "{hash:?} byte {at}");
            }
            for other in [0, 2, 0x81] {
                let mut bad = good.clone();
                bad[one] = other;
                assert_eq!(opened(hash, &encode(hash, 0, bad)), forged, "{other} for 01");
            }
            // No 01 at all.
            let none =
                [&good[..hash.digest_len()], &vec![0; good.len() - hash.digest_len()]].concat();
            assert_eq!(opened(hash, &encode(hash, 0, none)), forged);
            // Everything wrong at once.
            assert_eq!(opened(hash, &encode(hash, 7, vec![9; good.len()])), forged);
        }
    }

    #[test]
    fn the_first_one_ends_the_zeros() {
        let hash = Hash::Sha256;
        let encoded = encode(hash, 0, data(hash, &[1, 1, 0, 1]));
        assert_eq!(opened(hash, &encoded), Ok(vec![1, 1, 0, 1]));
    }

    #[test]
    fn another_hash_or_length_is_refused() {
        let encoded = encode(Hash::Sha256, 0, data(Hash::Sha256, b"message"));
        assert_eq!(opened(Hash::Sha1, &encoded), Err(HsmError::Authentication));
        for len in [0, 1, 32, 64, 65, 66, 255] {
            let cut = KeyBytes::new(encoded.expose()[..len].to_vec());
            assert_eq!(opened(Hash::Sha256, &cut), Err(HsmError::Authentication), "{len}");
            assert!(decode(Hash::Sha256, len, &cut).is_err(), "{len}");
        }
        assert!(matches!(opened(Hash::Sha512, &encoded), Err(HsmError::Unsupported(_))));
    }
}
