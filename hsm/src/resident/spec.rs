//! What kinds of resident keys there are, and what each may be asked.

use super::{ResidentId, SignatureScheme};
use crate::HsmError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest message of a MAC, in bytes: four times what KMS's GenerateMac takes.
pub const MAX_MESSAGE_LEN: usize = 16 * 1024;

/// What kind of key, and its one use: a key that signs never decrypts, as in KMS (KeyUsage) and in
/// SP 800-57, part 1, 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResidentSpec {
    /// For encryption with AES-256-GCM.
    Aes256,
    /// A generic secret as long as the hash, for HMAC with it; not SHA-1.
    Hmac(Hash),
    /// With a modulus of so many bits (2048, 3072 or 4096), for signatures.
    RsaSign(u16),
    /// Likewise, for decryption with RSA-OAEP.
    RsaDecrypt(u16),
    /// For ECDSA.
    EcSign(Curve),
    /// For ECDH; not on secp256k1.
    EcAgree(Curve),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hash {
    /// For RSA-OAEP only (KMS: RSAES_OAEP_SHA_1).
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// In bytes.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl ResidentSpec {
    /// Every kind there is. A device may have fewer.
    pub const ALL: [Self; 18] = [
        Self::Aes256,
        Self::Hmac(Hash::Sha224),
        Self::Hmac(Hash::Sha256),
        Self::Hmac(Hash::Sha384),
        Self::Hmac(Hash::Sha512),
        Self::RsaSign(2048),
        Self::RsaSign(3072),
        Self::RsaSign(4096),
        Self::RsaDecrypt(2048),
        Self::RsaDecrypt(3072),
        Self::RsaDecrypt(4096),
        Self::EcSign(Curve::P256),
        Self::EcSign(Curve::P384),
        Self::EcSign(Curve::P521),
        Self::EcSign(Curve::Secp256k1),
        Self::EcAgree(Curve::P256),
        Self::EcAgree(Curve::P384),
        Self::EcAgree(Curve::P521),
    ];

    /// Whether it is a key pair, so that it has a public half.
    pub fn is_pair(self) -> bool {
        !matches!(self, Self::Aes256 | Self::Hmac(_))
    }

    pub(crate) fn curve(self) -> Option<Curve> {
        match self {
            Self::EcSign(curve) | Self::EcAgree(curve) => Some(curve),
            _ => None,
        }
    }

    /// Refuses what a device does not make, before anything is made.
    pub(crate) fn check_offered(self, offered: &[Self]) -> Result<(), HsmError> {
        if offered.contains(&self) {
            return Ok(());
        }
        let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
        let offered = if offered.is_empty() { "none".into() } else { offered.join(", ") };
        Err(HsmError::Unsupported(format!("a resident key for {self}; it has: {offered}")))
    }

    /// Refuses a digest or a scheme that a key of this kind does not sign.
    pub(crate) fn check_signing(
        self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<(), HsmError> {
        let hash = match (self, scheme) {
            (Self::EcSign(curve), SignatureScheme::Ecdsa) => curve.hash(),
            (Self::RsaSign(_), SignatureScheme::RsaPss(hash) | SignatureScheme::RsaPkcs1(hash))
                if !matches!(hash, Hash::Sha1 | Hash::Sha224) =>
            {
                hash
            }
            _ => return Err(self.wrong_use(id, &format!("signatures by {scheme:?}"))),
        };
        if digest.len() != hash.digest_len() {
            return Err(HsmError::Refused(format!(
                "digest to sign: wanted {} bytes for {hash:?}, found {}",
                hash.digest_len(),
                digest.len()
            )));
        }
        Ok(())
    }

    pub(crate) fn check_mac(
        self,
        id: &ResidentId,
        hash: Hash,
        message: &[u8],
    ) -> Result<(), HsmError> {
        if self != Self::Hmac(hash) {
            return Err(self.wrong_use(id, &Self::Hmac(hash).to_string()));
        }
        if message.len() > MAX_MESSAGE_LEN {
            return Err(HsmError::Refused(format!(
                "message of a MAC: wanted at most {MAX_MESSAGE_LEN} bytes, found {}",
                message.len()
            )));
        }
        Ok(())
    }

    pub(crate) fn wrong_use(self, id: &ResidentId, wanted: &str) -> HsmError {
        HsmError::WrongUse { id: id.clone(), wanted: wanted.into(), found: self.to_string() }
    }
}

impl fmt::Display for ResidentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aes256 => f.write_str("AES-256-GCM"),
            Self::Hmac(hash) => write!(f, "HMAC with {hash:?}"),
            Self::RsaSign(bits) => write!(f, "RSA-{bits} signatures"),
            Self::RsaDecrypt(bits) => write!(f, "RSA-{bits} decryption"),
            Self::EcSign(curve) => write!(f, "ECDSA on {curve:?}"),
            Self::EcAgree(curve) => write!(f, "ECDH on {curve:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_are_different_and_named_differently() {
        let all: BTreeSet<ResidentSpec> = ResidentSpec::ALL.into_iter().collect();
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!((all.len(), names.len()), (ResidentSpec::ALL.len(), ResidentSpec::ALL.len()));
    }

    #[test]
    fn a_key_is_asked_only_what_it_is_for() {
        let id = ResidentId::new("k");
        let ecdsa = SignatureScheme::Ecdsa;
        let pss = SignatureScheme::RsaPss;
        for (spec, scheme, len, good) in [
            (ResidentSpec::EcSign(Curve::P256), ecdsa, 32, true),
            (ResidentSpec::EcSign(Curve::P256), ecdsa, 48, false),
            (ResidentSpec::EcSign(Curve::P521), ecdsa, 64, true),
            (ResidentSpec::EcSign(Curve::P384), pss(Hash::Sha384), 48, false),
            (ResidentSpec::EcAgree(Curve::P256), ecdsa, 32, false),
            (ResidentSpec::RsaSign(2048), pss(Hash::Sha256), 32, true),
            (ResidentSpec::RsaSign(2048), pss(Hash::Sha256), 31, false),
            (ResidentSpec::RsaSign(2048), pss(Hash::Sha1), 20, false),
            (ResidentSpec::RsaSign(2048), ecdsa, 32, false),
            (ResidentSpec::RsaDecrypt(2048), pss(Hash::Sha256), 32, false),
            (ResidentSpec::Aes256, ecdsa, 32, false),
        ] {
            let checked = spec.check_signing(&id, scheme, &vec![1; len]);
            assert_eq!(checked.is_ok(), good, "{spec} {scheme:?} {len}: {checked:?}");
        }
        let hmac = ResidentSpec::Hmac(Hash::Sha384);
        assert_eq!(hmac.check_mac(&id, Hash::Sha384, b""), Ok(()));
        assert!(hmac.check_mac(&id, Hash::Sha512, b"").is_err());
        assert!(hmac.check_mac(&id, Hash::Sha384, &vec![0; MAX_MESSAGE_LEN + 1]).is_err());
        assert!(ResidentSpec::Aes256.check_mac(&id, Hash::Sha384, b"").is_err());
    }
}
