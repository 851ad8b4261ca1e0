//! A device that takes its time.
use claviger_hsm::{
    BrokenKey, DeviceInfo, Hash, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentReport,
    ResidentSpec, RootKeyId, SignatureScheme, SoftwareHsm, WrappedKey,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The software device, each of whose encryptions and probes takes so long.
#[derive(Debug)]
pub struct Slow {
    device: Arc<SoftwareHsm>,
    millis: AtomicU64,
    pub calls: AtomicUsize,
}

impl Slow {
    pub fn new(device: Arc<SoftwareHsm>) -> Self {
        Self { device, millis: AtomicU64::new(0), calls: AtomicUsize::new(0) }
    }

    /// From now on each call takes so long; they are counted anew.
    pub fn takes(&self, millis: u64) {
        self.millis.store(millis, Ordering::SeqCst);
        self.calls.store(0, Ordering::SeqCst);
    }

    fn wait(&self) -> &SoftwareHsm {
        self.calls.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.millis.load(Ordering::SeqCst)));
        &self.device
    }
}

impl Hsm for Slow {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.wait().random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.device.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.device.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.device.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.device.unwrap(wrapped, aad)
    }
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        Some(self)
    }
}

impl ResidentKeys for Slow {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.device.specs()
    }
    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        self.device.generate(id, spec)
    }
    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        self.device.check(id, public)
    }
    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        self.device.destroy(id)
    }
    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        self.device.resident_keys()
    }
    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        self.device.broken()
    }
    fn encrypt(&self, id: &ResidentId, text: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.wait().encrypt(id, text, aad)
    }
    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.wait().decrypt(id, sealed, aad)
    }
    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        self.device.sign(id, scheme, digest)
    }
    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.device.mac(id, hash, message)
    }
    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        self.device.decrypt_oaep(id, hash, ciphertext)
    }
    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        self.device.agree(id, peer)
    }
}
