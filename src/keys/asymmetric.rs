//! What KMS keys do beside encrypting: sign, authenticate, agree on and encapsulate secrets.
use super::{Found, Key, KeyError, Usable};
use crate::primitives::{KeyUsage, MacAlgorithm, MessageType, PrivateKey, SigningAlgorithm};
use crate::store::Tx;
use crate::types::{Blob, Plaintext};
use std::sync::Arc;

impl Found {
    /// Refuses unless the key signs, with this algorithm.
    pub fn signs_with(
        &self,
        algorithm: SigningAlgorithm,
        operation: &'static str,
    ) -> Result<(), KeyError> {
        self.used_for(KeyUsage::SignVerify, operation)?;
        if self.signing_algorithms().contains(&algorithm) {
            Ok(())
        } else {
            Err(self.incompatible(algorithm.as_str()))
        }
    }
}

impl Key {
    /// Refuses unless the key makes MACs, with this algorithm.
    pub fn macs_with(
        &self,
        algorithm: MacAlgorithm,
        operation: &'static str,
    ) -> Result<(), KeyError> {
        self.used_for(KeyUsage::GenerateVerifyMac, operation)?;
        if self.spec.mac_algorithms().contains(&algorithm) {
            Ok(())
        } else {
            Err(self.incompatible(algorithm.as_str()))
        }
    }
}

impl Usable {
    pub async fn sign(
        &self,
        tx: &mut Tx<'_>,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
    ) -> Result<Blob, KeyError> {
        self.signs_with(algorithm, "Sign")?;
        if let Some(key) = self.in_device()? {
            return key.sign(algorithm, kind, message).await;
        }
        Ok(Blob(self.pair(tx).await?.sign(algorithm, kind, message)?))
    }

    pub async fn verify(
        &self,
        tx: &mut Tx<'_>,
        algorithm: SigningAlgorithm,
        kind: MessageType,
        message: &[u8],
        signature: &Blob,
    ) -> Result<(), KeyError> {
        self.signs_with(algorithm, "Verify")?;
        if let Some(key) = self.in_device()? {
            return key.verify(algorithm, kind, message, signature);
        }
        Ok(self.pair(tx).await?.verify(algorithm, kind, message, &signature.0)?)
    }

    pub async fn mac(
        &self,
        tx: &mut Tx<'_>,
        algorithm: MacAlgorithm,
        message: &[u8],
    ) -> Result<Blob, KeyError> {
        self.macs_with(algorithm, "GenerateMac")?;
        if let Some(key) = self.in_device()? {
            return key.mac(algorithm, message).await;
        }
        Ok(Blob(self.pair(tx).await?.mac(message)?))
    }

    pub async fn verify_mac(
        &self,
        tx: &mut Tx<'_>,
        algorithm: MacAlgorithm,
        message: &[u8],
        mac: &Blob,
    ) -> Result<(), KeyError> {
        self.macs_with(algorithm, "VerifyMac")?;
        if let Some(key) = self.in_device()? {
            return key.verify_mac(algorithm, message, mac).await;
        }
        Ok(self.pair(tx).await?.verify_mac(message, &mac.0)?)
    }

    /// ECDH with somebody's public key (DER, SubjectPublicKeyInfo); the x coordinate.
    pub async fn derive(&self, tx: &mut Tx<'_>, public_key: &Blob) -> Result<Plaintext, KeyError> {
        self.used_for(KeyUsage::KeyAgreement, "DeriveSharedSecret")?;
        if let Some(key) = self.in_device()? {
            return key.derive(public_key).await;
        }
        let mut secret = self.pair(tx).await?.derive(&public_key.0)?;
        Ok(Plaintext::new(std::mem::take(&mut *secret)))
    }

    /// A fresh shared secret and the ciphertext that carries it.
    pub async fn encapsulate(&self, tx: &mut Tx<'_>) -> Result<(Plaintext, Blob), KeyError> {
        self.used_for(KeyUsage::EncapsulateDecapsulate, "Encapsulate")?;
        let (mut secret, ciphertext) = self.pair(tx).await?.encapsulate()?;
        Ok((Plaintext::new(std::mem::take(&mut *secret)), Blob(ciphertext)))
    }

    pub async fn decapsulate(
        &self,
        tx: &mut Tx<'_>,
        ciphertext: &Blob,
    ) -> Result<Plaintext, KeyError> {
        self.used_for(KeyUsage::EncapsulateDecapsulate, "Decapsulate")?;
        let mut secret = self.pair(tx).await?.decapsulate(&ciphertext.0)?;
        Ok(Plaintext::new(std::mem::take(&mut *secret)))
    }

    /// DER, SubjectPublicKeyInfo (RFC 5280).
    pub async fn public_key(&self, tx: &mut Tx<'_>) -> Result<Blob, KeyError> {
        if !self.spec.is_asymmetric() {
            let text = format!("{} is not an asymmetric key: it has no public key.", self.arn);
            return Err(KeyError::Unsupported(text));
        }
        if let Some(key) = self.in_device()? {
            return key.public_key();
        }
        Ok(Blob(self.pair(tx).await?.public_key_der()?))
    }

    async fn pair(&self, tx: &mut Tx<'_>) -> Result<Arc<PrivateKey>, KeyError> {
        self.current_material(tx).await?.private_key()
    }
}
