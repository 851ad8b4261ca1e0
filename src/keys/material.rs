//! Key material: the secret that a KMS key is made of. One row each, sealed under the domain key.
use super::KeyError;
use super::ciphertext::KeyMaterialId;
use crate::memory::SecretBytes;
use crate::primitives::{KeySpec, PrivateKey};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// Kept per key id, not per region: every region's copy of a multi-Region key has the same.
#[derive(Debug, Serialize, Deserialize)]
pub struct Material {
    /// `KeyMaterialId`: 64 hex digits that also serve as a check value.
    pub id: String,
    pub spec: KeySpec,
    pub created: Timestamp,
    /// 32 bytes for a symmetric key, 28 to 128 for an HMAC key, PKCS#8 DER for a key pair.
    bytes: SecretBytes,
    /// Read once, as reading costs more than using: an RSA key is checked when it is parsed.
    #[serde(skip)]
    parsed: OnceLock<Arc<PrivateKey>>,
}

impl Record for Material {
    const TABLE: Table = Table::new("material");
    const READ_BACK: bool = true;
    const OPENED_ONCE: bool = true;
}

impl Material {
    pub async fn load(
        tx: &mut Tx<'_>,
        key_id: &str,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[key_id, id]).await
    }

    pub fn delete(tx: &mut Tx<'_>, key_id: &str, id: &str) -> Result<(), StoreError> {
        tx.delete::<Self>(&[key_id, id])
    }

    /// The half of the id that ciphertexts carry.
    pub fn prefix(&self) -> Result<[u8; 16], StoreError> {
        let mut prefix = [0; 16];
        let half = self.id.get(..32).unwrap_or_default();
        match hex::decode_to_slice(half, &mut prefix) {
            Ok(()) => Ok(prefix),
            Err(_) => Err(StoreError::Corrupt("not a key material id".into())),
        }
    }

    /// The id that these bytes have as material of this key.
    pub fn id_of(key_id: &str, spec: KeySpec, bytes: &[u8]) -> Result<String, KeyError> {
        let owner = key_id.parse().map_err(|_| StoreError::Corrupt("not a key id".into()))?;
        let id = match spec.hmac_bytes() {
            Some(_) => KeyMaterialId::of_hmac_key(bytes, owner),
            None => KeyMaterialId::of(bytes, owner),
        };
        Ok(id.to_string())
    }

    /// Stores material of a key and says under which id.
    pub fn create(
        tx: &mut Tx<'_>,
        key_id: &str,
        spec: KeySpec,
        bytes: SecretBytes,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        let id = Self::id_of(key_id, spec, bytes.expose())?;
        Self::create_as(tx, key_id, &id, spec, bytes, now)?;
        Ok(id)
    }

    /// The same under an id that is known.
    pub fn create_as(
        tx: &mut Tx<'_>,
        key_id: &str,
        id: &str,
        spec: KeySpec,
        bytes: SecretBytes,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let parsed = OnceLock::new();
        tx.put(&[key_id, id], Self { id: id.to_owned(), spec, created: now, bytes, parsed })?;
        Ok(())
    }

    /// The 32 bytes of a symmetric key.
    pub fn symmetric(&self) -> Result<&[u8; 32], StoreError> {
        let wrong = |_| StoreError::Corrupt("symmetric key material is not 32 bytes long".into());
        self.bytes.expose().try_into().map_err(wrong)
    }

    /// The key pair or HMAC key, ready for use.
    pub fn private_key(&self) -> Result<Arc<PrivateKey>, KeyError> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let parsed = PrivateKey::parse(self.spec, self.bytes.expose())
            .map_err(|e| StoreError::Corrupt(format!("key material cannot be read: {e}")))?;
        Ok(self.parsed.get_or_init(|| Arc::new(parsed)).clone())
    }
}
