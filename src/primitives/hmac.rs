//! HMAC keys: as long as the output of their hash, if they are ours; imported ones may be longer.
use super::{KeySpec, PrimitiveError};
use crate::random::Random;
use aws_lc_rs::hmac::{self, Algorithm, HMAC_SHA224, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use zeroize::Zeroizing;

/// AWS: 1024 bits. No longer key could be stronger than the hash.
const LONGEST_BYTES: usize = 128;

fn parameters(spec: KeySpec) -> Result<(Algorithm, usize), PrimitiveError> {
    match spec {
        KeySpec::Hmac224 => Ok((HMAC_SHA224, 28)),
        KeySpec::Hmac256 => Ok((HMAC_SHA256, 32)),
        KeySpec::Hmac384 => Ok((HMAC_SHA384, 48)),
        KeySpec::Hmac512 => Ok((HMAC_SHA512, 64)),
        _ => Err(PrimitiveError::WrongAlgorithm),
    }
}

pub(super) fn generate(
    spec: KeySpec,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    let mut key = Zeroizing::new(vec![0; parameters(spec)?.1]);
    random.fill(&mut key);
    Ok(key)
}

/// Holds the states of the hash after the key's blocks, not the key.
pub(super) struct Private(hmac::Key);

impl Private {
    pub(super) fn parse(spec: KeySpec, bytes: &[u8]) -> Result<Self, PrimitiveError> {
        let (algorithm, shortest) = parameters(spec)?;
        if !(shortest..=LONGEST_BYTES).contains(&bytes.len()) {
            return Err(PrimitiveError::InvalidMaterial);
        }
        Ok(Self(hmac::Key::new(algorithm, bytes)))
    }

    pub(super) fn mac(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.0, message).as_ref().to_vec()
    }

    /// Compares in constant time. A MAC that was cut is no MAC.
    pub(super) fn verify(&self, message: &[u8], mac: &[u8]) -> Result<(), PrimitiveError> {
        hmac::verify(&self.0, message, mac).map_err(|_| PrimitiveError::InvalidMac)
    }
}
