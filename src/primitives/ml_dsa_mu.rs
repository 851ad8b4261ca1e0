//! ML-DSA over a message representative (µ) that the caller made: FIPS 204's `Sign` and `Verify` from
//! their second half on. By the crate `ml-dsa`, from 0.1.2 on: earlier versions leaked by their timing or
//! took signatures that are not canonical (RUSTSEC-2025-0144, CVE-2026-22705, CVE-2026-24850).
use super::{KeySpec, PrimitiveError};
use aws_lc_rs::error::Unspecified;
use ml_dsa::signature::rand_core::{TryCryptoRng, TryRng};
use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};

/// A private key of any size. Zeroes itself when dropped.
pub(super) trait MuSigner: Send + Sync {
    fn sign_mu(&self, mu: &[u8; 64]) -> Option<Vec<u8>>;
}

pub(super) trait MuVerifier: Send + Sync {
    fn verify_mu(&self, mu: &[u8; 64], signature: &[u8]) -> bool;
}

impl<P: MlDsaParams + Send + Sync> MuSigner for ExpandedSigningKey<P> {
    fn sign_mu(&self, mu: &[u8; 64]) -> Option<Vec<u8>> {
        let signature = self.sign_mu_randomized(&(*mu).into(), &mut LibraryRandom).ok()?;
        Some(signature.encode().to_vec())
    }
}

impl<P: MlDsaParams + Send + Sync> MuVerifier for VerifyingKey<P> {
    fn verify_mu(&self, mu: &[u8; 64], signature: &[u8]) -> bool {
        Signature::<P>::try_from(signature)
            .is_ok_and(|signature| Self::verify_mu(self, &(*mu).into(), &signature))
    }
}

/// From the encoding of the expanded private key, which `in_range` has found good.
pub(super) fn signer(spec: KeySpec, key: &[u8]) -> Result<Box<dyn MuSigner>, PrimitiveError> {
    match spec {
        KeySpec::MlDsa44 => signer_of::<MlDsa44>(key),
        KeySpec::MlDsa65 => signer_of::<MlDsa65>(key),
        KeySpec::MlDsa87 => signer_of::<MlDsa87>(key),
        _ => Err(PrimitiveError::WrongAlgorithm),
    }
}

#[expect(
    deprecated,
    reason = "the crate advises seeds, as it does not check expanded keys; these are checked"
)]
fn signer_of<P: MlDsaParams + Send + Sync + 'static>(
    key: &[u8],
) -> Result<Box<dyn MuSigner>, PrimitiveError> {
    let key = key.try_into().map_err(|_| PrimitiveError::Library("ML-DSA private key"))?;
    Ok(Box::new(ExpandedSigningKey::<P>::from_expanded(key)))
}

/// From the encoding of the public key.
pub(super) fn verifier(spec: KeySpec, key: &[u8]) -> Result<Box<dyn MuVerifier>, PrimitiveError> {
    match spec {
        KeySpec::MlDsa44 => verifier_of::<MlDsa44>(key),
        KeySpec::MlDsa65 => verifier_of::<MlDsa65>(key),
        KeySpec::MlDsa87 => verifier_of::<MlDsa87>(key),
        _ => Err(PrimitiveError::WrongAlgorithm),
    }
}

fn verifier_of<P: MlDsaParams + Send + Sync + 'static>(
    key: &[u8],
) -> Result<Box<dyn MuVerifier>, PrimitiveError> {
    let key = key.try_into().map_err(|_| PrimitiveError::Library("ML-DSA public key"))?;
    Ok(Box::new(VerifyingKey::<P>::decode(key)))
}

/// Whether the short vectors s1 and s2 of an expanded key have coefficients between -η and η. The
/// encoding leaves room for others, which the library would take for a mistake of its caller and panic.
///
/// rho 32, K 32, tr 64, then s1 and s2: 256 coefficients a polynomial, each written as η minus itself.
pub(super) fn in_range(spec: KeySpec, expanded: &[u8]) -> bool {
    const VECTORS_AT: usize = 128;
    // η, and how many polynomials s1 and s2 have together.
    let (eta, polynomials) = match spec {
        KeySpec::MlDsa44 => (2, 8),
        KeySpec::MlDsa65 => (4, 11),
        KeySpec::MlDsa87 => (2, 15),
        _ => return false,
    };
    let bits = if eta == 2 { 3 } else { 4 };
    let length = polynomials * 256 * bits / 8;
    let Some(vectors) = expanded.get(VECTORS_AT..).and_then(|rest| rest.get(..length)) else {
        return false;
    };
    // Looks at all of them, so that the time says nothing about which is wrong.
    let mut good = true;
    for group in vectors.chunks_exact(bits) {
        let word = group.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for coefficient in 0..8 {
            good &= word >> (coefficient * bits) & ((1 << bits) - 1) <= 2 * eta;
        }
    }
    good
}

/// AWS-LC's generator, as the crate wants to be given one.
struct LibraryRandom;

impl TryRng for LibraryRandom {
    type Error = Unspecified;

    fn try_next_u32(&mut self) -> Result<u32, Unspecified> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Unspecified> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Unspecified> {
        aws_lc_rs::rand::fill(out)
    }
}

impl TryCryptoRng for LibraryRandom {}
