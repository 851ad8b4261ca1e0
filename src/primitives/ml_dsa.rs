//! ML-DSA (FIPS 204). `RAW` is the pure variant with an empty context, by AWS-LC. `EXTERNAL_MU` is by the
//! crate `ml-dsa`: AWS-LC's Rust interface signs messages only. Both sign with fresh randomness (hedged).
use super::lazy::Lazy;
use super::ml_dsa_mu::{self, MuSigner, MuVerifier};
use super::{KeySpec, MessageType, PrimitiveError, SigningAlgorithm, der};
use crate::random::Random;
use aws_lc_rs::encoding::{AsDer, AsRawBytes};
use aws_lc_rs::signature::{self as sig, KeyPair as _, ParsedPublicKey, PqdsaKeyPair};
use zeroize::Zeroizing;

const ALGORITHM: SigningAlgorithm = SigningAlgorithm::MlDsaShake256;

struct Parameters {
    signing: &'static sig::PqdsaSigningAlgorithm,
    verification: &'static sig::PqdsaVerificationAlgorithm,
}

fn parameters(spec: KeySpec) -> Result<Parameters, PrimitiveError> {
    let (signing, verification) = match spec {
        KeySpec::MlDsa44 => (&sig::ML_DSA_44_SIGNING, &sig::ML_DSA_44),
        KeySpec::MlDsa65 => (&sig::ML_DSA_65_SIGNING, &sig::ML_DSA_65),
        KeySpec::MlDsa87 => (&sig::ML_DSA_87_SIGNING, &sig::ML_DSA_87),
        _ => return Err(PrimitiveError::WrongAlgorithm),
    };
    Ok(Parameters { signing, verification })
}

/// PKCS#8 with the 32 bytes of the seed, which is the key.
pub(super) fn generate(
    spec: KeySpec,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    let signing = parameters(spec)?.signing;
    let seed = Zeroizing::new(random.bytes::<32>());
    let der = PqdsaKeyPair::from_seed(signing, seed.as_slice())
        .ok()
        .and_then(|key| key.to_pkcs8v1().ok())
        .ok_or(PrimitiveError::Library("ML-DSA key generation"))?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

pub(super) struct Private {
    spec: KeySpec,
    key: PqdsaKeyPair,
    mu: Lazy<Box<dyn MuSigner>>,
}

impl Private {
    /// The key and its SubjectPublicKeyInfo. Takes seeds, expanded keys, and both if they agree.
    pub(super) fn parse(spec: KeySpec, bytes: &[u8]) -> Result<(Self, Vec<u8>), PrimitiveError> {
        let key = PqdsaKeyPair::from_pkcs8(parameters(spec)?.signing, bytes)
            .map_err(|_| PrimitiveError::InvalidMaterial)?;
        let der =
            key.public_key().as_der().map_err(|_| PrimitiveError::Library("ML-DSA public key"))?;
        let private = Self { spec, key, mu: Lazy::new() };
        if !ml_dsa_mu::in_range(spec, &private.expanded()?) {
            return Err(PrimitiveError::InvalidMaterial);
        }
        Ok((private, der.as_ref().to_vec()))
    }

    pub(super) fn sign(
        &self,
        kind: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        let failed = PrimitiveError::Library("ML-DSA signing");
        match kind {
            MessageType::Raw => {
                let mut out = vec![0; self.key.algorithm().signature_len()];
                let length = self.key.sign(message, &mut out).map_err(|_| failed)?;
                out.truncate(length);
                Ok(out)
            }
            MessageType::ExternalMu => {
                let mu = mu(message)?;
                let signer = self.mu.get(|| ml_dsa_mu::signer(self.spec, &self.expanded()?))?;
                signer.sign_mu(mu).ok_or(failed)
            }
            MessageType::Digest => Err(wrong_type(kind)),
        }
    }

    fn expanded(&self) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        let raw = self.key.private_key().as_raw_bytes();
        let raw = raw.map_err(|_| PrimitiveError::Library("ML-DSA private key"))?;
        Ok(Zeroizing::new(raw.as_ref().to_vec()))
    }
}

pub(super) struct Public {
    spec: KeySpec,
    raw: Vec<u8>,
    key: ParsedPublicKey,
    mu: Lazy<Box<dyn MuVerifier>>,
}

impl Public {
    pub(super) fn parse(spec: KeySpec, der: &[u8]) -> Result<Self, PrimitiveError> {
        let raw = der::spki_bits(der).ok_or(PrimitiveError::InvalidPublicKey)?.to_vec();
        let key = ParsedPublicKey::new(parameters(spec)?.verification, der)
            .map_err(|_| PrimitiveError::InvalidPublicKey)?;
        Ok(Self { spec, raw, key, mu: Lazy::new() })
    }

    pub(super) fn verify(
        &self,
        kind: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PrimitiveError> {
        let valid = match kind {
            MessageType::Raw => self.key.verify_sig(message, signature).is_ok(),
            MessageType::ExternalMu => {
                let mu = mu(message)?;
                let verifier = self.mu.get(|| ml_dsa_mu::verifier(self.spec, &self.raw))?;
                verifier.verify_mu(mu, signature)
            }
            MessageType::Digest => return Err(wrong_type(kind)),
        };
        if valid { Ok(()) } else { Err(PrimitiveError::InvalidSignature) }
    }
}

fn wrong_type(kind: MessageType) -> PrimitiveError {
    PrimitiveError::WrongMessageType { algorithm: ALGORITHM, kind }
}

fn mu(message: &[u8]) -> Result<&[u8; 64], PrimitiveError> {
    message.try_into().map_err(|_| PrimitiveError::DigestLength { algorithm: ALGORITHM })
}
