//! The wraps made anew: under the same roots, or under the next one in the same device.
use super::deployment::Deployment;
use super::open::Seen;
use super::recovery::{self, PublicKey};
use super::{Changed, RootError, RootOfTrust, wrap_aad};
use crate::devices::Device;
use crate::types::Timestamp;
use claviger_hsm::RootKeyId;

impl RootOfTrust {
    /// Makes every wrap anew, under the root that it has, in the device that opens it now.
    pub fn rewrap(&self, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let before = self.deployment().clone();
        let mut next = before.clone();
        let (seen, mut changed) = (self.seen(), Changed::default());
        let mut roots: Vec<&RootKeyId> = before.wraps().map(|wrap| &wrap.root).collect();
        roots.sort_unstable();
        roots.dedup();
        for root in roots {
            if recovery::is_recovery(root) {
                let public = self.recovery_key(&before, root)?;
                for generation in self.domain_keys.keys() {
                    next.put(*generation, self.wrap_for_recovery(&public, *generation)?);
                }
            } else {
                match self.opener(&seen, &before, root, now)? {
                    Ok(device) => self.wrap_all(device, root, &mut next)?,
                    Err(why) => {
                        changed.left.push(format!("{root} as it was: {why}"));
                        continue;
                    }
                }
            }
            changed.wrapped.push(root.to_string());
        }
        self.keep(next, now)?;
        Ok(changed)
    }

    /// The device that has this root key and opens what it wraps, or why there is none. Names of root
    /// keys are no secret: a key of the same name in another device is another key, and no wrap may be
    /// made by it.
    fn opener<'a>(
        &self,
        seen: &Seen<'a>,
        deployment: &Deployment,
        root: &RootKeyId,
        now: Timestamp,
    ) -> Result<Result<&'a Device, String>, RootError> {
        let (mut opens, mut closed) = (None, Vec::new());
        for device in seen.with(root) {
            match self.opens_with(device, deployment, root, now) {
                Ok(()) => {
                    opens.get_or_insert(device);
                }
                Err(error) => closed.push(format!("device {}: {error}", device.name)),
            }
        }
        match (opens, closed.as_slice()) {
            (Some(device), []) => Ok(Ok(device)),
            (Some(device), some) => Err(RootError::Refused(format!(
                "a key named {root} that does not open what {root} of device {} wraps is in another \
                 device: {}. Take that device out of the configuration, or the key out of it",
                device.name,
                some.join("; ")
            ))),
            (None, []) => Ok(Err("no device that can be reached has it".into())),
            (None, some) => Ok(Err(format!(
                "{}. `claviger root rotate` makes another root key in its place",
                some.join("; ")
            ))),
        }
    }

    /// Opens every wrap by this root with this device.
    fn opens_with(
        &self,
        device: &Device,
        deployment: &Deployment,
        root: &RootKeyId,
        now: Timestamp,
    ) -> Result<(), RootError> {
        for domain_key in &deployment.domain_keys {
            for wrap in domain_key.wraps.iter().filter(|wrap| wrap.root == *root) {
                self.prove(device, domain_key.generation, wrap, now)?;
            }
        }
        Ok(())
    }

    /// The public key of a recovery root, out of a wrap that was made by who had the domain key: who can
    /// write the file only cannot put another in its place.
    fn recovery_key(
        &self,
        deployment: &Deployment,
        root: &RootKeyId,
    ) -> Result<PublicKey, RootError> {
        let mut all = deployment.domain_keys.iter().flat_map(|domain_key| {
            domain_key.wraps.iter().map(|wrap| (domain_key.generation, wrap))
        });
        let Some((generation, wrap)) = all.find(|(_, wrap)| wrap.root == *root) else {
            return Err(RootError::Refused(format!("no wrap is for {root}")));
        };
        let key = self.domain_key(generation)?;
        let aad = wrap_aad(&self.cluster, generation, root);
        Ok(PublicKey::of_wrap(&wrap.wrapped(), key, &aad)?)
    }

    /// The next root key in the same device, in place of the one that it has.
    pub fn rotate(&self, device: &str, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let device = self.device(device)?;
        let before = self.deployment().clone();
        let mut next = before.clone();
        let present = device.hsm.root_keys()?;
        let old: Vec<RootKeyId> =
            next.roots().filter(|root| present.contains(root)).cloned().collect();
        if old.is_empty() {
            let text =
                format!("device {0} wraps nothing: `claviger root add-wrap {0}`", device.name);
            return Err(RootError::Refused(text));
        }
        let root = self.fresh_root(device, &next)?;
        self.wrap_all(device, &root, &mut next)?;
        let mut changed = Changed { wrapped: vec![root.to_string()], ..Changed::default() };
        let seen = self.seen();
        let is_away = seen.all().any(|(_, roots)| roots.is_err());
        for root in old {
            if changed.removed.contains(&root.to_string()) {
                continue;
            }
            match seen.with(&root).find(|other| other.name != device.name) {
                Some(other) => changed.left.push(format!(
                    "{root}, which device {} has too: rotate that one, then retire it",
                    other.name
                )),
                // It may be the key of a device that is away, and this one of the same name another.
                None if is_away && self.opens_with(device, &before, &root, now).is_err() => {
                    changed.left.push(format!(
                        "{root}, which does not open in device {}: retire it when every device is there",
                        device.name
                    ));
                }
                None => match self.needed_by_node(&root, &next, false)? {
                    Some(why) => changed.left.push(format!("{root}: {why} yet; retire it later")),
                    None => {
                        next.remove_root(&root);
                        changed.removed.push(root.to_string());
                    }
                },
            }
        }
        let away = seen.all().filter(|(_, roots)| roots.is_err());
        changed.left.extend(away.map(|(device, _)| {
            format!(
                "device {}, which cannot be asked: if it has one of these roots, it opens nothing \
                     any more",
                device.name
            )
        }));
        self.keep(next, now)?;
        changed.removed.iter().for_each(|root| self.proofs.forget(&RootKeyId::new(root.as_str())));
        Ok(changed)
    }
}
