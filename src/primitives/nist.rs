//! The NIST curves P-256, P-384 and P-521: ECDSA with the hash of the curve's strength, and ECDH.
use super::lazy::Lazy;
use super::message::Input;
use super::{KeySpec, PrimitiveError, der};
use crate::random::Random;
use aws_lc_rs::agreement::{self, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, KeyPair as _, ParsedPublicKey};
use zeroize::Zeroizing;

struct Curve {
    signing: &'static sig::EcdsaSigningAlgorithm,
    verification: &'static sig::EcdsaVerificationAlgorithm,
    agreement: &'static agreement::Algorithm,
    /// What a SubjectPublicKeyInfo names as its algorithm: id-ecPublicKey and the curve.
    identifier: &'static [u8],
    scalar_bytes: usize,
    /// The bits that the highest byte of a scalar may have.
    top: u8,
}

static P256: Curve = Curve {
    signing: &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
    verification: &sig::ECDSA_P256_SHA256_ASN1,
    agreement: &agreement::ECDH_P256,
    identifier: b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
    scalar_bytes: 32,
    top: 0xff,
};
static P384: Curve = Curve {
    signing: &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
    verification: &sig::ECDSA_P384_SHA384_ASN1,
    agreement: &agreement::ECDH_P384,
    identifier: b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
    scalar_bytes: 48,
    top: 0xff,
};
static P521: Curve = Curve {
    signing: &sig::ECDSA_P521_SHA512_ASN1_SIGNING,
    verification: &sig::ECDSA_P521_SHA512_ASN1,
    agreement: &agreement::ECDH_P521,
    identifier: b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23",
    scalar_bytes: 66,
    top: 0x01,
};

fn curve(spec: KeySpec) -> Result<&'static Curve, PrimitiveError> {
    match spec {
        KeySpec::EccNistP256 => Ok(&P256),
        KeySpec::EccNistP384 => Ok(&P384),
        KeySpec::EccNistP521 => Ok(&P521),
        _ => Err(PrimitiveError::WrongAlgorithm),
    }
}

/// FIPS 186-5 A.2.2: draw candidates until one is between 1 and the order.
pub(super) fn generate(
    spec: KeySpec,
    random: &dyn Random,
) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    /// The first is refused once in 2^32 times at worst (P-256); so many in a row never are.
    const DRAWS: usize = 16;
    let curve = curve(spec)?;
    let mut scalar = Zeroizing::new(vec![0; curve.scalar_bytes]);
    for _ in 0..DRAWS {
        random.fill(&mut scalar);
        if let Some(top) = scalar.first_mut() {
            *top &= curve.top;
        }
        if let Ok(key) = PrivateKey::from_private_key(curve.agreement, &scalar) {
            let der = AsDer::<Pkcs8V1Der<'static>>::as_der(&key)
                .map_err(|_| PrimitiveError::Library("elliptic curve key"))?;
            return Ok(Zeroizing::new(der.as_ref().to_vec()));
        }
    }
    Err(PrimitiveError::Library("elliptic curve key generation"))
}

/// The bytes are kept for the half that agrees, which is another object of the library.
pub(super) struct Private {
    curve: &'static Curve,
    bytes: Zeroizing<Vec<u8>>,
    signer: EcdsaKeyPair,
    agreement: Lazy<PrivateKey>,
}

impl Private {
    /// The key and its SubjectPublicKeyInfo. The library checks the curve, and that the public point
    /// belongs to the scalar.
    pub(super) fn parse(spec: KeySpec, bytes: &[u8]) -> Result<(Self, Vec<u8>), PrimitiveError> {
        let curve = curve(spec)?;
        let signer = EcdsaKeyPair::from_pkcs8(curve.signing, bytes)
            .map_err(|_| PrimitiveError::InvalidMaterial)?;
        let der = signer
            .public_key()
            .as_der()
            .map_err(|_| PrimitiveError::Library("elliptic curve public key"))?;
        let bytes = Zeroizing::new(bytes.to_vec());
        Ok((Self { curve, bytes, signer, agreement: Lazy::new() }, der.as_ref().to_vec()))
    }

    pub(super) fn sign(&self, input: &Input<'_>) -> Result<Vec<u8>, PrimitiveError> {
        let signature = match input {
            Input::Message(message) => self.signer.sign(&SystemRandom::new(), message),
            Input::Digest(digest) => self.signer.sign_digest(digest),
        };
        Ok(signature.map_err(|_| PrimitiveError::Library("ECDSA signing"))?.as_ref().to_vec())
    }

    /// The x coordinate of the shared point. The library refuses a point that is not on the curve.
    pub(super) fn derive(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        // The library would read a bare point as well, overlook what follows the key, and take a curve
        // that is written out instead of named, even one without its cofactor.
        der::spki(peer, self.curve.identifier).ok_or(PrimitiveError::InvalidPublicKey)?;
        let key = self.agreement.get(|| {
            PrivateKey::from_private_key_der(self.curve.agreement, &self.bytes)
                .map_err(|_| PrimitiveError::Library("elliptic curve key"))
        })?;
        let peer = agreement::UnparsedPublicKey::new(self.curve.agreement, peer);
        agreement::agree(key, peer, PrimitiveError::InvalidPublicKey, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

pub(super) struct Public(ParsedPublicKey);

impl Public {
    pub(super) fn parse(spec: KeySpec, der: &[u8]) -> Result<Self, PrimitiveError> {
        let curve = curve(spec)?;
        der::spki(der, curve.identifier).ok_or(PrimitiveError::InvalidPublicKey)?;
        ParsedPublicKey::new(curve.verification, der)
            .map(Self)
            .map_err(|_| PrimitiveError::InvalidPublicKey)
    }

    pub(super) fn verify(&self, input: &Input<'_>, signature: &[u8]) -> Result<(), PrimitiveError> {
        match input {
            Input::Message(message) => self.0.verify_sig(message, signature),
            Input::Digest(digest) => self.0.verify_digest_sig(digest, signature),
        }
        .map_err(|_| PrimitiveError::InvalidSignature)
    }
}
