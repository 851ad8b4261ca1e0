//! Key material: the 32 bytes that a KMS key is made of. One row each, sealed under the domain key.
use super::KeyError;
use super::ciphertext::KeyMaterialId;
use crate::memory::LockedKey;
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Kept per key id, not per region: every region's copy of a multi-Region key has the same.
#[derive(Debug, Serialize, Deserialize)]
pub struct Material {
    /// `KeyMaterialId`: 64 hex digits that also serve as a check value.
    pub id: String,
    pub created: Timestamp,
    /// Lives in locked memory while it is decoded.
    pub bytes: LockedKey,
}

impl Record for Material {
    const TABLE: Table = Table::new("material");
    const READ_BACK: bool = true;
}

impl Material {
    pub async fn load(
        tx: &mut Tx<'_>,
        key_id: &str,
        id: &str,
    ) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[key_id, id]).await
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

    /// Stores new material for a key and says under which id.
    pub fn create(
        tx: &mut Tx<'_>,
        key_id: &str,
        bytes: LockedKey,
        now: Timestamp,
    ) -> Result<String, KeyError> {
        let owner = key_id.parse().map_err(|_| StoreError::Corrupt("not a key id".into()))?;
        let id = KeyMaterialId::of(bytes.expose(), owner).to_string();
        tx.put(&[key_id, &id], Self { id: id.clone(), created: now, bytes })?;
        Ok(id)
    }
}
