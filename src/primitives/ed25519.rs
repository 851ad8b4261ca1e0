//! Ed25519. Pure signatures by AWS-LC; Ed25519ph by `ed25519-dalek`, as AWS-LC does not offer it to Rust.
//!
//! KMS gives Ed25519ph the 64 bytes of the caller's digest as the message, so they are hashed once more.
use super::{MessageType, PrimitiveError, SigningAlgorithm, der};
use crate::random::Random;
use aws_lc_rs::encoding::{AsBigEndian, AsDer};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use ed25519_dalek::{SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

const DIGEST_BYTES: usize = 64;

/// Refuses what does not fit: the pure algorithm takes messages, the other digests.
fn check(
    algorithm: SigningAlgorithm,
    kind: MessageType,
    message: &[u8],
) -> Result<(), PrimitiveError> {
    match (algorithm, kind) {
        (SigningAlgorithm::Ed25519Sha512, MessageType::Raw) => Ok(()),
        (SigningAlgorithm::Ed25519PhSha512, MessageType::Digest) => {
            if message.len() == DIGEST_BYTES {
                Ok(())
            } else {
                Err(PrimitiveError::DigestLength { algorithm })
            }
        }
        _ => Err(PrimitiveError::WrongMessageType { algorithm, kind }),
    }
}

/// PKCS#8 version 1 without the public key: what OpenSSL writes and reads.
pub(super) fn generate(random: &dyn Random) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    let seed = Zeroizing::new(random.bytes::<32>());
    let der = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
        .ok()
        .and_then(|key| key.to_pkcs8v1().ok())
        .ok_or(PrimitiveError::Library("Ed25519 key generation"))?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

pub(super) struct Private {
    pure: Ed25519KeyPair,
    /// Zeroes itself when dropped.
    prehashed: SigningKey,
}

impl Private {
    /// The key and its SubjectPublicKeyInfo.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, Vec<u8>), PrimitiveError> {
        let library = PrimitiveError::Library("Ed25519 key");
        let pure =
            Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| PrimitiveError::InvalidMaterial)?;
        let seed = pure.seed().ok().and_then(|seed| seed.as_be_bytes().ok()).ok_or(library)?;
        let prehashed = SigningKey::try_from(seed.as_ref()).map_err(|_| library)?;
        let der = pure.public_key().as_der().map_err(|_| library)?;
        Ok((Self { pure, prehashed }, der.as_ref().to_vec()))
    }

    pub(super) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        check(algorithm, kind, message)?;
        if kind == MessageType::Raw {
            return Ok(self.pure.sign(message).as_ref().to_vec());
        }
        let hash = Sha512::new_with_prefix(message);
        let signature = self
            .prehashed
            .sign_prehashed(hash, None)
            .map_err(|_| PrimitiveError::Library("Ed25519ph signing"))?;
        Ok(signature.to_bytes().to_vec())
    }
}

pub(super) struct Public {
    pure: ParsedPublicKey,
    prehashed: VerifyingKey,
}

impl Public {
    pub(super) fn parse(der: &[u8]) -> Result<Self, PrimitiveError> {
        let invalid = PrimitiveError::InvalidPublicKey;
        let bits = der::spki_bits(der).ok_or(invalid)?;
        let pure = ParsedPublicKey::new(&ED25519, der).map_err(|_| invalid)?;
        let prehashed = VerifyingKey::try_from(bits).map_err(|_| invalid)?;
        Ok(Self { pure, prehashed })
    }

    pub(super) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PrimitiveError> {
        check(algorithm, kind, message)?;
        let invalid = PrimitiveError::InvalidSignature;
        if kind == MessageType::Raw {
            return self.pure.verify_sig(message, signature).map_err(|_| invalid);
        }
        let signature = signature.try_into().map_err(|_| invalid)?;
        let hash = Sha512::new_with_prefix(message);
        self.prehashed.verify_prehashed(hash, None, &signature).map_err(|_| invalid)
    }
}
