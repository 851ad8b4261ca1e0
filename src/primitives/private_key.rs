//! A KMS key's secret, parsed: the key pairs of all asymmetric specs and the HMAC keys. The symmetric
//! spec is not here, as its ciphertexts have a format of their own.
//!
//! Where a key *is* random bytes (HMAC, a scalar of a curve, the seeds of Ed25519, ML-DSA and ML-KEM) they
//! come from the caller's `Random`. RSA keys, and what RSA, ECDSA, ML-DSA and
//! ML-KEM draw for each use, come from AWS-LC's own generator. AWS-LC clears its memory when it frees it.
use super::message::Input;
use super::{
    EncryptionAlgorithm, KeySpec, MessageType, PrimitiveError, PublicKey, SigningAlgorithm, der,
    ed25519, hmac, ml_dsa, ml_kem, nist, rsa, secp256k1,
};
use crate::random::Random;
use std::fmt;
use zeroize::Zeroizing;

/// Parsed once and used often: parsing an RSA key checks it, which costs half of a signature.
pub struct PrivateKey {
    spec: KeySpec,
    half: Half,
    /// Absent for HMAC.
    public: Option<PublicKey>,
}

enum Half {
    Rsa(Box<rsa::Private>),
    Nist(Box<nist::Private>),
    Secp256k1(Box<secp256k1::Private>),
    Ed25519(Box<ed25519::Private>),
    MlDsa(Box<ml_dsa::Private>),
    MlKem(Box<ml_kem::Private>),
    Hmac(Box<hmac::Private>),
}

impl PrivateKey {
    /// A new key, as it is stored: PKCS#8 in DER, or the raw bytes of an HMAC key.
    pub fn generate(
        spec: KeySpec,
        random: &dyn Random,
    ) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        use KeySpec::*;
        match spec {
            Rsa2048 | Rsa3072 | Rsa4096 => rsa::generate(spec),
            EccNistP256 | EccNistP384 | EccNistP521 => nist::generate(spec, random),
            EccSecgP256K1 => secp256k1::generate(random),
            EccNistEdwards25519 => ed25519::generate(random),
            MlDsa44 | MlDsa65 | MlDsa87 => ml_dsa::generate(spec, random),
            MlKem512 | MlKem768 | MlKem1024 => ml_kem::generate(spec, random),
            Hmac224 | Hmac256 | Hmac384 | Hmac512 => hmac::generate(spec, random),
            SymmetricDefault => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// From what `generate` made or somebody imports. Refuses another spec's key, another size, halves
    /// that do not belong together, and bytes behind the key.
    pub fn parse(spec: KeySpec, bytes: &[u8]) -> Result<Self, PrimitiveError> {
        use KeySpec::*;
        if spec.is_asymmetric() && der::whole(bytes, der::SEQUENCE).is_none() {
            return Err(PrimitiveError::InvalidMaterial);
        }
        let (half, der) = match spec {
            Rsa2048 | Rsa3072 | Rsa4096 => {
                let (key, der) = rsa::Private::parse(spec, bytes)?;
                (Half::Rsa(Box::new(key)), Some(der))
            }
            EccNistP256 | EccNistP384 | EccNistP521 => {
                let (key, der) = nist::Private::parse(spec, bytes)?;
                (Half::Nist(Box::new(key)), Some(der))
            }
            EccSecgP256K1 => {
                let (key, der) = secp256k1::Private::parse(bytes)?;
                (Half::Secp256k1(Box::new(key)), Some(der))
            }
            EccNistEdwards25519 => {
                let (key, der) = ed25519::Private::parse(bytes)?;
                (Half::Ed25519(Box::new(key)), Some(der))
            }
            MlDsa44 | MlDsa65 | MlDsa87 => {
                let (key, der) = ml_dsa::Private::parse(spec, bytes)?;
                (Half::MlDsa(Box::new(key)), Some(der))
            }
            MlKem512 | MlKem768 | MlKem1024 => {
                let (key, der) = ml_kem::Private::parse(spec, bytes)?;
                (Half::MlKem(Box::new(key)), Some(der))
            }
            Hmac224 | Hmac256 | Hmac384 | Hmac512 => {
                (Half::Hmac(Box::new(hmac::Private::parse(spec, bytes)?)), None)
            }
            SymmetricDefault => return Err(PrimitiveError::WrongAlgorithm),
        };
        let public = der
            .map(|der| PublicKey::parse_spki(spec, &der))
            .transpose()
            .map_err(|_| PrimitiveError::InvalidMaterial)?;
        Ok(Self { spec, half, public })
    }

    pub fn spec(&self) -> KeySpec {
        self.spec
    }

    /// The public half. An HMAC key has none.
    pub fn public_key(&self) -> Result<&PublicKey, PrimitiveError> {
        self.public.as_ref().ok_or(PrimitiveError::WrongAlgorithm)
    }

    /// SubjectPublicKeyInfo (RFC 5280) in DER.
    pub fn public_key_der(&self) -> Result<Vec<u8>, PrimitiveError> {
        Ok(self.public_key()?.der().to_vec())
    }

    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        if !self.spec.signing_algorithms().contains(&algorithm) {
            return Err(PrimitiveError::WrongAlgorithm);
        }
        let input = || Input::new(algorithm, kind, message);
        match &self.half {
            Half::Rsa(key) => key.sign(algorithm, &input()?),
            Half::Nist(key) => key.sign(&input()?),
            Half::Secp256k1(key) => key.sign(&input()?),
            Half::Ed25519(key) => key.sign(algorithm, kind, message),
            Half::MlDsa(key) => key.sign(kind, message),
            Half::MlKem(_) | Half::Hmac(_) => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), PrimitiveError> {
        self.public_key()?.verify(algorithm, kind, message, signature)
    }

    /// The longest plaintext that a key of this spec encrypts; 0 if the algorithm is not the spec's.
    pub fn max_plaintext(spec: KeySpec, algorithm: EncryptionAlgorithm) -> usize {
        /// Of the symmetric spec, by AWS's model.
        const SYMMETRIC: usize = 4096;
        if spec.is_symmetric() && algorithm == EncryptionAlgorithm::SymmetricDefault {
            SYMMETRIC
        } else {
            rsa::max_plaintext(spec, algorithm)
        }
    }

    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        self.public_key()?.encrypt(algorithm, plaintext)
    }

    /// Whatever is wrong with the ciphertext, the answer is `InvalidCiphertext`.
    pub fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        match &self.half {
            Half::Rsa(key) => key.decrypt(algorithm, ciphertext),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// By the one algorithm of the spec.
    pub fn mac(&self, message: &[u8]) -> Result<Vec<u8>, PrimitiveError> {
        match &self.half {
            Half::Hmac(key) => Ok(key.mac(message)),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// Compares in constant time.
    pub fn verify_mac(&self, message: &[u8], mac: &[u8]) -> Result<(), PrimitiveError> {
        match &self.half {
            Half::Hmac(key) => key.verify(message, mac),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// ECDH with a peer's SubjectPublicKeyInfo on the same curve: the x coordinate, as long as the field.
    pub fn derive(&self, peer_spki_der: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        match &self.half {
            Half::Nist(key) => key.derive(peer_spki_der),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }

    /// A fresh ML-KEM shared secret, and the ciphertext that carries it.
    pub fn encapsulate(&self) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), PrimitiveError> {
        self.public_key()?.encapsulate()
    }

    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        match &self.half {
            Half::MlKem(key) => key.decapsulate(ciphertext),
            _ => Err(PrimitiveError::WrongAlgorithm),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("spec", &self.spec).finish_non_exhaustive()
    }
}
