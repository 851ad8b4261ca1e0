//! Encryption under a KMS key: a symmetric one, bound to an encryption context, or an RSA one.
use super::ciphertext;
use super::material::Material;
use super::{Found, Key, KeyError, Missing, Usable};
use crate::primitives::{EncryptionAlgorithm, KeyUsage, PrimitiveError};
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
    /// Of symmetric keys only whose material is here.
    pub material_id: Option<String>,
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
        Some(key) => Ok(Found::of(tx, key, None).await?),
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

/// What goes to a device or another host waits for it anyway, and stays in a box of its own: so that the
/// calls that need neither, which are most, are small.
impl Usable {
    pub async fn encrypt(
        &self,
        tx: &mut Tx<'_>,
        random: &dyn Random,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Bound, KeyError> {
        self.encrypts_with(algorithm, context, "Encrypt")?;
        if let Some(key) = self.in_device()? {
            let id = self.id_bytes()?;
            return Box::pin(key.encrypt(id, algorithm, plaintext, context)).await;
        }
        if let Some(external) = self.externally()? {
            let sealed = self.encrypt_externally(tx, random, plaintext, context, external);
            return Box::pin(sealed).await;
        }
        let material = self.current_material(tx).await?;
        if algorithm != EncryptionAlgorithm::SymmetricDefault {
            let blob = material.private_key()?.encrypt(algorithm, plaintext)?;
            return Ok(Bound { blob: Blob(blob), material_id: None });
        }
        let (key, id, prefix) = (material.symmetric()?, self.id_bytes()?, material.prefix()?);
        let blob = ciphertext::seal(key, id, prefix, &context.0, random, plaintext)
            .map_err(|e| KeyError::Validation(e.to_string()))?;
        Ok(Bound { blob: Blob(blob), material_id: Some(material.id.clone()) })
    }

    /// Opens a ciphertext. Every failure is the same one: which part was wrong is not for callers.
    pub async fn decrypt(
        &self,
        tx: &mut Tx<'_>,
        algorithm: EncryptionAlgorithm,
        blob: &Blob,
        context: &EncryptionContext,
    ) -> Result<(Plaintext, Option<String>), KeyError> {
        self.encrypts_with(algorithm, context, "Decrypt")?;
        if let Some(key) = self.in_device()? {
            let id = self.id_bytes()?;
            let opened = Box::pin(key.decrypt(id, algorithm, blob, context)).await?;
            return Ok((opened, None));
        }
        if let Some(external) = self.externally()? {
            let opened = Box::pin(self.decrypt_externally(tx, blob, context, external)).await?;
            return Ok((opened, None));
        }
        if algorithm != EncryptionAlgorithm::SymmetricDefault {
            let material = self.current_material(tx).await?;
            let mut plaintext = material.private_key()?.decrypt(algorithm, &blob.0)?;
            return Ok((Plaintext::new(std::mem::take(&mut *plaintext)), None));
        }
        let parsed = ciphertext::Blob::parse(&blob.0).map_err(|_| KeyError::InvalidCiphertext)?;
        if parsed.key_id() != self.id_bytes()? {
            return Err(KeyError::IncorrectKey);
        }
        let material = self.material_of(tx, &parsed).await?;
        let mut plaintext = parsed
            .open(material.symmetric()?, &context.0)
            .map_err(|_| KeyError::InvalidCiphertext)?;
        Ok((Plaintext::new(std::mem::take(&mut *plaintext)), Some(material.id.clone())))
    }

    pub(super) async fn current_material(
        &self,
        tx: &mut Tx<'_>,
    ) -> Result<Arc<Material>, KeyError> {
        let missing = || StoreError::Corrupt(format!("{} has no material", self.arn));
        let current = self.current().filter(|m| m.present).ok_or_else(missing)?;
        let found = Material::load(tx, &self.id, &current.id).await?;
        Ok(found.ok_or_else(missing)?)
    }

    /// The material a ciphertext names. The header carries half of its id.
    pub(super) async fn material_of(
        &self,
        tx: &mut Tx<'_>,
        blob: &ciphertext::Blob<'_>,
    ) -> Result<Arc<Material>, KeyError> {
        let mut half = [0; 32];
        let text = hex::encode_to_slice(blob.material_id(), &mut half).map(|()| &half);
        let text = text.ok().and_then(|half| str::from_utf8(half).ok());
        let named = text.and_then(|half| self.material(half)).ok_or(KeyError::InvalidCiphertext)?;
        if !named.present {
            return Err(KeyError::InvalidState(self.arn.clone(), "pending import"));
        }
        let missing = || StoreError::Corrupt(format!("{} lacks a material", self.arn));
        Ok(Material::load(tx, &self.id, &named.id).await?.ok_or_else(missing)?)
    }
}

impl Found {
    /// Refuses unless the key encrypts, with this algorithm, under such a context.
    pub fn encrypts_with(
        &self,
        algorithm: EncryptionAlgorithm,
        context: &EncryptionContext,
        operation: &'static str,
    ) -> Result<(), KeyError> {
        self.used_for(KeyUsage::EncryptDecrypt, operation)?;
        if !self.encryption_algorithms().contains(&algorithm) {
            return Err(self.incompatible(algorithm.as_str()));
        }
        if !self.spec.is_symmetric() && !context.0.is_empty() {
            let text = "EncryptionContext is valid only for symmetric encryption KMS keys.";
            return Err(KeyError::Validation(text.into()));
        }
        Ok(())
    }
}

impl Key {
    pub(super) fn incompatible(&self, algorithm: &str) -> KeyError {
        KeyError::IncompatibleAlgorithm { algorithm: algorithm.to_owned(), spec: self.spec }
    }
}

impl From<PrimitiveError> for KeyError {
    fn from(e: PrimitiveError) -> Self {
        match e {
            PrimitiveError::InvalidCiphertext => Self::InvalidCiphertext,
            PrimitiveError::InvalidSignature => Self::InvalidSignature,
            PrimitiveError::InvalidMac => Self::InvalidMac,
            PrimitiveError::InvalidMaterial => Self::InvalidCiphertext,
            PrimitiveError::WrongAlgorithm
            | PrimitiveError::DigestLength { .. }
            | PrimitiveError::WrongMessageType { .. }
            | PrimitiveError::PlaintextTooLong { .. }
            | PrimitiveError::InvalidPublicKey => Self::Validation(e.to_string()),
            PrimitiveError::Library(call) => Self::Primitive(call),
        }
    }
}
