//! Changes of the wrap set while the deployment serves: the domain keys stay what they are, only who
//! opens them changes.
//!
//! Each change makes its new wraps, sees each of them open, and replaces `deployment.json` once, whole. A
//! kill before that leaves the file as it was, and at most a root key in a device that nothing uses; the
//! next change of that device uses it.
use super::deployment::{Deployment, Wrap};
use super::open::{self, Failure, Seen};
use super::proofs::Tried;
use super::recovery::{self, PublicKey};
use super::{RootError, RootOfTrust, wrap_aad};
use crate::devices::Device;
use crate::types::Timestamp;
use claviger_hsm::{HsmError, KeyBytes, ResidentId, RootKeyId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::ErrorKind;
use std::sync::{MutexGuard, PoisonError};

/// Names that are passed over, at most, because something in the device bears them.
const MAX_HALVES: u64 = 64;

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The roots under which there are new wraps.
    pub wrapped: Vec<String>,
    /// The roots whose wraps are gone.
    pub removed: Vec<String>,
    /// The roots that are gone from their devices.
    #[serde(default)]
    pub destroyed: Vec<String>,
    /// What was there already, or was left as it was, and why.
    pub left: Vec<String>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wrapped
            .iter()
            .try_for_each(|root| writeln!(f, "wrapped by {root}: every domain key opens"))?;
        self.removed.iter().try_for_each(|root| writeln!(f, "removed {root}"))?;
        self.destroyed.iter().try_for_each(|root| writeln!(f, "destroyed {root}"))?;
        self.left.iter().try_for_each(|what| writeln!(f, "left {what}"))
    }
}

/// Wraps a domain key in a device, and proves that the wrap opens before anybody relies on it.
pub(super) fn wrap(
    device: &Device,
    cluster: &[u8; 16],
    generation: u32,
    root: &RootKeyId,
    key: &[u8; 32],
) -> Result<Wrap, RootError> {
    let aad = wrap_aad(cluster, generation, root);
    let wrapped = device.hsm.wrap(root, &KeyBytes::new(key.to_vec()), &aad)?;
    if device.hsm.unwrap(&wrapped, &aad)?.expose() != key {
        return Err(HsmError::Authentication.into());
    }
    Ok(Wrap::new(device.words(), wrapped))
}

