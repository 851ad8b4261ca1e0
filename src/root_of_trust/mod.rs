//! The root of trust: the devices that wrap the domain keys, and the domain keys while they are open.
//!
//! A domain key is wrapped by one root or several, each in a device of its own or outside of all (a
//! recovery key); any one opens it. The devices are asked once a live domain key at start and, mixed
//! with the system's generator, for the randomness of new keys. They block, so they are called here off
//! the async threads. Nothing falls back to software.
//!
//! | module | role |
//! |---|---|
//! | `deployment`, `binding` | `deployment.json`, and that nobody else wrote it |
//! | `open` | how the domain keys are opened |
//! | `change`, `renew` | new wraps, other roots, fewer of them |
//! | `destroy` | root keys that nothing needs any more, out of their devices |
//! | `status`, `proofs` | what wraps what, and what of it was seen to open |
//! | `shared` | the copy that several nodes have of `deployment.json` |
//! | `turns` | how many requests wait for the devices |
//! | `watch` | looking after the devices meanwhile |
//! | `recovery` | a key outside of all devices, split among custodians |
mod binding;
mod change;
mod deployment;
mod destroy;
mod error;
mod open;
mod proofs;
pub mod recovery;
mod renew;
mod shared;
mod status;
mod turns;
mod watch;

pub use change::Changed;
pub use deployment::{Deployment, DomainKey, Wrap};
pub use error::RootError;
pub use shared::{Other, Shared};
pub use status::{DeviceStatus, DomainKeyStatus, RootStatus, WrapStatus};

use crate::devices::Devices;
use crate::memory::LockedKey;
use crate::random::Random;
use crate::seal::{self, Key32, Label, token};
use crate::store::{RowKeys, StoreError};
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use proofs::Proofs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use turns::Turns;
use zeroize::Zeroizing;

/// In place of a domain key that is not there. There always is one: all constructors put one in.
const NO_KEY: [u8; 32] = [0; 32];
/// How many bytes of a device's generator go into a new key.
const DEVICE_SHARE: usize = 32;

/// An open deployment: its devices and its domain keys.
pub struct RootOfTrust {
    devices: Arc<Devices>,
    random: Arc<dyn Random>,
    data: PathBuf,
    cluster: [u8; 16],
    domain_keys: BTreeMap<u32, Arc<LockedKey>>,
    /// As it is in the file.
    deployment: Mutex<Deployment>,
    /// Where several nodes serve it.
    shared: OnceLock<Arc<dyn Shared>>,
    /// Held by who changes the wraps: one at a time. True: no more changes are made.
    changing: Mutex<bool>,
    /// Of those that wait for a device's randomness.
    turns: Turns,
    proofs: Proofs,
    /// The devices that could not be used at the last look, and why. Locked by who looks.
    away: Mutex<BTreeMap<String, String>>,
    /// Each device's last block of random bytes: one that repeats is a broken generator.
    last_blocks: Mutex<BTreeMap<String, [u8; DEVICE_SHARE]>>,
}

impl std::fmt::Debug for RootOfTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootOfTrust").field("devices", &self.devices).finish_non_exhaustive()
    }
}

impl RootOfTrust {
    /// Creates the root key in the first device and a first domain key under it. The deployment file is
    /// written last and says that the store behind it is not ready yet: [`RootOfTrust::mark_ready`].
    pub fn create(
        devices: Arc<Devices>,
        random: Arc<dyn Random>,
        data: &Path,
    ) -> Result<Self, RootError> {
        let Some(device) = devices.all().first().cloned() else {
            return Err(RootError::Refused("there is no device to make a root key in".into()));
        };
        let cluster = random.uuid();
        let root = RootKeyId::new(format!("claviger/{cluster}/rk-d/1"));
        device.hsm.create_root_key(&root)?;
        device.hsm.check_root_key(&root)?;
        let key = mix(&*device.hsm, &*random, &mut [0; DEVICE_SHARE])?;
        let domain_key = DomainKey {
            generation: 1,
            check: deployment::Check::of(key.expose()),
            wraps: vec![change::wrap(&device, cluster.as_bytes(), 1, &root, key.expose())?],
        };
        let mut deployment = Deployment::new(cluster, domain_key);
        deployment.bind(key.expose());
        deployment.write(data)?;
        // What was written must open again before anything depends on it.
        let written = Deployment::read(data)?.ok_or_else(|| RootError::Deployment {
            path: Deployment::path(data),
            what: "is gone right after it was written".into(),
        })?;
        Self::open(devices, random, data, written)
    }

    /// Opens every domain key with the devices. Reads only: a wrong device changes nothing.
    pub fn open(
        devices: Arc<Devices>,
        random: Arc<dyn Random>,
        data: &Path,
        deployment: Deployment,
    ) -> Result<Self, RootError> {
        let proofs = Proofs::default();
        let domain_keys = open::domain_keys(&devices, data, &deployment, &proofs)?;
        let mut root = Self::with_keys(devices, random, data, deployment, domain_keys);
        proofs.tell();
        root.proofs = proofs;
        Ok(root)
    }

    /// With domain keys that were opened otherwise.
    fn with_keys(
        devices: Arc<Devices>,
        random: Arc<dyn Random>,
        data: &Path,
        deployment: Deployment,
        domain_keys: BTreeMap<u32, Arc<LockedKey>>,
    ) -> Self {
        Self {
            devices,
            random,
            data: data.to_owned(),
            cluster: deployment.cluster(),
            domain_keys,
            deployment: Mutex::new(deployment),
            shared: OnceLock::new(),
            changing: Mutex::default(),
            turns: Turns::default(),
            proofs: Proofs::default(),
            away: Mutex::default(),
            last_blocks: Mutex::default(),
        }
    }

