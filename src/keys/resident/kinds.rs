//! Which resident key a key spec and its usage are. AWS has only `SYMMETRIC_DEFAULT` in custom key
//! stores; the others are this server's extension.
use crate::primitives::{EncryptionAlgorithm, KeySpec, KeyUsage, MacAlgorithm, SigningAlgorithm};
use claviger_hsm::{Curve, Hash, ResidentSpec, SignatureScheme};

/// None if no device makes such keys.
pub(super) fn resident(spec: KeySpec, usage: KeyUsage) -> Option<ResidentSpec> {
    use KeySpec::*;
    let curve = match spec {
        EccNistP256 => Some(Curve::P256),
        EccNistP384 => Some(Curve::P384),
        EccNistP521 => Some(Curve::P521),
        EccSecgP256K1 => Some(Curve::Secp256k1),
        _ => None,
    };
    let bits = match spec {
        Rsa2048 => Some(2048),
        Rsa3072 => Some(3072),
        Rsa4096 => Some(4096),
        _ => None,
    };
    match usage {
        KeyUsage::EncryptDecrypt if spec.is_symmetric() => Some(ResidentSpec::Aes256),
        KeyUsage::EncryptDecrypt => bits.map(ResidentSpec::RsaDecrypt),
        KeyUsage::SignVerify => bits.map(ResidentSpec::RsaSign).or(curve.map(ResidentSpec::EcSign)),
        KeyUsage::KeyAgreement => curve.map(ResidentSpec::EcAgree),
        KeyUsage::GenerateVerifyMac => {
            let algorithm = spec.mac_algorithms().first()?;
            Some(ResidentSpec::Hmac(mac_hash(*algorithm)))
        }
        KeyUsage::EncapsulateDecapsulate => None,
    }
}

pub(super) fn mac_hash(algorithm: MacAlgorithm) -> Hash {
    match algorithm {
        MacAlgorithm::HmacSha224 => Hash::Sha224,
        MacAlgorithm::HmacSha256 => Hash::Sha256,
        MacAlgorithm::HmacSha384 => Hash::Sha384,
        MacAlgorithm::HmacSha512 => Hash::Sha512,
    }
}

pub(super) fn scheme(algorithm: SigningAlgorithm) -> Option<SignatureScheme> {
    use SigningAlgorithm::*;
    Some(match algorithm {
        RsassaPssSha256 => SignatureScheme::RsaPss(Hash::Sha256),
        RsassaPssSha384 => SignatureScheme::RsaPss(Hash::Sha384),
        RsassaPssSha512 => SignatureScheme::RsaPss(Hash::Sha512),
        RsassaPkcs1V15Sha256 => SignatureScheme::RsaPkcs1(Hash::Sha256),
        RsassaPkcs1V15Sha384 => SignatureScheme::RsaPkcs1(Hash::Sha384),
        RsassaPkcs1V15Sha512 => SignatureScheme::RsaPkcs1(Hash::Sha512),
        EcdsaSha256 | EcdsaSha384 | EcdsaSha512 => SignatureScheme::Ecdsa,
        MlDsaShake256 | Ed25519Sha512 | Ed25519PhSha512 => return None,
    })
}

/// The hash of RSA-OAEP. `SYMMETRIC_DEFAULT` has none.
pub(super) fn oaep_hash(algorithm: EncryptionAlgorithm) -> Option<Hash> {
    match algorithm {
        EncryptionAlgorithm::SymmetricDefault => None,
        EncryptionAlgorithm::RsaesOaepSha1 => Some(Hash::Sha1),
        EncryptionAlgorithm::RsaesOaepSha256 => Some(Hash::Sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_resident_kind_is_of_one_spec_and_usage() {
        let mut found = BTreeSet::new();
        for spec in KeySpec::ALL {
            for usage in spec.usages() {
                if let Some(kind) = resident(*spec, *usage) {
                    assert!(found.insert(kind), "{spec} {usage}: {kind} is there twice");
                    assert_eq!(kind.is_pair(), spec.is_asymmetric());
                    let schemes = spec.signing_algorithms().iter();
                    assert!(
                        *usage != KeyUsage::SignVerify
                            || schemes.copied().all(|a| scheme(a).is_some())
                    );
                }
            }
        }
        assert_eq!(found, ResidentSpec::ALL.into_iter().collect());
    }
}