impl RootOfTrust {
    /// The turn of who changes something.
    pub(super) fn change(&self) -> Result<MutexGuard<'_, bool>, RootError> {
        let turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if *turn {
            return Err(RootError::Refused("the server is stopping: nothing is changed".into()));
        }
        self.refresh()?;
        self.check_file()?;
        Ok(turn)
    }

    /// Whether the file is what this process has: the next start reads the file, and what is changed
    /// must be that.
    pub(super) fn check_file(&self) -> Result<(), RootError> {
        self.file().map(drop)
    }

    /// The text of the file, which says what this process has; an error if it does not.
    pub fn file(&self) -> Result<String, RootError> {
        let path = Deployment::path(&self.data);
        let bad = |what: String| RootError::Deployment { path: path.clone(), what };
        // Held meanwhile: whoever changes the file changes both under it.
        let here = self.deployment();
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => bad("is gone".into()),
            _ => bad(error.to_string()),
        })?;
        if Deployment::parse(&path, text.as_bytes())? != *here {
            let what = "is not what this server has read or written: somebody put another in its place. \
                        Nothing was changed now";
            return Err(bad(what.into()));
        }
        Ok(text)
    }

    /// Waits for the change that is being made, and lets none begin after it: who comes next reads the
    /// file. Blocks.
    pub fn end_changes(&self) {
        *self.changing.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub(super) fn device(&self, name: &str) -> Result<&Device, RootError> {
        self.devices.named(name).ok_or_else(|| {
            let names: Vec<&str> =
                self.devices.all().iter().map(|device| device.name.as_str()).collect();
            let text =
                format!("no device is named {name:?}; the configuration has {}", names.join(", "));
            RootError::Refused(text)
        })
    }

    /// Has every domain key wrapped in a device too. Does nothing where they are.
    pub fn add_wrap(&self, device: &str, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let device = self.device(device)?;
        let mut next = self.deployment().clone();
        let present = device.hsm.root_keys()?;
        let named = next
            .roots()
            .filter(|root| present.contains(root))
            .max_by_key(|root| next.root_number(root));
        let Some(root) = named.cloned() else {
            let root = self.fresh_root(device, &next)?;
            self.wrap_all(device, &root, &mut next)?;
            self.keep(next, now)?;
            return Ok(Changed { wrapped: vec![root.to_string()], ..Changed::default() });
        };
        // It is there, wholly or in part.
        let mut lacking = false;
        for domain_key in next.clone().domain_keys {
            match domain_key.wraps.iter().find(|wrap| wrap.root == root) {
                Some(wrap) => self.prove(device, domain_key.generation, wrap, now)?,
                None => {
                    let key = self.domain_key(domain_key.generation)?;
                    let made = wrap(device, &self.cluster, domain_key.generation, &root, key)?;
                    next.put(domain_key.generation, made);
                    lacking = true;
                }
            }
        }
        if lacking {
            self.keep(next, now)?;
            return Ok(Changed { wrapped: vec![root.to_string()], ..Changed::default() });
        }
        let left = vec![format!(
            "as it was: device {} has {root}, and it opens every domain key",
            device.name
        )];
        Ok(Changed { left, ..Changed::default() })
    }

    /// Has every domain key wrapped for a recovery key.
    pub fn add_recovery(&self, public: &PublicKey, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let mut next = self.deployment().clone();
        let root = public.root();
        for generation in self.domain_keys.keys() {
            let made = self.wrap_for_recovery(public, *generation)?;
            next.put(*generation, made);
        }
        self.keep(next, now)?;
        Ok(Changed { wrapped: vec![root.to_string()], ..Changed::default() })
    }

    pub(super) fn wrap_for_recovery(
        &self,
        public: &PublicKey,
        generation: u32,
    ) -> Result<Wrap, RootError> {
        let root = public.root();
        let aad = wrap_aad(&self.cluster, generation, &root);
        let key = self.domain_key(generation)?;
        Ok(Wrap::new(recovery::WORDS.into(), public.wrap(key, &aad, &*self.random)?))
    }

    /// Takes a root out of the set, once it is proved in this very call that every domain key opens in a
    /// device without it. `lost`: its device is gone for good, with whatever else it had.
    pub fn retire(&self, root: &str, lost: bool, now: Timestamp) -> Result<Changed, RootError> {
        let _one = self.change()?;
        let mut next = self.deployment().clone();
        let Some(root) =
            next.wraps().map(|wrap| &wrap.root).find(|id| id.as_str() == root).cloned()
        else {
            let mut names: Vec<&str> = next.wraps().map(|wrap| wrap.root.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let text = format!("no wrap is by {root:?}; there are wraps by {}", names.join(", "));
            return Err(RootError::Refused(text));
        };
        if !recovery::is_recovery(&root) {
            let seen = self.seen();
            self.prove_without(&seen, &next, &root, now)?;
            self.needed_by_none(&seen, &root, lost)?;
            if let Some(why) = self.needed_by_node(&root, &next, lost)? {
                return Err(RootError::Refused(format!("{root} is needed: {why}")));
            }
        }
        next.remove_root(&root);
        let last = recovery::is_recovery(&root) && !next.wraps().any(Wrap::is_recovery);
        self.keep(next, now)?;
        self.proofs.forget(&root);
        let left =
            last.then(|| "no recovery key: if every device is lost, so is everything".into());
        let left = left.into_iter().collect();
        Ok(Changed { removed: vec![root.to_string()], left, ..Changed::default() })
    }

    /// Whether every domain key opens by a device without this root, now.
    pub(super) fn prove_without(
        &self,
        seen: &Seen<'_>,
        deployment: &Deployment,
        root: &RootKeyId,
        now: Timestamp,
    ) -> Result<(), RootError> {
        for domain_key in &deployment.domain_keys {
            let others = domain_key.wraps.iter().filter(|w| w.root != *root && !w.is_recovery());
            let mut tried = Vec::new();
            let mut opens = false;
            for wrap in others {
                for device in seen.with(&wrap.root) {
                    match self.prove(device, domain_key.generation, wrap, now) {
                        Ok(()) => opens = true,
                        Err(error) => {
                            tried.push(format!("{} in device {}: {error}", wrap.root, device.name))
                        }
                    }
                }
            }
            if !opens {
                let tried =
                    if tried.is_empty() { "there is none".into() } else { tried.join("; ") };
                return Err(RootError::Refused(format!(
                    "{root} is needed: no other root in a device that can be reached opens domain key \
                     {}. {tried}",
                    domain_key.generation
                )));
            }
        }
        Ok(())
    }

    /// Refuses if the device of a root has keys that live in it, or cannot be asked.
    fn needed_by_none(
        &self,
        seen: &Seen<'_>,
        root: &RootKeyId,
        lost: bool,
    ) -> Result<(), RootError> {
        let mut found = false;
        for device in seen.with(root) {
            found = true;
            let keys = self.resident_keys(device)?;
            if !keys.is_empty() && !lost {
                return Err(RootError::Refused(format!(
                    "device {} is needed: {} KMS keys live in it, such as {}. Schedule their deletion \
                     first, or move what they protect",
                    device.name,
                    keys.len(),
                    keys.first().map(ToString::to_string).unwrap_or_default()
                )));
            }
        }
        if !found && !lost {
            return Err(RootError::Refused(format!(
                "no device that can be reached has {root}, so nobody can say what else it is needed \
                 for. If that device is gone for good, say --lost"
            )));
        }
        Ok(())
    }

    /// The keys of this deployment that live in a device.
    pub(super) fn resident_keys(&self, device: &Device) -> Result<Vec<ResidentId>, RootError> {
        let prefix = format!("claviger/{}/key/", uuid::Uuid::from_bytes(self.cluster));
        let Some(keys) = device.hsm.resident() else { return Ok(Vec::new()) };
        let mut all = keys.resident_keys()?;
        all.retain(|id| id.as_str().starts_with(&prefix));
        Ok(all)
    }

    /// A root key of a device that wraps nothing: one that a change made which did not come to its end,
    /// or a new one.
    pub(super) fn fresh_root(
        &self,
        device: &Device,
        deployment: &Deployment,
    ) -> Result<RootKeyId, RootError> {
        let last = deployment.last_root();
        let number = |root: &RootKeyId| deployment.root_number(root);
        let mut unused = device.hsm.root_keys()?;
        unused.retain(|root| number(root).is_some_and(|n| n > last));
        for root in unused {
            match device.hsm.check_root_key(&root) {
                Ok(()) => return Ok(root),
                // Made by halves, perhaps: tokens are not all safe from a kill.
                Err(why) => {
                    let device = &device.name;
                    tracing::warn!(%root, device, %why, "a root key that nothing uses is left alone");
                }
            }
        }
        // Above whatever any device has, so that no two have a root of one name.
        let highest = self
            .seen()
            .all()
            .flat_map(|(_, roots)| roots.unwrap_or_default())
            .filter_map(number)
            .max();
        let mut next = last.max(highest.unwrap_or_default());
        loop {
            next = next.saturating_add(1);
            let root = deployment.root(next);
            match device.hsm.create_root_key(&root) {
                Err(HsmError::KeyExists(_) | HsmError::DuplicateKey { .. })
                    if next < last.saturating_add(MAX_HALVES) => {}
                outcome => {
                    outcome?;
                    device.hsm.check_root_key(&root)?;
                    return Ok(root);
                }
            }
        }
    }

    pub(super) fn domain_key(&self, generation: u32) -> Result<&[u8; 32], RootError> {
        let key = self.domain_keys.get(&generation).map(|key| key.expose());
        key.ok_or_else(|| RootError::Refused(format!("domain key {generation} is not open")))
    }

    pub(super) fn wrap_all(
        &self,
        device: &Device,
        root: &RootKeyId,
        next: &mut Deployment,
    ) -> Result<(), RootError> {
        for generation in self.domain_keys.keys() {
            let key = self.domain_key(*generation)?;
            next.put(*generation, wrap(device, &self.cluster, *generation, root, key)?);
        }
        Ok(())
    }

    /// Opens a wrap with a device and compares it with the key in use.
    pub(super) fn prove(
        &self,
        device: &Device,
        generation: u32,
        wrap: &Wrap,
        now: Timestamp,
    ) -> Result<(), RootError> {
        let deployment = self.deployment().clone();
        let mut all = deployment.domain_keys.iter();
        let Some(domain_key) = all.find(|key| key.generation == generation) else {
            return Err(RootError::Refused(format!("there is no domain key {generation}")));
        };
        let tried = Tried::new(generation, &wrap.root, &device.name);
        match open::unwrap(device, &self.cluster, domain_key, wrap) {
            Ok(_) => {
                self.proofs.good(tried, Some(now));
                Ok(())
            }
            Err(failure) => {
                let why = failure.to_string();
                if self.proofs.bad(tried.clone(), why.clone()) {
                    tried.tell(&why);
                }
                Err(match failure {
                    Failure::Device(error) => error.into(),
                    Failure::Wrong => RootError::Refused(format!(
                        "the wrap of domain key {generation} by {} {failure}",
                        wrap.root
                    )),
                })
            }
        }
    }

    /// Replaces the file, once every wrap in a device that is new in it has opened again, out of what
    /// would be written.
    pub(super) fn keep(&self, mut next: Deployment, now: Timestamp) -> Result<(), RootError> {
        let before = self.deployment().clone();
        let known: Vec<_> = before.wraps().map(Wrap::wrapped).collect();
        let seen = self.seen();
        for domain_key in &next.domain_keys {
            let key = self.domain_key(domain_key.generation)?;
            if !domain_key.check.matches(key) {
                return Err(RootError::Refused("the domain key's check value is another's".into()));
            }
            let new = domain_key
                .wraps
                .iter()
                .filter(|w| !w.is_recovery() && !known.contains(&w.wrapped()));
            for wrap in new {
                if seen.with(&wrap.root).next().is_none() {
                    let (wanted, found) = (wrap.root.clone(), Vec::new());
                    return Err(HsmError::NoSuchKey { wanted, found }.into());
                }
                for device in seen.with(&wrap.root) {
                    self.prove(device, domain_key.generation, wrap, now)?;
                }
            }
        }
        if self.is_shared() {
            next.revision = Some(before.revision().saturating_add(1));
        }
        next.bind(self.oldest());
        // First where only one node can be the first. What a kill keeps from the file the next start
        // learns from there.
        self.publish(before.revision(), &next)?;
        let mut here = self.deployment();
        next.write(&self.data)?;
        *here = next;
        Ok(())
    }
}
