//! The public half of a key: it verifies, encrypts and encapsulates.
use super::message::Input;
use super::{
    EncryptionAlgorithm, KeySpec, MessageType, PrimitiveError, SigningAlgorithm, ed25519, ml_dsa,
    ml_kem, nist, rsa, secp256k1,
};
use std::fmt;

pub struct PublicKey {
    spec: KeySpec,
    der: Vec<u8>,
    half: Half,
}

enum Half {
    Rsa(Box<rsa::Public>),
    Nist(nist::Public),
    Secp256k1(secp256k1::Public),
    Ed25519(ed25519::Public),
    MlDsa(ml_dsa::Public),
    MlKem(ml_kem::Public),
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo in DER, with nothing behind it.
    pub fn parse_spki(spec: KeySpec, der: &[u8]) -> Result<Self, PrimitiveError> {
        use KeySpec::*;
        let half = match spec {
            Rsa2048 | Rsa3072 | Rsa4096 => Half::Rsa(Box::new(rsa::Public::parse(spec, der)?)),
            EccNistP256 | EccNistP384 | EccNistP521 => Half::Nist(nist::Public::parse(spec, der)?),
            EccSecgP256K1 => Half::Secp256k1(secp256k1::Public::parse(der)?),
            EccNistEdwards25519 => Half::Ed25519(ed25519::Public::parse(der)?),
            MlDsa44 | MlDsa65 | MlDsa87 => Half::MlDsa(ml_dsa::Public::parse(spec, der)?),
            MlKem512 | MlKem768 | MlKem1024 => Half::MlKem(ml_kem::Public::parse(spec, der)?),
            SymmetricDefault | Hmac224 | Hmac256 | Hmac384 | Hmac512 => {
                return Err(PrimitiveError::WrongAlgorithm);
            }
        };
        Ok(Self { spec, der: der.to_vec(), half })
    }

    pub fn spec(&self) -> KeySpec {
        self.spec
    }

    /// SubjectPublicKeyInfo (RFC 5280) in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PrimitiveError> {
        if !self.spec.signing_algorithms().contains(&algorithm) {
            return Err(PrimitiveError::WrongAlgorithm);
        }
        let input = || Input::new(algorithm, kind, message);
        match &self.half {
            Half::Rsa(key) => key.verify(algorithm, &input()?, signature),
            Half::Nist(key) => key.verify(&input()?, signature),
            Half::Secp256k1(key) => key.verify(&input()?, signature),
            Half::Ed25519(key) => key.verify(algorithm, kind, message, signature),
            Half::MlDsa(key) => key.verify(kind, message, signature),
            Half::MlKem(_) => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// RSA-OAEP with an empty label.
    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        let spec = self.spec;
        let Half::Rsa(key) = &self.half else { return Err(PrimitiveError::WrongAlgorithm) };
        if !spec.encryption_algorithms().contains(&algorithm) {
            return Err(PrimitiveError::WrongAlgorithm);
        }
        let max = rsa::max_plaintext(spec, algorithm);
        if plaintext.len() > max {
            return Err(PrimitiveError::PlaintextTooLong { algorithm, spec, max });
        }
        key.encrypt(algorithm, plaintext)
    }

    /// A fresh ML-KEM shared secret, and the ciphertext that carries it.
    pub fn encapsulate(&self) -> Result<(zeroize::Zeroizing<Vec<u8>>, Vec<u8>), PrimitiveError> {
        match &self.half {
            Half::MlKem(key) => key.encapsulate(),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("spec", &self.spec).finish_non_exhaustive()
    }
}
