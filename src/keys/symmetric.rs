//! Encryption under a symmetric KMS key, bound to an encryption context.
use super::ciphertext::{self, KeyIdBytes};
use super::material::Material;
use super::{Found, Key, KeyError, Missing};
use crate::authorize::Authorized;
use crate::random::Random;
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Blob, EncryptionContext, Plaintext, Region};
use std::sync::Arc;

/// The length of an encryption context when it is written out for the cipher: what an XKS proxy
/// takes as associated data, and so what every key must take alike.
const MAX_CONTEXT_BYTES: usize = 8192;

/// A ciphertext and the material that made it.
#[derive(Debug)]
pub struct Bound {
    pub blob: Blob,
    pub material_id: String,
}

/// The key that a ciphertext names in its header.
pub async fn find_for(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    blob: &Blob,
) -> Result<Found, Missing> {
    let parsed =
        ciphertext::Blob::parse(&blob.0).map_err(|_| Missing::Own(KeyError::InvalidCiphertext))?;
    let id = parsed.key_id().to_string();
    match Key::load(tx, region, &id).await? {
        Some(key) => Ok(Found { key, alias: None }),
        // Which account would own it is unknown; answered as a key the caller may not use.
        None => {
            let resource = format!("key/{id}");
            Err(Missing::Foreign(Arn::new("kms", region.as_str(), account.as_str(), &resource)))
        }
    }
}

/// Refuses a context that is too long to be bound.
pub fn check_context(context: &EncryptionContext) -> Result<(), KeyError> {
    let size: usize = context.0.iter().map(|(k, v)| k.len() + v.len() + 8).sum();
    if size > MAX_CONTEXT_BYTES {
        let text = format!("EncryptionContext must not be longer than {MAX_CONTEXT_BYTES} bytes.");
        return Err(KeyError::Validation(text));
    }
    Ok(())
}

impl Authorized<Found> {
    pub async fn encrypt(
        &self,
        tx: &mut Tx<'_>,
        random: &dyn Random,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Bound, KeyError> {
        self.usable()?;
        let material = self.current_material(tx).await?;
        let (key, id, prefix) = (material.bytes.expose(), self.id_bytes()?, material.prefix()?);
        let blob = ciphertext::seal(key, id, prefix, &context.0, random, plaintext)
            .map_err(|e| KeyError::Validation(e.to_string()))?;
        Ok(Bound { blob: Blob(blob), material_id: material.id.clone() })
    }

    /// Opens a ciphertext. Every failure is the same one: which part was wrong is not for callers.
    pub async fn decrypt(
        &self,
        tx: &mut Tx<'_>,
        blob: &Blob,
        context: &EncryptionContext,
    ) -> Result<(Plaintext, String), KeyError> {
        self.usable()?;
        let parsed = ciphertext::Blob::parse(&blob.0).map_err(|_| KeyError::InvalidCiphertext)?;
        let wanted = self.id_bytes()?;
        if parsed.key_id() != wanted {
            return Err(KeyError::IncorrectKey);
        }
        let material = self.material_of(tx, &parsed).await?;
        let mut plaintext = parsed
            .open(material.bytes.expose(), &context.0)
            .map_err(|_| KeyError::InvalidCiphertext)?;
        Ok((Plaintext::new(std::mem::take(&mut *plaintext)), material.id.clone()))
    }

    fn id_bytes(&self) -> Result<KeyIdBytes, KeyError> {
        let broken = |_| StoreError::Corrupt(format!("{} is not a key id", self.id));
        Ok(self.id.parse().map_err(broken)?)
    }

    async fn current_material(&self, tx: &mut Tx<'_>) -> Result<Arc<Material>, KeyError> {
        let found = Material::load(tx, &self.id, &self.material).await?;
        let missing = || StoreError::Corrupt(format!("{} has no material", self.arn));
        Ok(found.ok_or_else(missing)?)
    }

    /// The material a ciphertext names. The header carries half of its id.
    async fn material_of(
        &self,
        tx: &mut Tx<'_>,
        blob: &ciphertext::Blob<'_>,
    ) -> Result<Arc<Material>, KeyError> {
        let current = self.current_material(tx).await?;
        if blob.material_id() == current.prefix()? {
            Ok(current)
        } else {
            Err(KeyError::InvalidCiphertext)
        }
    }
}
