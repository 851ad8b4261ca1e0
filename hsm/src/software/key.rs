//! One resident key of the software device: made from bytes, and used.

use crate::resident::public_key;
use crate::{Curve, Hash, HsmError, KeyBytes, ResidentSpec, SignatureScheme};
use aes_gcm::{Aes256Gcm, KeyInit};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self as sig, EcdsaKeyPair, KeyPair as _};
use zeroize::Zeroizing;

/// A candidate for a scalar is refused once in 2^32 times at worst; so many in a row never are.
const DRAWS: u8 = 16;

pub(super) struct Key {
    pub(super) spec: ResidentSpec,
    /// SubjectPublicKeyInfo of a pair.
    pub(super) public: Option<Vec<u8>>,
    pub(super) work: Work,
}

pub(super) enum Work {
    Aes(Box<Aes256Gcm>),
    Mac(Box<hmac::Key>),
    RsaSign(KeyPair),
    RsaDecrypt(OaepPrivateDecryptingKey),
    EcSign(EcdsaKeyPair),
    EcAgree(PrivateKey),
}

impl Key {
    /// `draw(n, out)` fills `out` with the n-th bytes of this key's own.
    pub(super) fn make(
        spec: ResidentSpec,
        draw: impl Fn(u8, &mut [u8]) -> Result<(), HsmError>,
    ) -> Result<Self, HsmError> {
        let (work, public) = match spec {
            ResidentSpec::Aes256 => {
                let mut key = Zeroizing::new([0; 32]);
                draw(0, &mut *key)?;
                let cipher = Aes256Gcm::new_from_slice(&*key).map_err(|e| refused(&e))?;
                (Work::Aes(Box::new(cipher)), None)
            }
            ResidentSpec::Hmac(hash) => {
                let mut key = Zeroizing::new(vec![0; hash.digest_len()]);
                draw(0, &mut key)?;
                (Work::Mac(Box::new(hmac::Key::new(hmac_algorithm(hash)?, &key))), None)
            }
            ResidentSpec::RsaSign(bits) => {
                let pair = rsa(bits)?;
                let public = pair.public_key().as_der().map_err(|e| refused(&e))?;
                let public = public.as_ref().to_vec();
                (Work::RsaSign(pair), Some(public))
            }
            ResidentSpec::RsaDecrypt(bits) => {
                let pair = rsa(bits)?;
                let public = pair.public_key().as_der().map_err(|e| refused(&e))?;
                let private = pair.as_der().map_err(|e| refused(&e))?;
                let private =
                    PrivateDecryptingKey::from_pkcs8(private.as_ref()).map_err(|e| refused(&e))?;
                let private = OaepPrivateDecryptingKey::new(private).map_err(|e| refused(&e))?;
                (Work::RsaDecrypt(private), Some(public.as_ref().to_vec()))
            }
            ResidentSpec::EcSign(curve) => {
                let pair = ec_signer(curve, &draw)?;
                let public = public_key::of_point(curve, pair.public_key().as_ref());
                (Work::EcSign(pair), Some(public.ok_or_else(|| refused(&"no point"))?))
            }
            ResidentSpec::EcAgree(curve) => {
                let key = ec_agreer(curve, &draw)?;
                let point = key.compute_public_key().map_err(|e| refused(&e))?;
                let public = public_key::of_point(curve, point.as_ref());
                (Work::EcAgree(key), Some(public.ok_or_else(|| refused(&"no point"))?))
            }
        };
        Ok(Self { spec, public, work })
    }

    /// The digest has been checked against the spec.
    pub(super) fn sign(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, HsmError> {
        let hash = match (scheme, self.spec) {
            (SignatureScheme::RsaPss(hash) | SignatureScheme::RsaPkcs1(hash), _) => hash,
            (SignatureScheme::Ecdsa, spec) => spec.curve().map_or(Hash::Sha256, Curve::hash),
        };
        let digest = public_key::imported(hash, digest).ok_or_else(|| refused(&"the digest"))?;
        match &self.work {
            Work::RsaSign(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(encoding(scheme)?, &digest, &mut out).map_err(|e| refused(&e))?;
                Ok(out)
            }
            Work::EcSign(pair) => {
                Ok(pair.sign_digest(&digest).map_err(|e| refused(&e))?.as_ref().to_vec())
            }
            _ => Err(refused(&"a key that does not sign")),
        }
    }
}

/// The x coordinate. The library refuses a point that is not on the curve; the caller has, too.
pub(super) fn agree(key: &PrivateKey, point: &[u8]) -> Result<KeyBytes, HsmError> {
    let peer = UnparsedPublicKey::new(key.algorithm(), point);
    agreement::agree(key, peer, refused(&"the peer's public key"), |secret| {
        Ok(KeyBytes::new(secret.to_vec()))
    })
}

fn rsa(bits: u16) -> Result<KeyPair, HsmError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        other => return Err(HsmError::Unsupported(format!("RSA keys of {other} bits"))),
    };
    KeyPair::generate(size).map_err(|e| refused(&e))
}

