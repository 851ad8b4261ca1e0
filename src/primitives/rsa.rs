//! RSA: signatures with PKCS#1 v1.5 and PSS (the salt as long as the digest), encryption with OAEP
//! (MGF1 with the same hash, empty label). All of it by AWS-LC, which blinds its private operations.
use super::lazy::Lazy;
use super::message::Input;
use super::{EncryptionAlgorithm, KeySpec, PrimitiveError, SigningAlgorithm, der};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{self as sig, KeyPair as _, ParsedPublicKey};
use zeroize::Zeroizing;

/// F4, and the smallest exponent accepted: smaller ones make known mistakes in padding exploitable.
const SMALLEST_EXPONENT: [u8; 3] = [1, 0, 1];
/// Beyond this an exponent only makes verification slow.
const LONGEST_EXPONENT_BYTES: usize = 4;

/// The modulus in bytes; 0 for what is not RSA.
pub(super) const fn modulus_bytes(spec: KeySpec) -> usize {
    match spec {
        KeySpec::Rsa2048 => 256,
        KeySpec::Rsa3072 => 384,
        KeySpec::Rsa4096 => 512,
        _ => 0,
    }
}

/// What OAEP leaves of the modulus for the plaintext.
pub(super) const fn max_plaintext(spec: KeySpec, algorithm: EncryptionAlgorithm) -> usize {
    let hash = match algorithm {
        EncryptionAlgorithm::RsaesOaepSha1 => 20,
        EncryptionAlgorithm::RsaesOaepSha256 => 32,
        EncryptionAlgorithm::SymmetricDefault => return 0,
    };
    modulus_bytes(spec).saturating_sub(2 * hash + 2)
}

pub(super) fn generate(spec: KeySpec) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    let size = match spec {
        KeySpec::Rsa2048 => KeySize::Rsa2048,
        KeySpec::Rsa3072 => KeySize::Rsa3072,
        KeySpec::Rsa4096 => KeySize::Rsa4096,
        _ => return Err(PrimitiveError::WrongAlgorithm),
    };
    let failed = |_| PrimitiveError::Library("RSA key generation");
    let der = KeyPair::generate(size).map_err(failed)?.as_der().map_err(failed)?;
    Ok(Zeroizing::new(der.as_ref().to_vec()))
}

/// The bytes are kept for the half that decrypts, which is another object of the library: most keys
/// need one of the two only, and each costs a check of the whole key.
pub(super) struct Private {
    bytes: Zeroizing<Vec<u8>>,
    signer: KeyPair,
    decrypter: Lazy<OaepPrivateDecryptingKey>,
}

impl Private {
    /// The key and its SubjectPublicKeyInfo. The library checks that the parts belong together.
    pub(super) fn parse(spec: KeySpec, bytes: &[u8]) -> Result<(Self, Vec<u8>), PrimitiveError> {
        let signer = KeyPair::from_pkcs8(bytes).map_err(|_| PrimitiveError::InvalidMaterial)?;
        let public = signer.public_key();
        check(
            spec,
            public.modulus().big_endian_without_leading_zero(),
            public.exponent().big_endian_without_leading_zero(),
        )
        .ok_or(PrimitiveError::InvalidMaterial)?;
        let der = public.as_der().map_err(|_| PrimitiveError::Library("RSA public key"))?;
        let bytes = Zeroizing::new(bytes.to_vec());
        Ok((Self { bytes, signer, decrypter: Lazy::new() }, der.as_ref().to_vec()))
    }

    pub(super) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        input: &Input<'_>,
    ) -> Result<Vec<u8>, PrimitiveError> {
        use SigningAlgorithm::*;
        let encoding: &'static dyn sig::RsaEncoding = match algorithm {
            RsassaPssSha256 => &sig::RSA_PSS_SHA256,
            RsassaPssSha384 => &sig::RSA_PSS_SHA384,
            RsassaPssSha512 => &sig::RSA_PSS_SHA512,
            RsassaPkcs1V15Sha256 => &sig::RSA_PKCS1_SHA256,
            RsassaPkcs1V15Sha384 => &sig::RSA_PKCS1_SHA384,
            RsassaPkcs1V15Sha512 => &sig::RSA_PKCS1_SHA512,
            _ => return Err(PrimitiveError::WrongAlgorithm),
        };
        let mut out = vec![0; self.signer.public_modulus_len()];
        match input {
            Input::Message(message) => {
                self.signer.sign(encoding, &SystemRandom::new(), message, &mut out)
            }
            Input::Digest(digest) => self.signer.sign_digest(encoding, digest, &mut out),
        }
        .map_err(|_| PrimitiveError::Library("RSA signing"))?;
        Ok(out)
    }

    pub(super) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
        let algorithm = oaep(algorithm)?;
        let key = self.decrypter.get(|| {
            PrivateDecryptingKey::from_pkcs8(&self.bytes)
                .ok()
                .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
                .ok_or(PrimitiveError::Library("RSA key"))
        })?;
        let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
        let length = key
            .decrypt(algorithm, ciphertext, &mut out, None)
            .map_err(|_| PrimitiveError::InvalidCiphertext)?
            .len();
        out.truncate(length);
        Ok(out)
    }
}

