//! What a key in a device does. What needs the private half or the secret is done there; what needs the
//! public half only, here.
use super::calls::{Failed, of_use, run};
use super::{ResidentKey, kinds, proof};
use crate::devices::Device;
use crate::keys::ciphertext::{Blob as Sealed, KeyIdBytes, device::Draft};
use crate::keys::{Bound, Key, KeyError};
use crate::primitives::{
    EncryptionAlgorithm, MacAlgorithm, MessageType, PublicKey, SigningAlgorithm, digest_to_sign,
};
use crate::types::{Blob, EncryptionContext, Plaintext};
use claviger_hsm::{HsmError, KeyBytes, ResidentKeys};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A key and the device that it lives in.
#[derive(Debug)]
pub struct InDevice<'k> {
    pub key: &'k Key,
    pub record: Arc<ResidentKey>,
    pub device: Device,
}

impl InDevice<'_> {
    /// Runs `op` in the device, once the object is shown to be the key. If the device was started anew
    /// beside it, that is shown again before what it gave is believed.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        op: impl FnOnce(&dyn ResidentKeys, &ResidentKey) -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, Failed> {
        let record = self.record.clone();
        let proved = move |keys: &dyn ResidentKeys| {
            proof::check(keys, &record)?;
            let done = op(keys, &record)?;
            proof::check(keys, &record)?;
            Ok(done)
        };
        run(&self.device, proved).await
    }

    pub(super) fn failed(&self, failed: Failed) -> KeyError {
        of_use(self.key, failed)
    }

    pub async fn encrypt(
        &self,
        id: KeyIdBytes,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Bound, KeyError> {
        if algorithm != EncryptionAlgorithm::SymmetricDefault {
            let blob = self.record.public_key()?.encrypt(algorithm, plaintext)?;
            return Ok(Bound { blob: Blob(blob), material_id: None });
        }
        let draft = Draft::new(id, self.record.prefix()?, &context.0);
        let (bound, plaintext) = (draft.associated().to_vec(), KeyBytes::new(plaintext.to_vec()));
        let sealed = self
            .ask(move |keys, key| keys.encrypt(&key.object, &plaintext, &bound))
            .await
            .map_err(|error| self.failed(error))?;
        let blob = draft.finish(&sealed).map_err(|e| KeyError::Validation(e.to_string()))?;
        Ok(Bound { blob: Blob(blob), material_id: None })
    }

    /// Only what names this key and its material goes to the device.
    pub async fn decrypt(
        &self,
        id: KeyIdBytes,
        algorithm: EncryptionAlgorithm,
        blob: &Blob,
        context: &EncryptionContext,
    ) -> Result<Plaintext, KeyError> {
        let opened = match kinds::oaep_hash(algorithm) {
            Some(hash) => {
                let sealed = blob.0.clone();
                self.ask(move |keys, key| keys.decrypt_oaep(&key.object, hash, &sealed)).await
            }
            None => {
                let invalid = |_| KeyError::InvalidCiphertext;
                let parsed = Sealed::parse(&blob.0).map_err(invalid)?;
                if parsed.key_id() != id {
                    return Err(KeyError::IncorrectKey);
                }
                if parsed.material_id() != self.record.prefix()? {
                    return Err(KeyError::InvalidCiphertext);
                }
                let (sealed, bound) = parsed.for_device(&context.0).map_err(invalid)?;
                self.ask(move |keys, key| keys.decrypt(&key.object, &sealed, &bound)).await
            }
        };
        let opened = opened.map_err(|error| self.failed(error))?;
        Ok(Plaintext::new(opened.expose().to_vec()))
    }

    /// A signature is verified before it is given away: one that a fault spoiled can betray an RSA key.
    pub async fn sign(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
    ) -> Result<Blob, KeyError> {
        let scheme =
            kinds::scheme(algorithm).ok_or_else(|| self.key.incompatible(algorithm.as_str()))?;
        let digest = digest_to_sign(algorithm, kind, message)?;
        let signature = self
            .ask(move |keys, key| keys.sign(&key.object, scheme, &digest))
            .await
            .map_err(|error| self.failed(error))?;
        let public = self.record.public_key()?;
        if public.verify(algorithm, kind, message, &signature).is_err() {
            let reason = "it made a signature that does not verify".into();
            let id = self.record.object.clone();
            let error = HsmError::ResidentSelfTest { id, reason };
            return Err(self.failed(Failed::Device(error)));
        }
        Ok(Blob(signature))
    }

    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
        signature: &Blob,
    ) -> Result<(), KeyError> {
        Ok(self.record.public_key()?.verify(algorithm, kind, message, &signature.0)?)
    }

    pub async fn mac(&self, algorithm: MacAlgorithm, message: &[u8]) -> Result<Blob, KeyError> {
        let hash = kinds::mac_hash(algorithm);
        let message = zeroize::Zeroizing::new(message.to_vec());
        let mac = self.ask(move |keys, key| keys.mac(&key.object, hash, &message)).await;
        mac.map(Blob).map_err(|error| self.failed(error))
    }

    pub async fn verify_mac(
        &self,
        algorithm: MacAlgorithm,
        message: &[u8],
        mac: &Blob,
    ) -> Result<(), KeyError> {
        let ours = self.mac(algorithm, message).await?;
        if ours.0.ct_eq(&mac.0).into() { Ok(()) } else { Err(KeyError::InvalidMac) }
    }

    /// The peer's key is read here first: what is no point of the curve never gets to the device.
    pub async fn derive(&self, peer: &Blob) -> Result<Plaintext, KeyError> {
        let peer = PublicKey::parse_spki(self.record.spec, &peer.0)?;
        let secret = self
            .ask(move |keys, key| keys.agree(&key.object, peer.der()))
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Plaintext::new(secret.expose().to_vec()))
    }

    pub fn public_key(&self) -> Result<Blob, KeyError> {
        Ok(Blob(self.record.public_key()?.der().to_vec()))
    }
}
