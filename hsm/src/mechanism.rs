//! How a device wraps keys.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a device wraps. The number is in every wrapped key and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// AES-256-GCM with associated data, inside the device: format 01, no wrapping key. Format 02
    /// only where the device makes an IV that format 01 has no room for.
    AesGcm = 0,
    /// RFC 5649 (CKM_AES_KEY_WRAP_KWP).
    AesKwp = 1,
    /// RFC 3394 (CKM_AES_KEY_WRAP).
    AesKw = 2,
    /// AES-256-CBC, then HMAC-SHA-256 with a second key in the device.
    AesCbcHmac = 3,
    /// RSA-OAEP with SHA-256 and MGF1 with SHA-256.
    RsaOaepSha256 = 4,
    /// RSA-OAEP with SHA-1, for devices that know no other.
    RsaOaepSha1 = 5,
    /// An object sealed in a TPM 2.0.
    TpmSeal = 6,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AesGcm => "aes-gcm",
            Self::AesKwp => "aes-kwp",
            Self::AesKw => "aes-kw",
            Self::AesCbcHmac => "aes-cbc-hmac",
            Self::RsaOaepSha256 => "rsa-oaep-sha256",
            Self::RsaOaepSha1 => "rsa-oaep-sha1",
            Self::TpmSeal => "tpm-seal",
        })
    }
}