pub(super) struct Public {
    der: Vec<u8>,
    /// One for each algorithm, in the order of `ALGORITHMS`: the library binds a key to one.
    verifiers: [Lazy<ParsedPublicKey>; 6],
    encrypter: Lazy<OaepPublicEncryptingKey>,
}

const ALGORITHMS: [(SigningAlgorithm, &sig::RsaParameters); 6] = [
    (SigningAlgorithm::RsassaPssSha256, &sig::RSA_PSS_2048_8192_SHA256),
    (SigningAlgorithm::RsassaPssSha384, &sig::RSA_PSS_2048_8192_SHA384),
    (SigningAlgorithm::RsassaPssSha512, &sig::RSA_PSS_2048_8192_SHA512),
    (SigningAlgorithm::RsassaPkcs1V15Sha256, &sig::RSA_PKCS1_2048_8192_SHA256),
    (SigningAlgorithm::RsassaPkcs1V15Sha384, &sig::RSA_PKCS1_2048_8192_SHA384),
    (SigningAlgorithm::RsassaPkcs1V15Sha512, &sig::RSA_PKCS1_2048_8192_SHA512),
];

impl Public {
    pub(super) fn parse(spec: KeySpec, der: &[u8]) -> Result<Self, PrimitiveError> {
        let invalid = PrimitiveError::InvalidPublicKey;
        let mut parts =
            der::spki_bits(der).and_then(|bits| der::whole(bits, der::SEQUENCE)).ok_or(invalid)?;
        let modulus = der::take(&mut parts, der::INTEGER).ok_or(invalid)?;
        let exponent = der::whole(parts, der::INTEGER).ok_or(invalid)?;
        // A DER integer with its highest bit set has a zero before it, as a modulus has.
        let modulus = modulus.strip_prefix(&[0]).ok_or(invalid)?;
        check(spec, modulus, exponent.strip_prefix(&[0]).unwrap_or(exponent)).ok_or(invalid)?;
        PublicEncryptingKey::from_der(der).map_err(|_| invalid)?;
        Ok(Self { der: der.to_vec(), verifiers: Default::default(), encrypter: Lazy::new() })
    }

    pub(super) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        input: &Input<'_>,
        signature: &[u8],
    ) -> Result<(), PrimitiveError> {
        let (key, parameters) = self
            .verifiers
            .iter()
            .zip(ALGORITHMS)
            .find_map(|(key, (name, parameters))| (name == algorithm).then_some((key, parameters)))
            .ok_or(PrimitiveError::WrongAlgorithm)?;
        let key = key.get(|| {
            ParsedPublicKey::new(parameters, &self.der)
                .map_err(|_| PrimitiveError::Library("RSA public key"))
        })?;
        match input {
            Input::Message(message) => key.verify_sig(message, signature),
            Input::Digest(digest) => key.verify_digest_sig(digest, signature),
        }
        .map_err(|_| PrimitiveError::InvalidSignature)
    }

    /// The caller has checked the plaintext's length.
    pub(super) fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, PrimitiveError> {
        let algorithm = oaep(algorithm)?;
        let key = self.encrypter.get(|| {
            PublicEncryptingKey::from_der(&self.der)
                .ok()
                .and_then(|key| OaepPublicEncryptingKey::new(key).ok())
                .ok_or(PrimitiveError::Library("RSA public key"))
        })?;
        let mut out = vec![0; key.ciphertext_size()];
        let length = key
            .encrypt(algorithm, plaintext, &mut out, None)
            .map_err(|_| PrimitiveError::Library("RSA encryption"))?
            .len();
        out.truncate(length);
        Ok(out)
    }
}

fn oaep(algorithm: EncryptionAlgorithm) -> Result<&'static OaepAlgorithm, PrimitiveError> {
    match algorithm {
        EncryptionAlgorithm::RsaesOaepSha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::RsaesOaepSha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        EncryptionAlgorithm::SymmetricDefault => Err(PrimitiveError::WrongAlgorithm),
    }
}

/// Exactly the modulus size of the spec, to the bit, and an exponent between 65537 and 2^32.
fn check(spec: KeySpec, modulus: &[u8], exponent: &[u8]) -> Option<()> {
    let sized = modulus.len() == modulus_bytes(spec) && modulus.first()? & 0x80 != 0;
    let length = exponent.len();
    let fair = match length.cmp(&SMALLEST_EXPONENT.len()) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => exponent >= SMALLEST_EXPONENT.as_slice(),
        std::cmp::Ordering::Greater => length <= LONGEST_EXPONENT_BYTES,
    };
    (sized && fair).then_some(())
}
