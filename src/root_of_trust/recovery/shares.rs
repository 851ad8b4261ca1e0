//! Shamir's secret sharing over GF(256) (Shamir 1979), by the crate `blahaj`: any `threshold` shares are
//! the seed, fewer say nothing about it.
use super::{RecoveryError, Seed};
use crate::random::Random;
use blahaj::{Share as Point, Sharks};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// As many as there are points but that of the secret.
pub const MAX_SHARES: u8 = 255;

/// One custodian's share.
#[derive(Clone, Debug)]
pub struct Share {
    /// The fingerprint of the key that it is of.
    pub key: String,
    /// 1 to `shares`.
    pub index: u8,
    pub threshold: u8,
    pub shares: u8,
    pub(super) value: ShareValue,
}

/// The secret part.
#[derive(Clone)]
pub(super) struct ShareValue(pub(super) Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ShareValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShareValue(..)")
    }
}

/// Our generator, as the crate wants to be given one.
pub(super) struct Dealer<'a>(&'a dyn Random);

impl TryRng for Dealer<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.0.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.0.bytes()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Dealer<'_> {}

/// Splits a seed into `shares`, of which `threshold` bring it back.
pub fn split(
    seed: &Seed,
    threshold: u8,
    shares: u8,
    random: &dyn Random,
) -> Result<Vec<Share>, RecoveryError> {
    if threshold < 2 || threshold > shares {
        return Err(RecoveryError::Shares(format!(
            "a threshold of {threshold} of {shares} shares: wanted at least 2, and no more than there \
             are shares"
        )));
    }
    let key = seed.public()?.fingerprint();
    let mut dealer = Dealer(random);
    let dealt = Sharks(threshold).dealer_rng(seed.expose(), &mut dealer);
    let dealt = dealt.take(usize::from(shares)).map(|point| {
        let bytes = Zeroizing::new(Vec::<u8>::from(&point));
        let (index, value) = bytes.split_first().ok_or(RecoveryError::Key)?;
        let value = <[u8; 32]>::try_from(value).map_err(|_| RecoveryError::Key)?;
        let value = ShareValue(Zeroizing::new(value));
        Ok(Share { key: key.clone(), index: *index, threshold, shares, value })
    });
    dealt.collect()
}

/// The seed of which these are shares. More than are needed are taken too, and must fit.
pub fn combine(shares: &[Share]) -> Result<Seed, RecoveryError> {
    let refused = |text: String| Err(RecoveryError::Shares(text));
    let Some(first) = shares.first() else { return refused("no shares were given".into()) };
    let mut seen = BTreeMap::new();
    for share in shares {
        if (&share.key, share.threshold, share.shares)
            != (&first.key, first.threshold, first.shares)
        {
            return refused(format!(
                "share {} is of recovery key {} ({} of {}), share {} of {} ({} of {}): the shares of \
                 one key are wanted",
                first.index,
                first.key,
                first.threshold,
                first.shares,
                share.index,
                share.key,
                share.threshold,
                share.shares
            ));
        }
        if seen.insert(share.index, share).is_some() {
            return refused(format!("share {} was given twice", share.index));
        }
    }
    if seen.len() < usize::from(first.threshold) {
        return refused(format!(
            "{} of the {} shares that are wanted were given: {}",
            seen.len(),
            first.threshold,
            seen.keys().map(u8::to_string).collect::<Vec<_>>().join(", ")
        ));
    }
    let points: Result<Vec<Point>, RecoveryError> = seen
        .values()
        .map(|share| {
            let bytes = Zeroizing::new([&[share.index], share.value.0.as_slice()].concat());
            Point::try_from(bytes.as_slice()).map_err(|_| RecoveryError::Key)
        })
        .collect();
    let seed =
        Sharks(first.threshold).recover(&points?).map_err(|e| RecoveryError::Shares(e.into()));
    let seed = Zeroizing::new(seed?);
    let seed = Seed::new(seed.as_slice().try_into().map_err(|_| RecoveryError::Key)?);
    if seed.public()?.fingerprint() != first.key {
        return refused(format!(
            "the shares {} do not make recovery key {}: one of them was changed, or was made up",
            seen.keys().map(u8::to_string).collect::<Vec<_>>().join(", "),
            first.key
        ));
    }
    Ok(seed)
}

#[cfg(test)]
pub(super) mod tests {
    //! What a test of distribution needs to see.
    use super::*;

    pub(in super::super) fn dealer(random: &dyn Random) -> Dealer<'_> {
        Dealer(random)
    }

    pub(in super::super) fn first_share_of_zeros(dealer: &mut Dealer<'_>) -> Vec<u8> {
        let first = Sharks(2).dealer_rng(&[0; 32], dealer).next().unwrap();
        Vec::<u8>::from(&first)[1..].to_vec()
    }
}
