//! Devices that are not there any more when they are told so, and what a world has of them.
use super::{BARE_CLUSTER, CLUSTER, OTHER_CLUSTER, THIRD_CLUSTER};
use crate::world::ACCOUNT;
use claviger::devices::{Device, Devices};
use claviger_hsm::{
    BrokenKey, DeviceInfo, Hash, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentReport,
    ResidentSpec, RootKeyId, SignatureScheme, SoftwareHsm, WrappedKey,
};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The software device behind a switch. Counts what it is asked.
#[derive(Debug)]
pub struct Switch {
    pub device: SoftwareHsm,
    fails: Mutex<Option<HsmError>>,
    calls: AtomicUsize,
    /// Its generator gives nothing but zeros.
    pub zeros: AtomicBool,
    /// It says that it destroys objects, and does not.
    pub keeps: AtomicBool,
    /// Its calls do not end until it is false again.
    pub hangs: AtomicBool,
    /// It knows neither RSA-OAEP with SHA-1 nor RSA-PSS with SHA-512.
    pub poor: AtomicBool,
    /// How often the process that it runs in was started anew.
    pub epoch: AtomicU64,
    /// It is started anew in the middle of the next call that encrypts or authenticates.
    pub restarts: AtomicBool,
}

impl Switch {
    pub fn new(seed: u8) -> Self {
        Self {
            device: SoftwareHsm::seeded([seed; 32]),
            fails: Mutex::default(),
            calls: AtomicUsize::new(0),
            zeros: AtomicBool::new(false),
            keeps: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            poor: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            restarts: AtomicBool::new(false),
        }
    }

    /// From now on every call fails so.
    pub fn fail(&self, error: HsmError) {
        *self.fails.lock().unwrap() = Some(error);
    }
    pub fn take_away(&self) {
        self.fail(HsmError::Unavailable("the cable is out".into()));
    }
    pub fn bring_back(&self) {
        *self.fails.lock().unwrap() = None;
    }
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
    /// The names of the objects in it, whether it answers or not.
    pub fn objects(&self) -> Vec<String> {
        let all = self.device.resident_keys().unwrap();
        all.iter().map(ToString::to_string).collect()
    }

    fn restart(&self) {
        if self.restarts.swap(false, Ordering::SeqCst) {
            self.epoch.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn lacks(&self, what: &str) -> Result<(), HsmError> {
        match self.poor.load(Ordering::SeqCst) {
            true => Err(HsmError::Unsupported(what.into())),
            false => Ok(()),
        }
    }

    fn up(&self) -> Result<&SoftwareHsm, HsmError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        while self.hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match &*self.fails.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(&self.device),
        }
    }
}

impl Hsm for Switch {
    fn info(&self) -> DeviceInfo {
        self.device.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        if self.zeros.load(Ordering::SeqCst) {
            out.fill(0);
            return Ok(());
        }
        self.up()?.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.up()?.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.up()?.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.up()?.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.up()?.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.up()?.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.up()?.unwrap(wrapped, aad)
    }
    fn resident(&self) -> Option<&dyn ResidentKeys> {
        Some(self)
    }
}

impl ResidentKeys for Switch {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.device.specs()
    }
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }
    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        self.up()?.generate(id, spec)
    }
    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        self.up()?.check(id, public)
    }
    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        match self.keeps.load(Ordering::SeqCst) {
            true => Ok(()),
            false => self.up()?.destroy(id),
        }
    }
    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        self.up()?.resident_keys()
    }
    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        self.up()?.broken()
    }
    fn encrypt(&self, id: &ResidentId, text: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.restart();
        self.up()?.encrypt(id, text, aad)
    }
    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.up()?.decrypt(id, sealed, aad)
    }
    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        if scheme == SignatureScheme::RsaPss(Hash::Sha512) {
            self.lacks("RSA-PSS with SHA-512")?;
        }
        self.up()?.sign(id, scheme, digest)
    }
    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        self.restart();
        self.up()?.mac(id, hash, message)
    }
    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        if hash == Hash::Sha1 {
            self.lacks("RSA-OAEP with SHA-1")?;
        }
        self.up()?.decrypt_oaep(id, hash, ciphertext)
    }
    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        self.up()?.agree(id, peer)
    }
}

/// A device that keeps root keys only.
#[derive(Debug)]
struct Bare(SoftwareHsm);

impl Hsm for Bare {
    fn info(&self) -> DeviceInfo {
        self.0.info()
    }
    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.0.random(out)
    }
    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.create_root_key(id)
    }
    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.destroy_root_key(id)
    }
    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.0.root_keys()
    }
    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.0.check_root_key(id)
    }
    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        self.0.wrap(root, key, aad)
    }
    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.0.unwrap(wrapped, aad)
    }
}

/// The devices that custom key stores can name; `first` is [`CLUSTER`].
pub fn devices(first: &Arc<Switch>) -> Devices {
    let software = |seed| Arc::new(SoftwareHsm::seeded([seed; 32])) as Arc<dyn Hsm>;
    let all: [(&str, &str, Arc<dyn Hsm>); 4] = [
        ("one", CLUSTER, first.clone()),
        ("two", OTHER_CLUSTER, software(12)),
        ("three", THIRD_CLUSTER, software(13)),
        ("bare", BARE_CLUSTER, Arc::new(Bare(SoftwareHsm::seeded([14; 32])))),
    ];
    let mut all = all.map(|(name, cluster, hsm)| Device::new(name, Some(cluster.into()), hsm));
    all[2].accounts = vec![ACCOUNT.into()];
    Devices::new(all.into())
}
