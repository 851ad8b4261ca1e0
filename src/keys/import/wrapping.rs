//! Wrapping keys: RSA key pairs that GetParametersForImport gives out, under which material travels.
use super::super::material::Material;
use super::super::{Found, Key, KeyError, Origin};
use super::due;
use crate::authorize::Authorized;
use crate::memory::SecretBytes;
use crate::primitives::{self, KeySpec, PrivateKey, WrappingAlgorithm, WrappingKeySpec};
use crate::random::Random;
use crate::seal::Table;
use crate::store::{Record, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::Zeroizing;

/// AWS: how long a wrapping key and its import token can be used.
pub const TOKEN_SECONDS: i64 = 24 * 60 * 60;
/// Wrapping keys that one KMS key has at a time: each is a stored key pair, and every call makes one.
/// The oldest goes when another comes.
const MOST_WRAPPING_KEYS: usize = 10;
/// What AES-KWP makes of the shortest material: two blocks of 8 bytes.
const SHORTEST_WRAP_BYTES: usize = 16;
/// AWS: 1024 bits.
const LONGEST_HMAC_BYTES: usize = 128;
const SYMMETRIC_BYTES: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
pub struct WrappingKey {
    algorithm: WrappingAlgorithm,
    spec: WrappingKeySpec,
    expires: Timestamp,
    /// PKCS#8.
    private: SecretBytes,
}
impl Record for WrappingKey {
    const TABLE: Table = Table::new("import-key");
    // Used once or twice in its day.
    const CACHED: bool = false;
}

/// The wrapping keys of a KMS key: their ids and ends, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct WrappingKeys {
    outstanding: Vec<(String, Timestamp)>,
}
impl Record for WrappingKeys {
    const TABLE: Table = Table::new("import-keys");
    const CACHED: bool = false;
}

/// What an import token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// Of the wrapping key.
    pub id: String,
    pub expires: Timestamp,
}

/// Material out of its wrapping, known to be a key of its spec.
#[derive(Debug)]
pub struct Unwrapped {
    pub(super) bytes: SecretBytes,
    /// Of a key pair. One pair has many encodings and one public key.
    public: Option<Vec<u8>>,
}

impl Unwrapped {
    /// The id that this has as material of a key: the same, however a key pair is encoded.
    pub(super) fn id_in(&self, key: &Key) -> Result<String, KeyError> {
        let bytes = self.public.as_deref().unwrap_or(self.bytes.expose());
        Material::id_of(&key.id, key.spec, bytes)
    }
}

/// Whether AWS lets material of this spec travel so: RSA keys are too long for RSA alone, a P-521 key
/// too long for RSA_2048, and the detour over AES is for key pairs only (AWS KMS developer guide,
/// "Select a wrapping algorithm").
pub fn suits(spec: KeySpec, algorithm: WrappingAlgorithm, size: WrappingKeySpec) -> bool {
    let with_aes = match algorithm {
        WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256 => false,
        WrappingAlgorithm::RsaAesKeyWrapSha1 | WrappingAlgorithm::RsaAesKeyWrapSha256 => true,
    };
    if spec.is_rsa() {
        return with_aes;
    }
    if !spec.is_asymmetric() {
        return !with_aes;
    }
    with_aes || spec != KeySpec::EccNistP521 || size != WrappingKeySpec::Rsa2048
}

impl Authorized<Found> {
    /// Refuses unless the key's material is imported, and the state takes the operation.
    pub fn takes_imports(&self, operation: &'static str) -> Result<(), KeyError> {
        if self.origin != Origin::External {
            return Err(self.wrong_origin());
        }
        self.permits(operation)?;
        if super::importable(self.spec) {
            return Ok(());
        }
        let text = format!("Key material cannot be imported into keys of spec {}.", self.spec);
        Err(KeyError::Unsupported(text))
    }

    /// Keeps the private half of a wrapping key until its token expires.
    pub async fn keep_wrapping_key(
        &self,
        tx: &mut Tx<'_>,
        (algorithm, spec): (WrappingAlgorithm, WrappingKeySpec),
        private: SecretBytes,
        random: &dyn Random,
        now: Timestamp,
    ) -> Result<Offer, KeyError> {
        self.takes_imports("GetParametersForImport")?;
        let (region, expires) = (self.region.as_str(), now.plus_secs(TOKEN_SECONDS));
        let id = random.uuid().simple().to_string();
        let mut all = drop_expired(tx, self, now).await?;
        while all.outstanding.len() >= MOST_WRAPPING_KEYS {
            let (oldest, end) = all.outstanding.remove(0);
            remove(tx, self, &oldest, end)?;
        }
        all.outstanding.push((id.clone(), expires));
        tx.put(&[region, &self.id], all)?;
        tx.put(&[region, &self.id, &id], WrappingKey { algorithm, spec, expires, private })?;
        due::plan(tx, self, expires, &id)?;
        Ok(Offer { id, expires })
    }

