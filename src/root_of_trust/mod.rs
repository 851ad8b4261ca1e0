//! The root of trust: the device that wraps the domain keys, and the domain keys while they are open.
//!
//! The device is asked once a live domain key at start and, mixed with the system's generator, for
//! the randomness of new keys. It blocks, so it is called here and nowhere else, off the async
//! threads. Nothing falls back to software.
mod deployment;

pub use deployment::{Deployment, DomainKey, Wrap};

use crate::memory::LockedKey;
use crate::random::Random;
use crate::seal::{self, Key32, Label, token};
use crate::store::{RowKeys, StoreError};
use claviger_hsm::{Hsm, HsmError, KeyBytes, RootKeyId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How many bytes of the device's generator go into a new key.
const DEVICE_SHARE: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{0}")]
    Device(#[from] HsmError),
    #[error("{path}: {what}")]
    Deployment { path: PathBuf, what: String },
    #[error(
        "this is not the token that protects {path}: its domain keys are wrapped by root key \
         {wanted:?} of {device}; the token that was opened ({found}) has {present}. Nothing was \
         changed. Open the token that the deployment was made with."
    )]
    OtherDevice { path: PathBuf, wanted: String, device: String, found: String, present: String },
    #[error(
        "root key {root:?} of {device} does not open domain key {generation} of {path}: the token's \
         key is another one than it was, or the file was changed. Nothing was changed."
    )]
    WrongKey { path: PathBuf, root: String, device: String, generation: u32 },
}

/// An open deployment: its device and its domain keys.
pub struct RootOfTrust {
    hsm: Arc<dyn Hsm>,
    random: Arc<dyn Random>,
    cluster: [u8; 16],
    domain_keys: BTreeMap<u32, Arc<LockedKey>>,
    /// The device's last block of random bytes: one that repeats is a broken generator.
    last_block: Mutex<[u8; DEVICE_SHARE]>,
}

impl std::fmt::Debug for RootOfTrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootOfTrust").field("hsm", &self.hsm).finish_non_exhaustive()
    }
}

impl RootOfTrust {
    /// Creates the root key in the device and a first domain key under it. The deployment file is
    /// written last and says that the store behind it is not ready yet: [`Deployment::mark_ready`].
    pub fn create(
        hsm: Arc<dyn Hsm>,
        random: Arc<dyn Random>,
        data: &Path,
    ) -> Result<(Self, Deployment), RootError> {
        let cluster = random.uuid();
        let root = RootKeyId::new(format!("claviger/{cluster}/rk-d/1"));
        hsm.create_root_key(&root)?;
        hsm.check_root_key(&root)?;
        let empty = Self {
            hsm: hsm.clone(),
            random: random.clone(),
            cluster: *cluster.as_bytes(),
            domain_keys: BTreeMap::new(),
            last_block: Mutex::new([0; DEVICE_SHARE]),
        };
        let domain_key = empty.wrap(&root, 1, empty.mix()?.expose())?;
        Deployment::new(cluster, domain_key).write(data)?;
        // What was written must open again before anything depends on it.
        let written = Deployment::read(data)?.ok_or_else(|| RootError::Deployment {
            path: Deployment::path(data),
            what: "is gone right after it was written".into(),
        })?;
        Ok((Self::open(hsm, random, data, &written)?, written))
    }

    /// Opens every domain key with the device. Reads only: a wrong device changes nothing.
    pub fn open(
        hsm: Arc<dyn Hsm>,
        random: Arc<dyn Random>,
        data: &Path,
        deployment: &Deployment,
    ) -> Result<Self, RootError> {
        let present = hsm.root_keys()?;
        let mut domain_keys = BTreeMap::new();
        for domain_key in &deployment.domain_keys {
            let ours = domain_key.wraps.iter().find(|wrap| present.contains(&wrap.root));
            let Some(wrap) = ours else {
                return Err(other_device(&*hsm, &present, domain_key, data));
            };
            hsm.check_root_key(&wrap.root)?;
            let aad = wrap_aad(&deployment.cluster(), domain_key.generation, &wrap.root);
            let wrong = || RootError::WrongKey {
                path: Deployment::path(data),
                root: wrap.root.to_string(),
                device: wrap.device.clone(),
                generation: domain_key.generation,
            };
            let opened = match hsm.unwrap(&wrap.wrapped(), &aad) {
                Ok(opened) => opened,
                Err(HsmError::Authentication) => return Err(wrong()),
                Err(error) => return Err(error.into()),
            };
            let bytes = Zeroizing::new(<[u8; 32]>::try_from(opened.expose()).map_err(|_| wrong())?);
            if !domain_key.check.matches(&bytes) {
                return Err(wrong());
            }
            domain_keys.insert(domain_key.generation, Arc::new(LockedKey::new(&bytes)));
        }
        let cluster = deployment.cluster();
        Ok(Self { hsm, random, cluster, domain_keys, last_block: Mutex::new([0; DEVICE_SHARE]) })
    }

