//! What is measured: the calls that the server makes of a device.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of call. Its name is the one of the command line and of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// Random bytes.
    Random,
    /// A key of 32 bytes wrapped under a root key, opened again and compared, as every wrap is.
    Wrap,
    /// The same opened.
    Unwrap,
    /// With a key in the device, as KMS's Encrypt with a key of a custom key store.
    AesGcmEncrypt,
    AesGcmDecrypt,
    HmacSha256,
    /// A signature of a digest.
    EcdsaP256,
    /// A signature of a digest, by RSA-PSS with SHA-256.
    Rsa2048Pss,
    /// A key made in the device, tried, and destroyed again.
    GenerateAes256,
    GenerateEcP256,
    GenerateRsa2048,
}

impl Mechanism {
    pub const ALL: [Self; 11] = [
        Self::Random,
        Self::Wrap,
        Self::Unwrap,
        Self::AesGcmEncrypt,
        Self::AesGcmDecrypt,
        Self::HmacSha256,
        Self::EcdsaP256,
        Self::Rsa2048Pss,
        Self::GenerateAes256,
        Self::GenerateEcP256,
        Self::GenerateRsa2048,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::AesGcmEncrypt => "aes-gcm-encrypt",
            Self::AesGcmDecrypt => "aes-gcm-decrypt",
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Rsa2048Pss => "rsa2048-pss",
            Self::GenerateAes256 => "generate-aes256",
            Self::GenerateEcP256 => "generate-ec-p256",
            Self::GenerateRsa2048 => "generate-rsa2048",
        }
    }

    /// Whether it is measured with several lengths.
    pub fn has_size(self) -> bool {
        matches!(self, Self::Random | Self::AesGcmEncrypt | Self::AesGcmDecrypt | Self::HmacSha256)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|one| one.name()).collect();
            format!("wanted one of {}, found {text:?}", names.join(", "))
        })
    }
}

/// A mechanism with one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub mechanism: Mechanism,
    /// In bytes; none where there is but one.
    pub size: Option<usize>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.size {
            Some(size) => write!(f, "{} {}", self.mechanism, size_words(size)),
            None => write!(f, "{}", self.mechanism),
        }
    }
}

/// `32 B`, `4 KiB`.
pub(super) fn size_words(size: usize) -> String {
    match size {
        1024.. if size.is_multiple_of(1024) => format!("{} KiB", size / 1024),
        _ => format!("{size} B"),
    }
}

/// `1 thread`, `4 threads`.
pub(super) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_everywhere() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
            assert_eq!(serde_json::to_value(mechanism).unwrap(), mechanism.name());
        }
        let refused = "rsa".parse::<Mechanism>().unwrap_err();
        assert!(refused.contains("rsa2048-pss") && refused.contains("found \"rsa\""), "{refused}");
    }

    #[test]
    fn a_case_reads_as_one() {
        let case = |size| Case { mechanism: Mechanism::Random, size }.to_string();
        assert_eq!(
            [case(Some(32)), case(Some(4096)), case(Some(1000)), case(None)],
            ["random 32 B", "random 4 KiB", "random 1000 B", "random"]
        );
        assert_eq!([counted(1, "thread"), counted(16, "thread")], ["1 thread", "16 threads"]);
    }
}
