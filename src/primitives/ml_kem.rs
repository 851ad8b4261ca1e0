//! ML-KEM (FIPS 203), by AWS-LC. Its Rust interface knows neither seeds nor PKCS#8, so the frame is read
//! here (RFC 9935) and a seed is expanded by the crate `ml-kem`.
use super::{KeySpec, PrimitiveError, der};
use crate::random::Random;
use aws_lc_rs::kem::{self, Algorithm, DecapsulationKey, EncapsulationKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Two random strings of 32 bytes, d and z.
const SEED_BYTES: usize = 64;

struct Parameters {
    algorithm: &'static Algorithm,
    /// The whole element of the object identifier: id-alg-ml-kem-512 and its siblings.
    oid: [u8; 11],
    /// The rank of the module, from which all sizes follow.
    rank: usize,
    ciphertext_bytes: usize,
}

fn parameters(spec: KeySpec) -> Result<Parameters, PrimitiveError> {
    let (algorithm, last, rank, ciphertext_bytes) = match spec {
        KeySpec::MlKem512 => (&kem::ML_KEM_512, 1, 2, 768),
        KeySpec::MlKem768 => (&kem::ML_KEM_768, 2, 3, 1088),
        KeySpec::MlKem1024 => (&kem::ML_KEM_1024, 3, 4, 1568),
        _ => return Err(PrimitiveError::WrongAlgorithm),
    };
    let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x04, last];
    Ok(Parameters { algorithm, oid, rank, ciphertext_bytes })
}

/// PKCS#8 with the seed, which is the key.
pub(super) fn generate(
    spec: KeySpec,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    let oid = parameters(spec)?.oid;
    let seed = Zeroizing::new(random.bytes::<SEED_BYTES>());
    let seed = der::element(der::CONTEXT_0, &[seed.as_slice()]);
    Ok(der::pkcs8_frame(&oid, &seed))
}

pub(super) struct Private {
    key: DecapsulationKey,
    ciphertext_bytes: usize,
}

impl Private {
    /// The key and its SubjectPublicKeyInfo. Takes seeds, expanded keys, and both if they agree.
    pub(super) fn parse(spec: KeySpec, bytes: &[u8]) -> Result<(Self, Vec<u8>), PrimitiveError> {
        let parameters = parameters(spec)?;
        let invalid = PrimitiveError::InvalidMaterial;
        let inner = der::pkcs8(bytes, &parameters.oid).ok_or(invalid)?;
        let expanded = match inner.first() {
            Some(&der::CONTEXT_0) => {
                expand(spec, der::whole(inner, der::CONTEXT_0).ok_or(invalid)?)?
            }
            Some(&der::OCTET_STRING) => {
                Zeroizing::new(der::whole(inner, der::OCTET_STRING).ok_or(invalid)?.to_vec())
            }
            Some(&der::SEQUENCE) => {
                let mut both = der::whole(inner, der::SEQUENCE).ok_or(invalid)?;
                let seed = der::take(&mut both, der::OCTET_STRING).ok_or(invalid)?;
                let expanded = der::whole(both, der::OCTET_STRING).ok_or(invalid)?;
                let grown = expand(spec, seed)?;
                if !bool::from(grown.as_slice().ct_eq(expanded)) {
                    return Err(invalid);
                }
                grown
            }
            _ => return Err(invalid),
        };
        let key = DecapsulationKey::new(parameters.algorithm, &expanded).map_err(|_| invalid)?;
        // FIPS 203: the decryption key, then the encapsulation key, then a hash of it and z.
        let at = 384 * parameters.rank;
        let public = expanded.get(at..2 * at + 32).ok_or(invalid)?;
        let der = der::spki_frame(&parameters.oid, public);
        let private = Self { key, ciphertext_bytes: parameters.ciphertext_bytes };
        private.check(spec, &der)?;
        Ok((private, der))
    }

    /// Whether the two halves belong together: what one encapsulates, the other finds. An expanded key
    /// can be anything, and a broken one would not show itself before somebody's secret is lost.
    fn check(&self, spec: KeySpec, der: &[u8]) -> Result<(), PrimitiveError> {
        let invalid = |_| PrimitiveError::InvalidMaterial;
        let public = Public::parse(spec, der).map_err(invalid)?;
        let (sent, ciphertext) = public.encapsulate().map_err(invalid)?;
        let found = self.decapsulate(&ciphertext).map_err(invalid)?;
        if bool::from(sent.ct_eq(&found)) { Ok(()) } else { Err(PrimitiveError::InvalidMaterial) }
    }

    /// A ciphertext that is not of this key gives a secret all the same, one that nobody knows
    /// (implicit rejection). Only a wrong length is an error.
    pub(super) fn decapsulate(
        &self,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        if ciphertext.len() != self.ciphertext_bytes {
            return Err(PrimitiveError::InvalidCiphertext);
        }
        let secret = self
            .key
            .decapsulate(ciphertext.into())
            .map_err(|_| PrimitiveError::InvalidCiphertext)?;
        Ok(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

pub(super) struct Public(EncapsulationKey);

impl Public {
    pub(super) fn parse(spec: KeySpec, der: &[u8]) -> Result<Self, PrimitiveError> {
        let parameters = parameters(spec)?;
        der::spki(der, &parameters.oid)
            .and_then(|raw| EncapsulationKey::new(parameters.algorithm, raw).ok())
            .map(Self)
            .ok_or(PrimitiveError::InvalidPublicKey)
    }

    /// A fresh secret, and the ciphertext that carries it. The library checks the key (its modulus).
    pub(super) fn encapsulate(&self) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), PrimitiveError> {
        let (ciphertext, secret) =
            self.0.encapsulate().map_err(|_| PrimitiveError::InvalidPublicKey)?;
        Ok((Zeroizing::new(secret.as_ref().to_vec()), ciphertext.as_ref().to_vec()))
    }
}

#[expect(
    deprecated,
    reason = "the crate advises seeds over expanded keys; AWS-LC takes the latter only"
)]
pub(super) fn expand(spec: KeySpec, seed: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    use ml_kem::{DecapsulationKey, ExpandedKeyEncoding, MlKem512, MlKem768, MlKem1024, Seed};
    let seed = Seed::try_from(seed).map_err(|_| PrimitiveError::InvalidMaterial)?;
    let seed = Zeroizing::new(seed);
    macro_rules! expanded {
        ($parameters:ty) => {{
            let key = DecapsulationKey::<$parameters>::from_seed(*seed);
            Zeroizing::new(Zeroizing::new(key.to_expanded_bytes()).to_vec())
        }};
    }
    match spec {
        KeySpec::MlKem512 => Ok(expanded!(MlKem512)),
        KeySpec::MlKem768 => Ok(expanded!(MlKem768)),
        KeySpec::MlKem1024 => Ok(expanded!(MlKem1024)),
        _ => Err(PrimitiveError::WrongAlgorithm),
    }
}