    /// Wraps a domain key, and proves that the wrap opens before anybody relies on it.
    fn wrap(
        &self,
        root: &RootKeyId,
        generation: u32,
        key: &[u8; 32],
    ) -> Result<DomainKey, RootError> {
        let aad = wrap_aad(&self.cluster, generation, root);
        let wrapped = self.hsm.wrap(root, &KeyBytes::new(key.to_vec()), &aad)?;
        if self.hsm.unwrap(&wrapped, &aad)?.expose() != key {
            return Err(HsmError::Authentication.into());
        }
        let wrap = Wrap::new(device_name(&*self.hsm), wrapped);
        Ok(DomainKey { generation, check: deployment::Check::of(key), wraps: vec![wrap] })
    }

    pub fn device(&self) -> &Arc<dyn Hsm> {
        &self.hsm
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
        self.sub_key(self.domain_keys.values().next(), Label::AUDIT)
    }

    fn sub_key(&self, domain_key: Option<&Arc<LockedKey>>, label: Label) -> Key32 {
        // There always is a domain key: both constructors put one in.
        let none = [0; 32];
        let key = domain_key.map_or(&none, |key| key.expose());
        seal::derive(key, label, &self.cluster)
    }

    /// New key material: the system's generator and the device's, mixed, so that either may be weak.
    pub async fn fresh_key(self: &Arc<Self>) -> Result<LockedKey, HsmError> {
        let root = self.clone();
        match tokio::task::spawn_blocking(move || root.mix()).await {
            Ok(key) => key,
            Err(_) => Err(HsmError::Unavailable("the device call did not end".into())),
        }
    }

    fn mix(&self) -> Result<LockedKey, HsmError> {
        let mut block = Zeroizing::new([0; DEVICE_SHARE]);
        self.hsm.random(&mut *block)?;
        let constant = block.windows(2).all(|pair| pair.first() == pair.last());
        let mut last = self.last_block.lock().unwrap_or_else(PoisonError::into_inner);
        if constant || *last == *block {
            let text = "its random generator repeats itself: no key may be made from it";
            return Err(HsmError::Unavailable(text.into()));
        }
        *last = *block;
        let system = Zeroizing::new(self.random.bytes::<32>());
        let mixed = seal::derive(&system, Label::RNG_MIX, &*block);
        Ok(LockedKey::new(mixed.expose()))
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

/// What a wrap is bound to, so that none can be moved to another deployment, generation or root.
fn wrap_aad(cluster: &[u8; 16], generation: u32, root: &RootKeyId) -> Vec<u8> {
    let root = root.to_string();
    let parts: [&[u8]; 4] =
        [b"claviger/v1/domain-key", cluster, &generation.to_be_bytes(), root.as_bytes()];
    seal::length_prefixed(&parts)
}

fn other_device(
    hsm: &dyn Hsm,
    present: &[RootKeyId],
    domain_key: &DomainKey,
    data: &Path,
) -> RootError {
    let wrap = domain_key.wraps.first();
    let names: Vec<String> = present.iter().map(ToString::to_string).collect();
    RootError::OtherDevice {
        path: Deployment::path(data),
        wanted: wrap.map(|w| w.root.to_string()).unwrap_or_default(),
        device: wrap.map(|w| w.device.clone()).unwrap_or_default(),
        found: device_name(hsm),
        present: if names.is_empty() {
            "no root keys".into()
        } else {
            format!("the root keys {}", names.join(", "))
        },
    }
}

/// A device in words: what to look for when it is not there.
fn device_name(hsm: &dyn Hsm) -> String {
    let info = hsm.info();
    format!("token {:?} ({} {}, serial {})", info.label, info.vendor, info.model, info.serial)
}
