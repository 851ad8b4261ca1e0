//! Keys that live in the software device: in this process's memory, gone with it.
//!
//! Made from the seed and the count of calls, so that the same seed gives the same keys. But for
//! RSA: AWS-LC makes such keys of the system's randomness only; it also signs ECDSA and RSA-PSS
//! with that.

use super::SoftwareHsm;
use super::key::{Key, Work, agree};
use crate::resident::{bad_peer, public_key, sealed};
use crate::wrapped::IV_LEN;
use crate::{
    BrokenKey, Hash, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentReport, ResidentSpec,
    SignatureScheme,
};
use aes_gcm::Nonce;
use aes_gcm::aead::{Aead, Payload};
use aws_lc_rs::hmac;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use zeroize::Zeroizing;

impl SoftwareHsm {
    fn residents(&self) -> MutexGuard<'_, BTreeMap<ResidentId, Arc<Key>>> {
        // Every change is one insert or remove.
        self.residents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, id: &ResidentId) -> Result<Arc<Key>, HsmError> {
        let missing = || HsmError::NoSuchResidentKey { wanted: id.clone(), found: 0 };
        self.residents().get(id).cloned().ok_or_else(missing)
    }
}

impl ResidentKeys for SoftwareHsm {
    fn specs(&self) -> Vec<ResidentSpec> {
        ResidentSpec::ALL.to_vec()
    }

    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        id.check()?;
        spec.check_offered(&ResidentSpec::ALL)?;
        let exists = || HsmError::ResidentKeyExists { id: id.clone(), found: 1 };
        if self.residents().contains_key(id) {
            return Err(exists());
        }
        // By the count of calls, too: a key made again under the name of one that was destroyed is
        // another.
        let (name, call) = (spec.to_string(), self.next_call());
        let key = Key::make(spec, |n, out| {
            let parts = [id.as_str().as_bytes(), name.as_bytes(), &call, &[n]];
            self.derive(b"resident\0", &parts, out)
        })?;
        let public = key.public.clone();
        let mut residents = self.residents();
        if residents.contains_key(id) {
            return Err(exists());
        }
        residents.insert(id.clone(), Arc::new(key));
        Ok(public)
    }

    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        let key = self.key(id)?;
        if public.is_some() && public != key.public.as_deref() {
            return Err(HsmError::WrongResidentKey { id: id.clone() });
        }
        Ok(ResidentReport { spec: key.spec, attributes: Vec::new() })
    }

    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        id.check()?;
        self.residents().remove(id);
        Ok(())
    }

    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        Ok(self.residents().keys().cloned().collect())
    }

    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        // A key is in the map whole or not at all.
        Ok(Vec::new())
    }

    fn encrypt(
        &self,
        id: &ResidentId,
        plaintext: &KeyBytes,
        aad: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        sealed::check_plaintext_len(plaintext.expose().len())?;
        let aad = sealed::bound(IV_LEN, aad)?;
        let key = self.key(id)?;
        let Work::Aes(cipher) = &key.work else {
            return Err(key.spec.wrong_use(id, "AES-256-GCM"));
        };
        // Of what is encrypted, too: one IV must never serve two messages, whatever the count.
        let mut iv = [0; IV_LEN];
        let parts = [id.as_str().as_bytes(), plaintext.expose(), &aad, &self.next_call()];
        self.derive(b"resident iv\0", &parts, &mut iv)?;
        let bytes = cipher
            .encrypt(&Nonce::from(iv), Payload { msg: plaintext.expose(), aad: &aad })
            .map_err(|e| HsmError::Refused(e.to_string()))?;
        Ok(sealed::encode(&iv, &bytes))
    }

    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (iv, bytes) = sealed::decode(sealed)?;
        let aad = sealed::bound(iv.len(), aad)?;
        let key = self.key(id)?;
        let Work::Aes(cipher) = &key.work else {
            return Err(key.spec.wrong_use(id, "AES-256-GCM"));
        };
        // This device makes no others.
        let iv = <[u8; IV_LEN]>::try_from(iv).map_err(|_| HsmError::Authentication)?;
        cipher
            .decrypt(&Nonce::from(iv), Payload { msg: bytes, aad: &aad })
            .map(KeyBytes::new)
            .map_err(|_| HsmError::Authentication)
    }

    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        let key = self.key(id)?;
        key.spec.check_signing(id, scheme, digest)?;
        key.sign(scheme, digest)
    }

    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        let key = self.key(id)?;
        key.spec.check_mac(id, hash, message)?;
        match &key.work {
            Work::Mac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            _ => Err(key.spec.wrong_use(id, "HMAC")),
        }
    }

    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        let oaep = public_key::oaep(hash)?;
        let key = self.key(id)?;
        let Work::RsaDecrypt(private) = &key.work else {
            return Err(key.spec.wrong_use(id, "RSA decryption"));
        };
        let mut out = Zeroizing::new(vec![0; private.min_output_size()]);
        private
            .decrypt(oaep, ciphertext, &mut out, None)
            .map(|plaintext| KeyBytes::new(plaintext.to_vec()))
            .map_err(|_| HsmError::Authentication)
    }

    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        let key = self.key(id)?;
        let (Work::EcAgree(private), Some(curve)) = (&key.work, key.spec.curve()) else {
            return Err(key.spec.wrong_use(id, "ECDH"));
        };
        agree(private, public_key::point(curve, peer).ok_or_else(|| bad_peer(curve))?)
    }
}
