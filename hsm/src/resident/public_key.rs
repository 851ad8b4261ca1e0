//! Public halves of resident keys: written from what a device says, read strictly, and used in
//! this process to see that the private half in the device works.

use super::{Curve, Hash, SignatureScheme, der};
use crate::HsmError;
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    self as sig, EcdsaVerificationAlgorithm, ParsedPublicKey, VerificationAlgorithm,
};

/// rsaEncryption and its NULL (RFC 8017, A.1).
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

impl Curve {
    /// A coordinate or a scalar, in bytes.
    pub(crate) fn scalar_len(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The name of the curve as an OBJECT IDENTIFIER: its whole element. What CKA_EC_PARAMS is.
    pub(crate) fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
            Self::P384 => b"\x06\x05\x2b\x81\x04\x00\x22",
            Self::P521 => b"\x06\x05\x2b\x81\x04\x00\x23",
            Self::Secp256k1 => b"\x06\x05\x2b\x81\x04\x00\x0a",
        }
    }

    /// The hash of a digest that a key on this curve signs.
    pub fn hash(self) -> Hash {
        match self {
            Self::P256 | Self::Secp256k1 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }

    /// The content of a key's AlgorithmIdentifier: id-ecPublicKey and the name of the curve
    /// (RFC 5480, 2.1.1).
    fn algorithm(self) -> Vec<u8> {
        [b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", self.oid()].concat()
    }

    fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &sig::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &sig::ECDSA_P384_SHA384_ASN1,
            Self::P521 => &sig::ECDSA_P521_SHA512_ASN1,
            Self::Secp256k1 => &sig::ECDSA_P256K1_SHA256_ASN1,
        }
    }
}

/// SubjectPublicKeyInfo of an RSA key; both big endian.
pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = der::sequence(&[&der::positive(modulus), &der::positive(exponent)]);
    der::public_key_info(RSA, &key)
}

/// The modulus without zeros in front; None for what is no RSA key.
pub(crate) fn rsa_modulus(info: &[u8]) -> Option<&[u8]> {
    Some(der::two_integers(der::public_key(info, RSA)?)?.0)
}

/// Its length in bits.
#[cfg(any(test, feature = "suite"))]
pub(crate) fn rsa_bits(info: &[u8]) -> Option<usize> {
    let modulus = rsa_modulus(info)?;
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// SubjectPublicKeyInfo of a point as a token gives it (CKA_EC_POINT): uncompressed (SEC 1,
/// 2.3.3), in an OCTET STRING as PKCS#11 wants it or bare as some tokens have it. None if it is
/// no point of this curve.
pub(crate) fn of_point(curve: Curve, point: &[u8]) -> Option<Vec<u8>> {
    let len = 1 + 2 * curve.scalar_len();
    let bare = if point.len() == len { point } else { der::whole(point, der::OCTET_STRING)? };
    let info = der::public_key_info(&curve.algorithm(), bare);
    self::point(curve, &info).is_some().then_some(info)
}

/// The point of a public key on this curve, uncompressed. None for another curve, for a point
/// that is not on it (with which a device would tell its key bit by bit: Antipa et al. 2003), for
/// the point at infinity, and for any other encoding than RFC 5480's.
pub(crate) fn point(curve: Curve, info: &[u8]) -> Option<&[u8]> {
    let point = der::public_key(info, &curve.algorithm())?;
    let is_uncompressed = point.len() == 1 + 2 * curve.scalar_len() && point.first() == Some(&4);
    // Parsing multiplies nothing; it checks the equation of the curve.
    (is_uncompressed && ParsedPublicKey::new(curve.verification(), point).is_ok()).then_some(point)
}

/// Whether a signature of a digest is this public key's; false also for keys and digests that do
/// not fit.
pub(crate) fn verifies(
    info: &[u8],
    curve: Option<Curve>,
    scheme: SignatureScheme,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    let algorithm: Option<&'static dyn VerificationAlgorithm> = match (scheme, curve) {
        (SignatureScheme::Ecdsa, Some(curve)) => Some(curve.verification()),
        (SignatureScheme::RsaPss(Hash::Sha256), None) => Some(&sig::RSA_PSS_2048_8192_SHA256),
        (SignatureScheme::RsaPss(Hash::Sha384), None) => Some(&sig::RSA_PSS_2048_8192_SHA384),
        (SignatureScheme::RsaPss(Hash::Sha512), None) => Some(&sig::RSA_PSS_2048_8192_SHA512),
        (SignatureScheme::RsaPkcs1(Hash::Sha256), None) => Some(&sig::RSA_PKCS1_2048_8192_SHA256),
        (SignatureScheme::RsaPkcs1(Hash::Sha384), None) => Some(&sig::RSA_PKCS1_2048_8192_SHA384),
        (SignatureScheme::RsaPkcs1(Hash::Sha512), None) => Some(&sig::RSA_PKCS1_2048_8192_SHA512),
        _ => None,
    };
    let hash = match (scheme, curve) {
        (SignatureScheme::RsaPss(hash) | SignatureScheme::RsaPkcs1(hash), _) => Some(hash),
        (SignatureScheme::Ecdsa, curve) => curve.map(Curve::hash),
    };
    let parts = hash.and_then(|hash| imported(hash, digest)).zip(algorithm);
    parts.is_some_and(|(digest, algorithm)| {
        ParsedPublicKey::new(algorithm, info)
            .is_ok_and(|key| key.verify_digest_sig(&digest, signature).is_ok())
    })
}

