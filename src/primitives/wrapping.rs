//! How imported key material travels: wrapped for an RSA key that GetParametersForImport gave out.
//!
//! ```text
//! RSAES_OAEP_*          RSA-OAEP(material)
//! RSA_AES_KEY_WRAP_*    RSA-OAEP(K), as long as the modulus ‖ AES-KWP(K, material)      K: AES-256
//! ```
//! The second is PKCS#11's CKM_RSA_AES_KEY_WRAP. The wrapping of RSAES_PKCS1_V1_5, which AWS no longer
//! takes, and of SM2 are no values here.
use super::names::names;
use super::{EncryptionAlgorithm, KeySpec, PrimitiveError, PrivateKey, rsa};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use zeroize::Zeroizing;

names! {
    WrappingAlgorithm {
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        RsaAesKeyWrapSha1 = "RSA_AES_KEY_WRAP_SHA_1",
        RsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256",
    }
}

names! {
    WrappingKeySpec {
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
    }
}

impl WrappingKeySpec {
    pub const fn key_spec(self) -> KeySpec {
        match self {
            Self::Rsa2048 => KeySpec::Rsa2048,
            Self::Rsa3072 => KeySpec::Rsa3072,
            Self::Rsa4096 => KeySpec::Rsa4096,
        }
    }
}

impl WrappingAlgorithm {
    /// The encryption under the RSA key, and whether an AES key stands between.
    const fn parts(self) -> (EncryptionAlgorithm, bool) {
        match self {
            Self::RsaesOaepSha1 => (EncryptionAlgorithm::RsaesOaepSha1, false),
            Self::RsaesOaepSha256 => (EncryptionAlgorithm::RsaesOaepSha256, false),
            Self::RsaAesKeyWrapSha1 => (EncryptionAlgorithm::RsaesOaepSha1, true),
            Self::RsaAesKeyWrapSha256 => (EncryptionAlgorithm::RsaesOaepSha256, true),
        }
    }
}

/// Unwraps imported material. Whatever is wrong with it, the answer is `InvalidCiphertext`.
pub fn unwrap(
    key: &PrivateKey,
    algorithm: WrappingAlgorithm,
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PrimitiveError> {
    if !key.spec().is_rsa() {
        return Err(PrimitiveError::WrongAlgorithm);
    }
    let (encryption, with_aes) = algorithm.parts();
    if !with_aes {
        return key.decrypt(encryption, wrapped);
    }
    let invalid = PrimitiveError::InvalidCiphertext;
    let (wrapping, wrapped) =
        wrapped.split_at_checked(rsa::modulus_bytes(key.spec())).ok_or(invalid)?;
    let wrapping = key.decrypt(encryption, wrapping)?;
    // Refuses any other length than 32 bytes.
    let wrapping = AesKek::new(&AES_256, &wrapping).map_err(|_| invalid)?;
    let mut material = Zeroizing::new(vec![0; wrapped.len()]);
    let length = wrapping.unwrap_with_padding(wrapped, &mut material).map_err(|_| invalid)?.len();
    material.truncate(length);
    Ok(material)
}