fn encoding(scheme: SignatureScheme) -> Result<&'static dyn sig::RsaEncoding, HsmError> {
    Ok(match scheme {
        SignatureScheme::RsaPss(Hash::Sha256) => &sig::RSA_PSS_SHA256,
        SignatureScheme::RsaPss(Hash::Sha384) => &sig::RSA_PSS_SHA384,
        SignatureScheme::RsaPss(Hash::Sha512) => &sig::RSA_PSS_SHA512,
        SignatureScheme::RsaPkcs1(Hash::Sha256) => &sig::RSA_PKCS1_SHA256,
        SignatureScheme::RsaPkcs1(Hash::Sha384) => &sig::RSA_PKCS1_SHA384,
        SignatureScheme::RsaPkcs1(Hash::Sha512) => &sig::RSA_PKCS1_SHA512,
        other => return Err(refused(&format!("{other:?}"))),
    })
}

fn hmac_algorithm(hash: Hash) -> Result<hmac::Algorithm, HsmError> {
    match hash {
        Hash::Sha1 => Err(HsmError::Unsupported("HMAC with SHA-1".into())),
        Hash::Sha224 => Ok(hmac::HMAC_SHA224),
        Hash::Sha256 => Ok(hmac::HMAC_SHA256),
        Hash::Sha384 => Ok(hmac::HMAC_SHA384),
        Hash::Sha512 => Ok(hmac::HMAC_SHA512),
    }
}

/// FIPS 186-5, A.2.2: draws until a candidate is between 1 and the order of the curve.
fn drawn<T>(
    curve: Curve,
    draw: impl Fn(u8, &mut [u8]) -> Result<(), HsmError>,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, HsmError> {
    let mut scalar = Zeroizing::new(vec![0; curve.scalar_len()]);
    for n in 0..DRAWS {
        draw(n, &mut scalar)?;
        if let (Curve::P521, Some(top)) = (curve, scalar.first_mut()) {
            *top &= 1;
        }
        if let Some(key) = parse(&scalar) {
            return Ok(key);
        }
    }
    Err(refused(&"no scalar was found"))
}

fn ec_agreer(
    curve: Curve,
    draw: impl Fn(u8, &mut [u8]) -> Result<(), HsmError>,
) -> Result<PrivateKey, HsmError> {
    let algorithm = match curve {
        Curve::P256 => &agreement::ECDH_P256,
        Curve::P384 => &agreement::ECDH_P384,
        Curve::P521 => &agreement::ECDH_P521,
        Curve::Secp256k1 => return Err(HsmError::Unsupported("ECDH on Secp256k1".into())),
    };
    drawn(curve, draw, |scalar| PrivateKey::from_private_key(algorithm, scalar).ok())
}

fn ec_signer(
    curve: Curve,
    draw: impl Fn(u8, &mut [u8]) -> Result<(), HsmError>,
) -> Result<EcdsaKeyPair, HsmError> {
    let algorithm = match curve {
        Curve::P256 => &sig::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &sig::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &sig::ECDSA_P521_SHA512_ASN1_SIGNING,
        Curve::Secp256k1 => &sig::ECDSA_P256K1_SHA256_ASN1_SIGNING,
    };
    drawn(curve, draw, |scalar| {
        let der = private_key_der(curve, scalar);
        EcdsaKeyPair::from_private_key_der(algorithm, &der).ok()
    })
}

/// ECPrivateKey (RFC 5915, 3) without the public key, which the library computes.
fn private_key_der(curve: Curve, scalar: &[u8]) -> Zeroizing<Vec<u8>> {
    use crate::resident::der::{INTEGER, OCTET_STRING, element, sequence};
    /// [0] EXPLICIT.
    const PARAMETERS: u8 = 0xa0;
    let scalar = Zeroizing::new(element(OCTET_STRING, &[scalar]));
    let parameters = element(PARAMETERS, &[curve.oid()]);
    Zeroizing::new(sequence(&[&element(INTEGER, &[&[1]]), &scalar, &parameters]))
}

fn refused(what: &dyn std::fmt::Display) -> HsmError {
    HsmError::Refused(format!("the software device: {what}"))
}
