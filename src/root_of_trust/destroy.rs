//! Root keys that nothing needs any more are destroyed in their devices: those that were retired, and
//! those that a change left behind which did not come to its end.
use super::{Changed, RootError, RootOfTrust};
use crate::devices::Device;
use crate::types::Timestamp;
use claviger_hsm::{HsmError, RootKeyId};

impl RootOfTrust {
    /// Destroys a root key of this deployment in every device that can be reached and has it, once it
    /// wraps nothing and it is proved in this very call that every domain key opens in a device without
    /// it. Copies of `deployment.json` in which it still wraps something do not open by it any more; where a
    /// TPM derives its root keys, not until TPM2_Clear ([`claviger_hsm::Hsm::destroy_root_key`]).
    pub fn destroy(&self, root: &str, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let refused = |text: String| Err(RootError::Refused(text));
        let deployment = self.deployment().clone();
        let root = RootKeyId::new(root);
        if deployment.wraps().any(|wrap| wrap.root == root) {
            return refused(format!("{root} wraps domain keys: retire it first"));
        }
        if deployment.root_number(&root).is_none() {
            return refused(format!(
                "{root:?} is no root key of this deployment, whose names begin with {:?}",
                deployment.root_prefix()
            ));
        }
        let seen = self.seen();
        if seen.with(&root).next().is_none() {
            let devices = seen.all().map(|(device, roots)| match roots {
                Ok(roots) => {
                    let ours = roots.iter().filter(|id| deployment.root_number(id).is_some());
                    let ours: Vec<&str> = ours.map(RootKeyId::as_str).collect();
                    format!("device {} has {}", device.name, ours.join(", "))
                }
                Err(error) => format!("device {}: {error}", device.name),
            });
            let devices: Vec<String> = devices.collect();
            return refused(format!(
                "no device that can be reached has {root}. {}",
                devices.join("; ")
            ));
        }
        self.prove_without(&seen, &deployment, &root, now)?;
        if let Some(why) = self.needed_by_node(&root, &deployment, false)? {
            return refused(format!("{root} is needed: {why}"));
        }
        let mut done = Vec::new();
        for device in seen.with(&root) {
            if let Err(error) = destroy_in(device, &root) {
                let done = if done.is_empty() { "in none yet".into() } else { done.join(", ") };
                return refused(format!(
                    "device {} keeps {root}: {error}. Destroyed: {done}",
                    device.name
                ));
            }
            done.push(format!("in device {}", device.name));
        }
        self.proofs.forget(&root);
        let away = seen.all().filter(|(_, roots)| roots.is_err());
        let left = away.map(|(device, _)| {
            format!(
                "device {}, which cannot be asked, as it is: it may have {root} too",
                device.name
            )
        });
        let left = left.collect();
        Ok(Changed { destroyed: vec![root.to_string()], left, ..Changed::default() })
    }
}

/// And looks whether it is gone.
fn destroy_in(device: &Device, root: &RootKeyId) -> Result<(), HsmError> {
    device.hsm.destroy_root_key(root)?;
    match device.hsm.root_keys()?.contains(root) {
        true => {
            Err(HsmError::Unavailable("it says that it has destroyed it, and still has it".into()))
        }
        false => Ok(()),
    }
}
