//! The bundle: JSON in exactly one form, so that every byte of the file counts.
use claviger_hsm::{Attestation, Certification, DeviceInfo, Quote};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Of this form. Another form gets another number.
pub const VERSION: u32 = 1;
/// What the digest begins with, so that no other digest of ours is one of a bundle.
const LABEL: &[u8] = b"claviger/attest/1\0";
/// Far above any bundle.
const MAX_LEN: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    pub version: u32,
    pub statement: Statement,
    pub devices: Vec<Evidence>,
    /// SHA-256 over label, statement and the words of every device; see [`Bundle::digest`].
    pub digest: HexBytes,
}

/// What the server says. Nobody else knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Of the deployment.
    pub cluster: HexBytes,
    /// RFC 3339.
    pub time: String,
    /// The verifier's, or the secret of the challenge; random if there was neither.
    pub nonce: HexBytes,
    pub program: String,
    /// None: the bundle is of root keys only.
    pub key: Option<KeyStatement>,
    /// What opens the rows of the store, a key's material among them. Empty for a key that lives in a
    /// device: its material is in no row; and where one device only was asked.
    pub domain_keys: Vec<DomainKey>,
}

/// What the server says of a KMS key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyStatement {
    pub arn: String,
    pub spec: String,
    pub usage: String,
    pub origin: String,
    /// RFC 3339.
    pub created: String,
    pub custom_key_store: Option<String>,
    /// `XksKeyId` of a key whose material an external key manager has.
    pub external_key: Option<String>,
    /// Of a pair that lives in a device: SubjectPublicKeyInfo in DER.
    pub public_key: Option<HexBytes>,
}

/// One generation of the domain key, and the roots any one of which opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainKey {
    pub generation: u32,
    pub roots: Vec<String>,
    /// Recovery keys, outside of all devices.
    pub recovery_keys: Vec<String>,
}

/// What one device shows of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Unsigned, unless `signed` is there.
    pub words: Words,
    /// Of a TPM.
    pub signed: Option<Signed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What the deployment calls the device.
    pub device: String,
    /// As the device calls itself; none of one that could not be asked. `hardware` is false for what
    /// the server knows to be software.
    pub info: Option<DeviceInfo>,
    pub holds: Holds,
    pub claims: Vec<Claim>,
    /// Why the device says nothing.
    pub fault: Option<String>,
}

/// The key that a device is asked about, by its name there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// A root key, which wraps domain keys.
    RootKey(String),
    /// The KMS key itself.
    KmsKey(String),
}

/// What a device says of itself or of a key, by the standard's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub name: String,
    pub value: String,
}

/// What a TPM signed; both for the bundle's digest as nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// TPMT_PUBLIC of the attestation key and of the root key.
    pub attestation_key: HexBytes,
    pub root_key: HexBytes,
    /// TPM2_Certify of the root key: TPMS_ATTEST, and r ‖ s.
    pub certify: HexBytes,
    pub certify_signature: HexBytes,
    /// TPM2_Quote, likewise.
    pub quote: HexBytes,
    pub quote_signature: HexBytes,
    /// Number and value of each PCR of the SHA-256 bank.
    pub pcrs: Vec<(u8, HexBytes)>,
}

/// Bytes; as text in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexBytes(pub Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        hex::decode(text).map(Self)
    }
}

impl From<HexBytes> for String {
    fn from(bytes: HexBytes) -> Self {
        hex::encode(bytes.0)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("a bundle has at most {MAX_LEN} bytes, this has {0}")]
    TooLong(usize),
    #[error("not a bundle: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a bundle of version {0}; this program knows {VERSION}")]
    Version(u32),
    /// The same words, written otherwise.
    #[error("not as this program writes a bundle: it was changed")]
    Form,
}

impl Bundle {
    /// A bundle that nobody has signed yet.
    pub fn of(statement: Statement, words: Vec<Words>) -> Result<Self, BundleError> {
        let digest = HexBytes(Self::digest(&statement, words.iter())?.to_vec());
        let devices = words.into_iter().map(|words| Evidence { words, signed: None }).collect();
        Ok(Self { version: VERSION, statement, devices, digest })
    }

    /// What every word of it goes into, each part with its length in front.
    pub fn digest<'a>(
        statement: &Statement,
        words: impl Iterator<Item = &'a Words>,
    ) -> Result<[u8; 32], BundleError> {
        let mut hash = Sha256::new();
        hash.update(LABEL);
        let mut add = |part: Vec<u8>| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(&part);
        };
        add(serde_json::to_vec(statement)?);
        for words in words {
            add(serde_json::to_vec(words)?);
        }
        Ok(hash.finalize().into())
    }

    /// Whether the digest is that of these words.
    pub fn is_whole(&self) -> Result<bool, BundleError> {
        let words = self.devices.iter().map(|evidence| &evidence.words);
        Ok(Self::digest(&self.statement, words)?.as_slice() == self.digest.0)
    }

    /// The file.
    pub fn to_text(&self) -> Result<String, BundleError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// From a file. It must be in the one form that [`Bundle::to_text`] gives.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_LEN {
            return Err(BundleError::TooLong(bytes.len()));
        }
        let bundle: Self = serde_json::from_slice(bytes)?;
        if bundle.version != VERSION {
            return Err(BundleError::Version(bundle.version));
        }
        match bundle.to_text()?.as_bytes() == bytes {
            true => Ok(bundle),
            false => Err(BundleError::Form),
        }
    }
}

impl Words {
    /// What a claim says; none if there is no such, or more than one.
    pub fn claim(&self, name: &str) -> Option<&str> {
        let mut found = self.claims.iter().filter(|claim| claim.name == name);
        match (found.next(), found.next()) {
            (Some(claim), None) => Some(&claim.value),
            _ => None,
        }
    }
}

impl Signed {
    /// None if the two are not of one attestation key.
    pub fn of(made: Attestation) -> Option<Self> {
        let Attestation { certification, quote } = made;
        if certification.attestation_key != quote.attestation_key {
            return None;
        }
        let pcrs = quote.pcrs.iter().map(|(n, value)| (*n, HexBytes(value.to_vec())));
        Some(Self {
            attestation_key: HexBytes(certification.attestation_key),
            root_key: HexBytes(certification.root_key),
            certify: HexBytes(certification.attest),
            certify_signature: HexBytes(certification.signature),
            pcrs: pcrs.collect(),
            quote: HexBytes(quote.attest),
            quote_signature: HexBytes(quote.signature),
        })
    }

    pub fn certification(&self) -> Certification {
        Certification {
            attest: self.certify.0.clone(),
            signature: self.certify_signature.0.clone(),
            attestation_key: self.attestation_key.0.clone(),
            root_key: self.root_key.0.clone(),
        }
    }

    /// None if a PCR's value is not 32 bytes long.
    pub fn quoted(&self) -> Option<Quote> {
        let pcr = |(n, value): &(u8, HexBytes)| {
            Some((*n, <[u8; 32]>::try_from(value.0.as_slice()).ok()?))
        };
        Some(Quote {
            attest: self.quote.0.clone(),
            signature: self.quote_signature.0.clone(),
            attestation_key: self.attestation_key.0.clone(),
            pcrs: self.pcrs.iter().map(pcr).collect::<Option<_>>()?,
        })
    }
}