/// RSA-OAEP with the public half, no label.
pub(crate) fn encrypt_oaep(info: &[u8], hash: Hash, plaintext: &[u8]) -> Result<Vec<u8>, HsmError> {
    let refused = || HsmError::Refused("RSA-OAEP: the public key or the plaintext is unfit".into());
    let key = PublicEncryptingKey::from_der(info).map_err(|_| refused())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| refused())?;
    let mut out = vec![0; key.ciphertext_size()];
    let out = key.encrypt(oaep(hash)?, plaintext, &mut out, None).map_err(|_| refused())?;
    Ok(out.to_vec())
}

/// The OAEP of KMS: MGF1 with the same hash.
pub(crate) fn oaep(hash: Hash) -> Result<&'static OaepAlgorithm, HsmError> {
    match hash {
        Hash::Sha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        Hash::Sha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        other => {
            Err(HsmError::Refused(format!("RSA-OAEP: wanted Sha1 or Sha256, found {other:?}")))
        }
    }
}

/// A digest in AWS-LC's words; None if it is not as long as the hash.
pub(crate) fn imported(hash: Hash, bytes: &[u8]) -> Option<Digest> {
    let algorithm = match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha224 => &digest::SHA224,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    Digest::import_less_safe(bytes, algorithm).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair};

    const CURVES: [(Curve, &sig::EcdsaSigningAlgorithm); 4] = [
        (Curve::P256, &sig::ECDSA_P256_SHA256_ASN1_SIGNING),
        (Curve::P384, &sig::ECDSA_P384_SHA384_ASN1_SIGNING),
        (Curve::P521, &sig::ECDSA_P521_SHA512_ASN1_SIGNING),
        (Curve::Secp256k1, &sig::ECDSA_P256K1_SHA256_ASN1_SIGNING),
    ];

    #[test]
    fn a_point_is_read_in_both_forms_and_written_as_the_library_writes_it() {
        for (curve, algorithm) in CURVES {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            let bare = pair.public_key().as_ref();
            let info = of_point(curve, bare).unwrap();
            assert_eq!(info, pair.public_key().as_der().unwrap().as_ref(), "{curve:?}");
            let wrapped = der::element(der::OCTET_STRING, &[bare]);
            assert_eq!(of_point(curve, &wrapped), Some(info.clone()));
            assert_eq!(point(curve, &info), Some(bare));
        }
    }

    /// Each coordinate moved by one; infinity; compressed; another curve; zeros; too long.
    #[test]
    fn what_is_no_point_of_the_curve_is_refused() {
        for (curve, algorithm) in CURVES {
            let pair = EcdsaKeyPair::generate(algorithm).unwrap();
            let good = pair.public_key().as_ref();
            for n in [1, curve.scalar_len(), 2 * curve.scalar_len()] {
                let mut bad = good.to_vec();
                bad[n] ^= 1;
                assert_eq!(of_point(curve, &bad), None, "{curve:?} byte {n}");
            }
            let zeros = [&[4][..], &vec![0; 2 * curve.scalar_len()]].concat();
            let compressed = [&[2][..], &good[1..=curve.scalar_len()]].concat();
            for bad in [&zeros[..], &compressed, &[0], &[], &[good, &[0]].concat()] {
                assert_eq!(of_point(curve, bad), None, "{curve:?} {bad:?}");
                let info = der::public_key_info(&curve.algorithm(), bad);
                assert_eq!(point(curve, &info), None);
            }
            let info = of_point(curve, good).unwrap();
            for (other, _) in CURVES.iter().filter(|(other, _)| *other != curve) {
                assert_eq!(point(*other, &info), None, "{curve:?} as {other:?}");
                assert_eq!(of_point(*other, good), None);
            }
        }
    }

    #[test]
    fn the_length_of_a_modulus_is_counted_to_the_bit() {
        assert_eq!(rsa_bits(&of_rsa(&[0x80; 256], &[1, 0, 1])), Some(2048));
        assert_eq!(rsa_bits(&of_rsa(&[0x40; 256], &[1, 0, 1])), Some(2047));
        assert_eq!(rsa_bits(b"none"), None);
    }
}
