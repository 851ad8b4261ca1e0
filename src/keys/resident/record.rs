//! The record of a key in a device: which object it is, and what of it is public.
use crate::keys::KeyError;
use crate::primitives::{EncryptionAlgorithm, KeySpec, KeyUsage, PublicKey, SigningAlgorithm};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use crate::types::{Blob, Timestamp};
use claviger_hsm::ResidentId;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

/// Kept by key id: what material is for other keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct ResidentKey {
    pub key_id: String,
    /// The object's name in the device.
    pub object: ResidentId,
    /// The cluster in which it was made.
    pub cluster: String,
    /// What stands for KeyMaterialId in blobs: 64 hex digits, random, as the bytes cannot be had.
    pub material: String,
    pub spec: KeySpec,
    pub usage: KeyUsage,
    pub made: Timestamp,
    /// SubjectPublicKeyInfo in DER, of a pair.
    pub(super) public: Option<Blob>,
    /// Made by a key that is no pair, to know it again: see `proof`.
    pub(super) proof: Option<Blob>,
    /// By which algorithms the device was seen to decrypt with an RSA key. None is encrypted by
    /// another: the public half is here, and what it made could not be opened.
    pub(super) opens: Vec<EncryptionAlgorithm>,
    /// By which algorithms it was seen to sign.
    pub(super) signs: Vec<SigningAlgorithm>,
    #[serde(skip)]
    pub(super) parsed: OnceLock<Arc<PublicKey>>,
    /// One more than the device's epoch in which the object was last proved to be the key; 0 before.
    #[serde(skip)]
    pub(super) proved: AtomicU64,
}

impl Record for ResidentKey {
    const TABLE: Table = Table::new("resident-key");
    const READ_BACK: bool = true;
}

impl ResidentKey {
    pub async fn load(tx: &mut Tx<'_>, key_id: &str) -> Result<Option<Arc<Self>>, StoreError> {
        tx.get::<Self>(&[key_id]).await
    }

    pub(in crate::keys) fn save(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let id = self.key_id.clone();
        tx.put(&[&id], self).map(drop)
    }

    pub(in crate::keys) fn delete(tx: &mut Tx<'_>, key_id: &str) -> Result<(), StoreError> {
        tx.delete::<Self>(&[key_id])
    }

    /// Of a key that decrypts with RSA-OAEP.
    pub(in crate::keys) fn opens(&self) -> Option<&[EncryptionAlgorithm]> {
        Some(self.opens.as_slice()).filter(|opens| !opens.is_empty())
    }

    /// Of a key that signs.
    pub(in crate::keys) fn signs(&self) -> Option<&[SigningAlgorithm]> {
        Some(self.signs.as_slice()).filter(|signs| !signs.is_empty())
    }

    /// SubjectPublicKeyInfo in DER, of a pair.
    pub fn public(&self) -> Option<&[u8]> {
        self.public.as_ref().map(|public| public.0.as_slice())
    }

    /// The half of the material id that blobs carry.
    pub(super) fn prefix(&self) -> Result<[u8; 16], StoreError> {
        let mut prefix = [0; 16];
        let half = self.material.get(..32).unwrap_or_default();
        hex::decode_to_slice(half, &mut prefix)
            .map_err(|_| StoreError::Corrupt("not a key material id".into()))?;
        Ok(prefix)
    }

    /// The public half, read once.
    pub(super) fn public_key(&self) -> Result<Arc<PublicKey>, KeyError> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let missing = || StoreError::Corrupt(format!("{} has no public half", self.object));
        let der = &self.public.as_ref().ok_or_else(missing)?.0;
        let parsed = PublicKey::parse_spki(self.spec, der)
            .map_err(|e| StoreError::Corrupt(format!("public half of {}: {e}", self.object)))?;
        Ok(self.parsed.get_or_init(|| Arc::new(parsed)).clone())
    }
}
