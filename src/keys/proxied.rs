//! A symmetric KMS key as an external key of another KMS: AES-256-GCM as the protocol of XKS proxies has
//! it, one key for each message.
//!
//! ```text
//! metadata  20 bytes:  01 ‖ 4 bytes, the first of the material's id ‖ 15 bytes, a nonce N
//! K         HKDF-SHA-256(ikm = material, info = "claviger/v1/xks-key\0" ‖ N), 32 bytes
//! ciphertext ‖ tag = AES-256-GCM(K, IV of 12 random bytes, associated data as the protocol binds it:
//!                    u16be(len aad) ‖ aad ‖ u8(20) ‖ metadata)
//! ```
//!
//! With one key for all messages, random IVs of 96 bits would be used up after 2^32 of them (SP 800-38D,
//! 8.3), which is a month at the rate that AWS allows. Nothing of it is what Encrypt of this deployment
//! makes, so neither opens what the other has sealed. There is no commitment to the key as in our own
//! format: the protocol has no room for one, and the KMS that asks seals what it sends beforehand.
use super::material::Material;
use super::{KeyError, Origin, Usable};
use crate::external::{MAX_ASSOCIATED_BYTES, associated_data};
use crate::primitives::KeyUsage;
use crate::random::Random;
use crate::seal::{self, Key32, Label};
use crate::store::Tx;
use crate::types::{Plaintext, Sealed};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes256Gcm, KeyInit};
use std::sync::Arc;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const MATERIAL_BYTES: usize = 4;
const NONCE_BYTES: usize = 15;
const IV_BYTES: usize = 12;

impl Usable {
    /// Encrypts for another KMS.
    pub async fn seal_for_proxy(
        &self,
        tx: &mut Tx<'_>,
        random: &dyn Random,
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Sealed, KeyError> {
        self.serves_a_proxy("Encrypt")?;
        if let Some(key) = self.in_device()? {
            return key.seal_for_proxy(plaintext, aad).await;
        }
        let material = self.current_material(tx).await?;
        let fresh = random.bytes::<{ NONCE_BYTES + IV_BYTES }>();
        let (nonce, iv) = fresh.split_at(NONCE_BYTES);
        let prefix = material.prefix()?;
        let named = prefix.get(..MATERIAL_BYTES).unwrap_or_default();
        let metadata = [&[FORMAT], named, nonce].concat();
        let bound = bound(aad, &metadata)?;
        let mut ciphertext = plaintext.to_vec();
        let tag = cipher(&material, nonce)?
            .encrypt_inout_detached(&iv_of(iv)?, &bound, InOutBuf::from(ciphertext.as_mut_slice()))
            .map_err(|_| KeyError::Primitive("AES-GCM"))?;
        Ok(Sealed { metadata, iv: iv.to_vec(), ciphertext, tag: tag.into() })
    }

    /// Opens what [`Usable::seal_for_proxy`] made, under any of the key's materials. Every failure is
    /// the same one.
    pub async fn open_for_proxy(
        &self,
        tx: &mut Tx<'_>,
        sealed: &Sealed,
        aad: &[u8],
    ) -> Result<Plaintext, KeyError> {
        self.serves_a_proxy("Decrypt")?;
        if let Some(key) = self.in_device()? {
            return key.open_for_proxy(sealed, aad).await;
        }
        let (named, nonce) = parts(&sealed.metadata).ok_or(KeyError::InvalidCiphertext)?;
        let iv = iv_of(&sealed.iv)?;
        let bound = bound(aad, &sealed.metadata)?;
        let named = hex::encode(named);
        // Four bytes may name several; the tag says which one it was.
        let ids = self.materials.iter().filter(|m| m.present && m.id.starts_with(&named));
        let ids: Vec<String> = ids.map(|m| m.id.clone()).collect();
        for id in ids {
            let Some(material) = Material::load(tx, &self.id, &id).await? else { continue };
            let mut opened = Zeroizing::new(sealed.ciphertext.clone());
            let buffer = InOutBuf::from(opened.as_mut_slice());
            let tag = (&sealed.tag).into();
            if cipher(&material, nonce)?.decrypt_inout_detached(&iv, &bound, buffer, tag).is_ok() {
                return Ok(Plaintext::new(std::mem::take(&mut *opened)));
            }
        }
        Err(KeyError::InvalidCiphertext)
    }

    /// Symmetric keys whose material is here or in a device. What lies behind another proxy is served by
    /// that one.
    fn serves_a_proxy(&self, operation: &'static str) -> Result<(), KeyError> {
        self.used_for(KeyUsage::EncryptDecrypt, operation)?;
        if !self.spec.is_symmetric() {
            let (arn, spec) = (self.arn.clone(), self.spec);
            return Err(KeyError::InvalidKeySpec { arn, spec, operation });
        }
        match self.origin {
            Origin::AwsKms | Origin::External | Origin::AwsCloudhsm => Ok(()),
            Origin::ExternalKeyStore => Err(self.wrong_origin()),
        }
    }
}

pub(super) fn bound(aad: &[u8], metadata: &[u8]) -> Result<Vec<u8>, KeyError> {
    associated_data(aad, metadata).ok_or_else(|| {
        KeyError::Validation(format!(
            "associated data must not be longer than {MAX_ASSOCIATED_BYTES} bytes."
        ))
    })
}

/// The material's name and the nonce.
fn parts(metadata: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&FORMAT, rest) = metadata.split_first()? else { return None };
    let (named, nonce) = rest.split_at_checked(MATERIAL_BYTES)?;
    (nonce.len() == NONCE_BYTES).then_some((named, nonce))
}

fn iv_of(bytes: &[u8]) -> Result<aes_gcm::aead::Nonce<Aes256Gcm>, KeyError> {
    let iv: [u8; IV_BYTES] = bytes.try_into().map_err(|_| KeyError::InvalidCiphertext)?;
    Ok(iv.into())
}

fn cipher(material: &Arc<Material>, nonce: &[u8]) -> Result<Aes256Gcm, KeyError> {
    let key: Key32 = seal::derive(material.symmetric()?, Label::XKS_KEY, nonce);
    let key: &[u8; 32] = key.expose();
    Ok(Aes256Gcm::new(key.into()))
}