    /// The wrapping key that a token names.
    pub async fn wrapping_key(
        &self,
        tx: &mut Tx<'_>,
        offer: &Offer,
        now: Timestamp,
    ) -> Result<Arc<WrappingKey>, KeyError> {
        if offer.expires <= now {
            return Err(KeyError::ExpiredImportToken);
        }
        let kept = tx.get::<WrappingKey>(&[self.region.as_str(), &self.id, &offer.id]).await?;
        // Newer ones may have taken its place.
        kept.ok_or(KeyError::InvalidImportToken)
    }
}

impl WrappingKey {
    /// Takes material of a KMS key of this spec out of its wrapping. RSA arithmetic: not for the
    /// threads that serve requests.
    pub fn unwrap(&self, spec: KeySpec, wrapped: &[u8]) -> Result<Unwrapped, KeyError> {
        self.check_length(wrapped.len())?;
        let private = PrivateKey::parse(self.spec.key_spec(), self.private.expose())
            .map_err(|_| KeyError::Primitive("reading a wrapping key"))?;
        let material = primitives::unwrap(&private, self.algorithm, wrapped)?;
        let public = check(spec, &material)?;
        Ok(Unwrapped { bytes: SecretBytes::new(&material), public })
    }

    fn check_length(&self, wrapped: usize) -> Result<(), KeyError> {
        let modulus = match self.spec {
            WrappingKeySpec::Rsa2048 => 256,
            WrappingKeySpec::Rsa3072 => 384,
            WrappingKeySpec::Rsa4096 => 512,
        };
        let fits = match self.algorithm {
            WrappingAlgorithm::RsaesOaepSha1 | WrappingAlgorithm::RsaesOaepSha256 => {
                wrapped == modulus
            }
            WrappingAlgorithm::RsaAesKeyWrapSha1 | WrappingAlgorithm::RsaAesKeyWrapSha256 => {
                wrapped >= modulus + SHORTEST_WRAP_BYTES
            }
        };
        if fits { Ok(()) } else { Err(KeyError::Validation("Invalid encrypted key size.".into())) }
    }
}

/// Refuses what is no key of this spec. Answers the public key, if it is a pair.
fn check(spec: KeySpec, material: &Zeroizing<Vec<u8>>) -> Result<Option<Vec<u8>>, KeyError> {
    let wrong =
        |what: &str| Err(KeyError::IncorrectKeyMaterial(format!("The key material {what}")));
    if spec.is_symmetric() {
        return match material.len() {
            SYMMETRIC_BYTES => Ok(None),
            _ => wrong("of a SYMMETRIC_DEFAULT key must be 32 bytes long."),
        };
    }
    if let Some(shortest) = spec.hmac_bytes()
        && !(shortest..=LONGEST_HMAC_BYTES).contains(&material.len())
    {
        let bounds =
            format!("of a {spec} key must be {shortest} to {LONGEST_HMAC_BYTES} bytes long.");
        return wrong(&bounds);
    }
    match PrivateKey::parse(spec, material) {
        Ok(key) if spec.is_asymmetric() => Ok(Some(key.public_key_der()?)),
        Ok(_) => Ok(None),
        Err(_) => wrong(&format!("is not a private key of spec {spec} in PKCS #8 format.")),
    }
}

/// Removes the wrapping keys that have had their day. Answers those that are left.
pub(super) async fn drop_expired(
    tx: &mut Tx<'_>,
    key: &Key,
    now: Timestamp,
) -> Result<WrappingKeys, KeyError> {
    let all = tx.get::<WrappingKeys>(&[key.region.as_str(), &key.id]).await?;
    let Some(all) = all else { return Ok(WrappingKeys::default()) };
    let (over, left): (Vec<_>, Vec<_>) =
        all.outstanding.iter().cloned().partition(|(_, end)| *end <= now);
    for (id, end) in &over {
        remove(tx, key, id, *end)?;
    }
    let left = WrappingKeys { outstanding: left };
    if left.outstanding.is_empty() {
        tx.delete::<WrappingKeys>(&[key.region.as_str(), &key.id])?;
    } else if !over.is_empty() {
        tx.put(&[key.region.as_str(), &key.id], left.clone())?;
    }
    Ok(left)
}

/// Removes every wrapping key of a key.
pub(super) async fn clear(tx: &mut Tx<'_>, key: &Key) -> Result<(), KeyError> {
    drop_expired(tx, key, Timestamp::MAX).await?;
    Ok(())
}

fn remove(tx: &mut Tx<'_>, key: &Key, id: &str, end: Timestamp) -> Result<(), KeyError> {
    tx.delete::<WrappingKey>(&[key.region.as_str(), &key.id, id])?;
    due::cancel(tx, key, end, id)
}
