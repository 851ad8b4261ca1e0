//! The keys of a run. They live in the device under a label of their own, and are destroyed when the run
//! ends; what a run left that was killed, the next one destroys.
use crate::random::Random;
use claviger_hsm::{Hsm, HsmError, ResidentId, ResidentKeys, ResidentSpec, RootKeyId};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of all of them begin with. No key of anybody else does.
pub(super) const LABEL: &str = "claviger/bench/";

pub(super) struct Keys<'a> {
    pub device: &'a dyn Hsm,
    root: Option<RootKeyId>,
    /// [`LABEL`] and eight random bytes.
    run: String,
    next: AtomicU64,
}

impl<'a> Keys<'a> {
    /// Destroys what earlier runs left.
    pub fn new(
        device: &'a dyn Hsm,
        root: Option<RootKeyId>,
        random: &dyn Random,
    ) -> Result<Self, HsmError> {
        device.probe()?;
        let run = format!("{LABEL}{}/", hex::encode(random.bytes::<8>()));
        let keys = Self { device, root, run, next: AtomicU64::new(0) };
        keys.sweep(LABEL)?;
        Ok(keys)
    }

    pub fn root(&self) -> Result<&RootKeyId, HsmError> {
        self.root.as_ref().ok_or_else(|| {
            HsmError::Unsupported(
                "it has no root key to wrap with: `claviger init` makes one, or `claviger root \
                 add-wrap`"
                    .into(),
            )
        })
    }

    pub fn resident(&self) -> Result<&'a dyn ResidentKeys, HsmError> {
        let none = || HsmError::Unsupported("it keeps no keys of customers".into());
        self.device.resident().ok_or_else(none)
    }

    /// A name that no key has.
    pub fn name(&self) -> ResidentId {
        ResidentId::new(format!("{}{}", self.run, self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// A key that stays until the run ends.
    pub fn make(&self, spec: ResidentSpec) -> Result<ResidentId, HsmError> {
        let resident = self.resident()?;
        if !resident.specs().contains(&spec) {
            return Err(HsmError::Unsupported(format!("it has no keys for {spec}")));
        }
        let id = self.name();
        resident.generate(&id, spec)?;
        Ok(id)
    }

    /// Destroys every key of this run.
    pub fn clear(&self) -> Result<(), HsmError> {
        self.sweep(&self.run)
    }

    fn sweep(&self, label: &str) -> Result<(), HsmError> {
        let Some(resident) = self.device.resident() else { return Ok(()) };
        let mut refused = Ok(());
        for id in resident.resident_keys()? {
            if id.as_str().starts_with(label) {
                // The others are destroyed all the same.
                refused = resident.destroy(&id).and(refused);
            }
        }
        refused
    }
}
