//! Looks after the devices while the deployment serves: a device that answers may still have lost its
//! root key, and one that comes back may be another one. So each look opens the wraps.
use super::open::Seen;
use super::proofs::Tried;
use super::{Deployment, RootOfTrust};
use crate::devices::Device;
use crate::types::Timestamp;
use claviger_hsm::RootKeyId;
use std::collections::BTreeMap;
use std::sync::TryLockError;

impl RootOfTrust {
    /// What each device has now.
    pub(super) fn seen(&self) -> Seen<'_> {
        let missing =
            |device: &Device, roots: &[RootKeyId]| self.proofs.missing(&device.name, roots);
        Seen::look(&self.devices).ask_for(missing)
    }

    /// Looks at every device and opens every wrap in it. Says in the log who went and who came back.
    /// Answers how many cannot be used; nothing if somebody else looks at this moment, or the
    /// deployment was changed meanwhile: what was looked at is not what there is. Blocks.
    pub fn look(&self, now: Timestamp) -> Option<usize> {
        let mut last = match self.away.try_lock() {
            Ok(last) => last,
            // It is replaced whole.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let deployment = self.deployment().clone();
        self.proofs.keep(&deployment.wraps().map(|wrap| &wrap.root).collect());
        let mut away = BTreeMap::new();
        for (device, roots) in self.seen().all() {
            if *self.deployment() != deployment {
                return None;
            }
            let looked = match roots {
                Ok(roots) => self.open_all(device, roots, &deployment, now),
                Err(error) => {
                    self.proofs.away(&device.name);
                    Err(error.to_string())
                }
            };
            if let Err(why) = looked {
                away.insert(device.name.clone(), why);
            }
        }
        let before = std::mem::replace(&mut *last, away.clone());
        for (device, why) in &away {
            if !before.contains_key(device) {
                tracing::error!(device, why, "a device cannot be used");
            }
        }
        for device in before.keys().filter(|device| !away.contains_key(*device)) {
            tracing::warn!(device, "a device is back, and opens what it wraps");
        }
        Some(away.len())
    }

    /// Opens each wrap whose root this device has; why it cannot, if so.
    fn open_all(
        &self,
        device: &Device,
        roots: &[RootKeyId],
        deployment: &Deployment,
        now: Timestamp,
    ) -> Result<(), String> {
        let mut outcome = self.proofs.has(&device.name, roots);
        for domain_key in &deployment.domain_keys {
            for wrap in domain_key.wraps.iter().filter(|wrap| roots.contains(&wrap.root)) {
                let tried = Tried::new(domain_key.generation, &wrap.root, &device.name);
                if device.sparing && self.proofs.holds_for(&tried) {
                    continue;
                }
                if let Err(error) = self.prove(device, domain_key.generation, wrap, now) {
                    outcome = Err(error.to_string());
                }
            }
        }
        outcome
    }

    /// Whether every domain key was opened by some device that has not been away since.
    pub fn is_reachable(&self) -> bool {
        let deployment = self.deployment().clone();
        deployment.domain_keys.iter().all(|domain_key| {
            let mut wraps = domain_key.wraps.iter().filter(|wrap| !wrap.is_recovery());
            wraps.any(|wrap| self.proofs.holds(domain_key.generation, &wrap.root))
        })
    }
}
