//! A request quota and its name in the configuration, and the rate that it allows.
use super::figures::FIGURES;
use crate::primitives::KeySpec;
use crate::types::Region;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// The slowest rate: a request in a thousand seconds. AWS's slowest ever was one in ten.
pub const MIN_PER_SECOND: f64 = 0.001;
/// The fastest: more than a server answers. Above it a nanosecond would no longer be exact enough.
pub const MAX_PER_SECOND: f64 = 1_000_000.0;
const NS_PER_SECOND: f64 = 1e9;

/// What a request is counted against: an operation, or several that share. Only the table in
/// `figures.rs` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Quota {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
}

const fn kms(name: &'static str) -> Quota {
    Quota { service: "kms", name }
}

impl Quota {
    /// Cryptographic operations with symmetric keys, HMAC keys among them, and `GenerateRandom`.
    pub const SYMMETRIC: Self = kms("CryptographicOperations_symmetric");
    pub const RSA: Self = kms("CryptographicOperations_RSA");
    pub const ECC: Self = kms("CryptographicOperations_ECC");
    pub const ML_DSA: Self = kms("CryptographicOperations_ML_DSA");
    pub const ML_KEM: Self = kms("CryptographicOperations_ML_KEM");
    pub const CREATE_KEY: Self = kms("CreateKey");
    pub const UPDATE_PRIMARY_REGION: Self = kms("UpdatePrimaryRegion");

    /// What every request of an operation counts against. None for the operations whose quota
    /// depends on a key: [`Quota::of_use`] and [`Quota::of_pair`] say it once the key is known.
    pub fn of_operation(service: &str, operation: &str) -> Option<Self> {
        static BY_OPERATION: LazyLock<HashMap<(&str, &str), Quota>> = LazyLock::new(|| {
            let all = |figure: &'static super::Figure| {
                figure.operations().map(|name| ((figure.quota.service, name), figure.quota))
            };
            FIGURES.iter().flat_map(all).collect()
        });
        let found = BY_OPERATION.get(&(service, operation));
        // Some services have one quota for everything.
        found.or_else(|| BY_OPERATION.get(&(service, "*"))).copied()
    }

    /// What a KMS operation counts against for using a key. None if it has a quota of its own
    /// instead, as `GetPublicKey` has, and data key pairs.
    pub fn of_use(operation: &str, spec: KeySpec) -> Option<Self> {
        let pair = operation.starts_with("GenerateDataKeyPair");
        let own = pair || Self::of_operation("kms", operation).is_some();
        (!own).then(|| Self::of_key(spec))
    }

    const fn of_key(spec: KeySpec) -> Self {
        match spec {
            KeySpec::SymmetricDefault
            | KeySpec::Hmac224
            | KeySpec::Hmac256
            | KeySpec::Hmac384
            | KeySpec::Hmac512 => Self::SYMMETRIC,
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => Self::RSA,
            KeySpec::EccNistP256
            | KeySpec::EccNistP384
            | KeySpec::EccNistP521
            | KeySpec::EccSecgP256K1
            | KeySpec::EccNistEdwards25519 => Self::ECC,
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => Self::ML_DSA,
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => Self::ML_KEM,
        }
    }

    /// What `GenerateDataKeyPair` and `GenerateDataKeyPairWithoutPlaintext` count against, and
    /// nothing else: the symmetric key that encrypts the pair is not counted. None for a spec that
    /// no pair has.
    pub const fn of_pair(spec: KeySpec) -> Option<Self> {
        Some(kms(match spec {
            KeySpec::Rsa2048 => "GenerateDataKeyPair_RSA_2048",
            KeySpec::Rsa3072 => "GenerateDataKeyPair_RSA_3072",
            KeySpec::Rsa4096 => "GenerateDataKeyPair_RSA_4096",
            KeySpec::EccNistP256 => "GenerateDataKeyPair_ECC_NIST_P256",
            KeySpec::EccNistP384 => "GenerateDataKeyPair_ECC_NIST_P384",
            KeySpec::EccNistP521 => "GenerateDataKeyPair_ECC_NIST_P521",
            KeySpec::EccSecgP256K1 => "GenerateDataKeyPair_ECC_SECG_P256K1",
            KeySpec::EccNistEdwards25519 => "GenerateDataKeyPair_ECC_NIST_EDWARDS25519",
            KeySpec::MlKem512 => "GenerateDataKeyPair_ML_KEM_512",
            KeySpec::MlKem768 => "GenerateDataKeyPair_ML_KEM_768",
            KeySpec::MlKem1024 => "GenerateDataKeyPair_ML_KEM_1024",
            _ => return None,
        }))
    }

    /// AWS's figure in a region, if it has one.
    pub(super) fn figure(self, region: &Region) -> Option<Rate> {
        static BY_QUOTA: LazyLock<HashMap<Quota, Option<f64>>> = LazyLock::new(|| {
            FIGURES.iter().map(|figure| (figure.quota, figure.per_second)).collect()
        });
        let general = BY_QUOTA.get(&self).copied().flatten()?;
        let here = if self == Self::SYMMETRIC { symmetric_in(region, general) } else { general };
        Rate::per_second(here)
    }
}

/// AWS gives its busiest regions more of the symmetric operations.
fn symmetric_in(region: &Region, general: f64) -> f64 {
    match region.as_str() {
        "us-east-1" | "us-west-2" | "eu-west-1" => 100_000.0,
        "us-east-2" | "ap-southeast-1" | "ap-southeast-2" | "ap-northeast-1" | "eu-central-1"
        | "eu-west-2" => 20_000.0,
        _ => general,
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.name)
    }
}

/// How fast requests may follow each other: the time that one of them takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub(super) interval_ns: u64,
}

impl Rate {
    /// None outside [`MIN_PER_SECOND`] to [`MAX_PER_SECOND`].
    pub fn per_second(requests: f64) -> Option<Self> {
        if !(MIN_PER_SECOND..=MAX_PER_SECOND).contains(&requests) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between a microsecond and a thousand seconds; rounded down, or seven in a \
                      second would not fit into it"
        )]
        let interval_ns = (NS_PER_SECOND / requests) as u64;
        Some(Self { interval_ns })
    }
}
