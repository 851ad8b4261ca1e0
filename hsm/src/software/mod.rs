//! Root keys in this process's memory, derived from a seed. For tests and for development only:
//! who has the seed has every key.
//!
//! Deterministic: the same seed gives the same root keys, and the same calls in the same order
//! give the same bytes. The format of a wrapped key is that of every device (`wrapped.rs`).
//! `resident` has its resident keys, `key` one of them.

mod key;
mod resident;

use crate::{
    DeviceInfo, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys, RootKeyId, WrappedKey, wrapped,
};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wrapped::IV_LEN;
use zeroize::{Zeroize, Zeroizing};

/// HKDF-SHA-256 gives at most 255 blocks of 32 bytes a label; this is below it.
const RANDOM_CHUNK: usize = 4096;

pub struct SoftwareHsm {
    seed: [u8; 32],
    calls: AtomicU64,
    roots: Mutex<BTreeMap<RootKeyId, KeyBytes>>,
    residents: Mutex<BTreeMap<ResidentId, Arc<key::Key>>>,
}

impl SoftwareHsm {
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self {
            seed,
            calls: AtomicU64::new(0),
            roots: Mutex::default(),
            residents: Mutex::default(),
        }
    }

    /// `out` = HKDF(seed, label ‖ Σ u64be(len part) ‖ part)
    fn derive(&self, label: &[u8], parts: &[&[u8]], out: &mut [u8]) -> Result<(), HsmError> {
        let mut info = Zeroizing::new(label.to_vec());
        for part in parts {
            info.extend_from_slice(&(part.len() as u64).to_be_bytes());
            info.extend_from_slice(part);
        }
        hkdf::Hkdf::<Sha256>::new(None, &self.seed)
            .expand(&info, out)
            .map_err(|e| HsmError::Refused(e.to_string()))
    }

    fn next_call(&self) -> [u8; 8] {
        self.calls.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }

    fn roots(&self) -> MutexGuard<'_, BTreeMap<RootKeyId, KeyBytes>> {
        // Every change to the map is one insert or remove: a panic elsewhere cannot leave it half done.
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cipher(&self, root: &RootKeyId) -> Result<Aes256Gcm, HsmError> {
        let roots = self.roots();
        let key = roots.get(root).ok_or_else(|| HsmError::NoSuchKey {
            wanted: root.clone(),
            found: roots.keys().map(RootKeyId::to_string).collect(),
        })?;
        Aes256Gcm::new_from_slice(key.expose()).map_err(|e| HsmError::Refused(e.to_string()))
    }
}

impl Hsm for SoftwareHsm {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            vendor: "claviger".into(),
            model: "software".into(),
            serial: "0".into(),
            label: "software".into(),
            firmware: None,
            hardware: false,
        }
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        for chunk in out.chunks_mut(RANDOM_CHUNK) {
            self.derive(b"random\0", &[&self.next_call()], chunk)?;
        }
        Ok(())
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        let mut key = vec![0; 32];
        // By name, not by order: a development server that starts again finds the same key.
        self.derive(b"root\0", &[id.as_str().as_bytes()], &mut key)?;
        let key = KeyBytes::new(key);
        let mut roots = self.roots();
        if roots.contains_key(id) {
            return Err(HsmError::KeyExists(id.clone()));
        }
        roots.insert(id.clone(), key);
        Ok(())
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        self.roots().remove(id);
        Ok(())
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        Ok(self.roots().keys().cloned().collect())
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let probe = KeyBytes::new(vec![0x5a; 32]);
        let wrapped = self.wrap(id, &probe, b"self-test")?;
        if self.unwrap(&wrapped, b"self-test")? != probe {
            let reason = "it opened another key than was wrapped".into();
            return Err(HsmError::SelfTest { id: id.clone(), reason });
        }
        Ok(())
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        wrapped::check_key_len(key.expose().len())?;
        let aad = wrapped::bound(aad)?;
        let cipher = self.cipher(root)?;
        // The IV depends on what is wrapped, not on the count of calls alone: after a restart the
        // count begins again, and one IV must never serve two messages.
        let mut iv = [0; IV_LEN];
        let parts = [root.as_str().as_bytes(), key.expose(), &aad, &self.next_call()];
        self.derive(b"iv\0", &parts, &mut iv)?;
        let sealed = cipher
            .encrypt(&Nonce::from(iv), Payload { msg: key.expose(), aad: &aad })
            .map_err(|e| HsmError::Refused(e.to_string()))?;
        let wrapped = WrappedKey { root: root.clone(), bytes: wrapped::encode(&iv, &sealed) };
        match cipher
            .decrypt(&Nonce::from(iv), Payload { msg: &sealed, aad: &aad })
            .map(KeyBytes::new)
        {
            Ok(opened) if opened == *key => Ok(wrapped),
            _ => Err(HsmError::SelfTest {
                id: root.clone(),
                reason: "it did not open what it had just wrapped".into(),
            }),
        }
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (iv, sealed) = wrapped::decode(&wrapped.bytes)?;
        let aad = wrapped::bound(aad)?;
        self.cipher(&wrapped.root)?
            .decrypt(&Nonce::from(iv), Payload { msg: sealed, aad: &aad })
            .map(KeyBytes::new)
            .map_err(|_| HsmError::Authentication)
    }

    fn resident(&self) -> Option<&dyn ResidentKeys> {
        Some(self)
    }
}

impl Drop for SoftwareHsm {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl fmt::Debug for SoftwareHsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareHsm").finish_non_exhaustive()
    }
}