    /// The deployment as it is in the file.
    fn deployment(&self) -> MutexGuard<'_, Deployment> {
        // It is replaced whole.
        self.deployment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file of the first format anew, with its MAC. For when the store has opened by the domain
    /// keys, which proves them.
    pub fn bind(&self) -> Result<(), RootError> {
        let mut deployment = self.deployment();
        if !deployment.is_first() {
            return Ok(());
        }
        let mut bound = deployment.clone();
        bound.bind(self.oldest());
        bound.write(&self.data)?;
        *deployment = bound;
        tracing::warn!("deployment.json was of the first format, without a MAC, and has one now");
        Ok(())
    }

    /// Says that the store is made: from now on an empty one is a lost one.
    pub fn mark_ready(&self) -> Result<(), RootError> {
        let mut deployment = self.deployment();
        let mut ready = deployment.clone();
        ready.ready = true;
        ready.bind(self.oldest());
        ready.write(&self.data)?;
        *deployment = ready;
        Ok(())
    }

    pub fn cluster(&self) -> [u8; 16] {
        self.cluster
    }

    /// What the store seals its rows with.
    pub fn row_keys(&self) -> Result<RowKeys, StoreError> {
        RowKeys::new(self.cluster, self.domain_keys.clone())
    }

    /// The key of the audit log's chain: of the oldest generation, as the log outlives generations.
    pub fn audit_key(&self) -> Key32 {
        seal::derive(self.oldest(), Label::AUDIT, &self.cluster)
    }

    /// What backups are vouched for with: of the oldest generation, as they outlive generations.
    pub fn backup_key(&self) -> Key32 {
        seal::derive(self.oldest(), Label::BACKUP, &self.cluster)
    }

    /// What the anchor of the store is vouched for with: of the oldest generation, likewise.
    pub fn anchor_key(&self) -> Key32 {
        seal::derive(self.oldest(), Label::ANCHOR, &self.cluster)
    }

    fn oldest(&self) -> &[u8; 32] {
        self.domain_keys.first_key_value().map_or(&NO_KEY, |(_, key)| key.expose())
    }

    fn sub_key(&self, domain_key: Option<&Arc<LockedKey>>, label: Label) -> Key32 {
        seal::derive(domain_key.map_or(&NO_KEY, |key| key.expose()), label, &self.cluster)
    }

    /// New key material: the system's generator and the device's, mixed, so that either may be weak.
    pub async fn fresh_key(self: &Arc<Self>) -> Result<LockedKey, HsmError> {
        let root = self.clone();
        self.turns.run(move || root.mix()).await
    }

    fn last_blocks(&self) -> MutexGuard<'_, BTreeMap<String, [u8; DEVICE_SHARE]>> {
        // Every change is one insert: a panic elsewhere cannot leave it half done.
        self.last_blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the first device that answers.
    fn mix(&self) -> Result<LockedKey, HsmError> {
        let mut first = None;
        for device in self.devices.all() {
            // Not locked while the device is asked: others need not wait for it.
            let mut last = self.last_blocks().get(&device.name).copied().unwrap_or_default();
            match mix(&*device.hsm, &*self.random, &mut last) {
                Ok(key) => {
                    let before = self.last_blocks().insert(device.name.clone(), last);
                    return if before == Some(last) { Err(repeats()) } else { Ok(key) };
                }
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let none = || HsmError::Unavailable("there is no device".into());
        Err(first.unwrap_or_else(none))
    }

    /// Seals a token of one kind and context under the newest domain key.
    pub fn seal_token(
        &self,
        label: Label,
        context: &[&[u8]],
        random: &dyn Random,
        payload: &[u8],
    ) -> Vec<u8> {
        let (generation, key) = match self.domain_keys.last_key_value() {
            Some((generation, key)) => (*generation, Some(key)),
            None => (0, None),
        };
        let key = self.sub_key(key, label);
        token::seal(key.expose(), generation, label, context, random, payload)
    }

    pub fn open_token(
        &self,
        label: Label,
        context: &[&[u8]],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let parsed = token::Token::parse(sealed).ok()?;
        let key = self.domain_keys.get(&parsed.generation())?;
        parsed.open(self.sub_key(Some(key), label).expose(), label, context).ok()
    }
}

/// Random bytes of a device and of the system in one key. `last` is the device's last block; it becomes
/// this one.
fn mix(
    hsm: &dyn Hsm,
    random: &dyn Random,
    last: &mut [u8; DEVICE_SHARE],
) -> Result<LockedKey, HsmError> {
    let mut block = Zeroizing::new([0; DEVICE_SHARE]);
    hsm.random(&mut *block)?;
    let constant = block.windows(2).all(|pair| pair.first() == pair.last());
    if constant || *last == *block {
        return Err(repeats());
    }
    *last = *block;
    let system = Zeroizing::new(random.bytes::<32>());
    let mixed = seal::derive(&system, Label::RNG_MIX, &*block);
    Ok(LockedKey::new(mixed.expose()))
}

fn repeats() -> HsmError {
    let text = "its random generator repeats itself: no key may be made from it";
    HsmError::Unavailable(text.into())
}

/// What a wrap is bound to, so that none can be moved to another deployment, generation or root.
fn wrap_aad(cluster: &[u8; 16], generation: u32, root: &RootKeyId) -> Vec<u8> {
    let root = root.to_string();
    let parts: [&[u8]; 4] =
        [b"claviger/v1/domain-key", cluster, &generation.to_be_bytes(), root.as_bytes()];
    seal::length_prefixed(&parts)
}

#[cfg(test)]
mod tests;
