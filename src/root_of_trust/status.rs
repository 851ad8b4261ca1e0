//! What wraps what, and what of it was seen to open: for `claviger root status` and `drill`.
use super::proofs::{CUSTODIANS, Proof, Tried};
use super::recovery::DrillProof;
use super::{Deployment, DomainKey, RootError, RootOfTrust, Wrap};
use crate::devices::{Device, Devices};
use crate::types::Timestamp;
use claviger_hsm::{DeviceHealth, HsmError, RootKeyId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The devices and the wraps of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RootStatus {
    /// What is wrong with `deployment.json` itself.
    pub file: Option<String>,
    pub devices: Vec<DeviceStatus>,
    pub domain_keys: Vec<DomainKeyStatus>,
    /// Roots without which every domain key has another one, which a device has opened and has not been
    /// away since.
    pub could_be_retired: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    pub name: String,
    /// As it calls itself.
    pub device: String,
    /// Why it cannot be asked, or its root key cannot be used.
    pub away: Option<String>,
    /// How it has behaved since this process opened it.
    pub health: Option<DeviceHealth>,
    /// The root keys of this deployment in it that wrap something.
    pub roots: Vec<String>,
    /// Those that wrap nothing (any more).
    pub unused_roots: Vec<String>,
    /// KMS keys that live in it.
    pub resident_keys: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainKeyStatus {
    pub generation: u32,
    pub wraps: Vec<WrapStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrapStatus {
    pub root: String,
    /// The device that made it, as it called itself.
    pub made_by: String,
    /// The devices that can be reached and have its root.
    pub devices: Vec<String>,
    pub recovery: bool,
    /// When it was last seen to open; "at the start" of the server.
    pub opened: Option<String>,
    /// Why it did not.
    pub fault: Option<String>,
}

impl RootStatus {
    /// Wraps that did not open when they were tried.
    pub fn faults(&self) -> usize {
        self.wraps().filter(|(_, wrap)| wrap.fault.is_some()).count()
    }

    /// With the generations of their domain keys.
    fn wraps(&self) -> impl Iterator<Item = (u32, &WrapStatus)> {
        self.domain_keys
            .iter()
            .flat_map(|key| key.wraps.iter().map(move |wrap| (key.generation, wrap)))
    }

    /// What keeps a drill from being passed: another file than this process has, devices that cannot be
    /// used, and wraps that do not open or that no device can be asked for. A recovery key that no custodian was asked for is none.
    pub fn failures(&self) -> Vec<String> {
        let away = self.devices.iter().filter_map(|device| {
            device.away.as_ref().map(|why| format!("device {} cannot be used: {why}", device.name))
        });
        let closed = self.wraps().filter_map(|(generation, wrap)| {
            let why = match &wrap.fault {
                Some(fault) => fault.as_str(),
                None if !wrap.recovery && wrap.devices.is_empty() => {
                    "no device can be asked for it"
                }
                None => return None,
            };
            Some(format!(
                "the wrap of domain key {generation} by {} was not opened: {why}",
                wrap.root
            ))
        });
        self.file.iter().cloned().chain(away).chain(closed).collect()
    }
}

impl RootOfTrust {
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The names of all roots and recovery keys that wrap something.
    pub fn wrapped_by(&self) -> Vec<String> {
        let deployment = self.deployment().clone();
        let names: BTreeSet<&str> = deployment.wraps().map(|wrap| wrap.root.as_str()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The devices that can be reached and have this root key.
    pub fn devices_with(&self, root: &str) -> Vec<Device> {
        self.seen().with(&RootKeyId::new(root)).cloned().collect()
    }

    /// Asks the devices what they have, and looks at the root keys themselves; opens no wrap.
    pub fn status(&self) -> RootStatus {
        let deployment = self.deployment().clone();
        let seen = self.seen();
        let named: BTreeSet<&RootKeyId> = deployment.roots().collect();
        self.proofs.keep(&deployment.wraps().map(|wrap| &wrap.root).collect());
        let devices: Vec<DeviceStatus> = seen
            .all()
            .map(|(device, roots)| self.device_status(device, roots, &deployment, &named))
            .collect();
        let usable = |name: &String| devices.iter().any(|d| d.name == *name && d.away.is_none());
        let wraps = |domain_key: &DomainKey| {
            let wrap = |wrap: &Wrap| {
                let has = seen.with(&wrap.root).map(|device| device.name.clone());
                self.wrap_status(domain_key.generation, wrap, has.filter(usable).collect())
            };
            domain_key.wraps.iter().map(wrap).collect()
        };
        let domain_keys = deployment.domain_keys.iter().map(|domain_key| DomainKeyStatus {
            generation: domain_key.generation,
            wraps: wraps(domain_key),
        });
        let domain_keys: Vec<DomainKeyStatus> = domain_keys.collect();
        let could_be_retired = named.iter().map(ToString::to_string);
        let could_be_retired = could_be_retired.filter(|root| spare(&domain_keys, root)).collect();
        let file = self.check_file().err().map(|error| error.to_string());
        RootStatus { file, devices, domain_keys, could_be_retired }
    }

    fn device_status(
        &self,
        device: &Device,
        roots: Result<&[RootKeyId], &HsmError>,
        deployment: &Deployment,
        named: &BTreeSet<&RootKeyId>,
    ) -> DeviceStatus {
        let ours = roots.iter().flat_map(|roots| roots.iter());
        let ours =
            ours.filter(|root| deployment.root_number(root).is_some() || named.contains(root));
        let (used, unused): (Vec<&RootKeyId>, _) = ours.partition(|root| named.contains(root));
        // A device may list what it cannot use any more.
        let looked = match roots {
            Ok(_) if device.sparing => Ok(()),
            Ok(_) => used.iter().try_for_each(|root| device.hsm.check_root_key(root)),
            Err(error) => Err(error.clone()),
        };
        let looked = looked.map_err(|error| error.to_string());
        let looked = match (looked, roots) {
            // One that was made meanwhile is not missing.
            (Ok(()), Ok(roots)) if *self.deployment() == *deployment => {
                self.proofs.has(&device.name, roots)
            }
            (outcome, _) => outcome.inspect_err(|_| self.proofs.away(&device.name)),
        };
        let text = |roots: Vec<&RootKeyId>| roots.into_iter().map(ToString::to_string).collect();
        DeviceStatus {
            name: device.name.clone(),
            device: device.words(),
            resident_keys: match &looked {
                Ok(()) => self.resident_keys(device).map_or(0, |keys| keys.len()),
                Err(_) => 0,
            },
            away: looked.err(),
            // Last: what was asked above is in it.
            health: device.hsm.health(),
            roots: text(used),
            unused_roots: text(unused),
        }
    }

    fn wrap_status(&self, generation: u32, wrap: &Wrap, devices: Vec<String>) -> WrapStatus {
        let (mut opened, mut at_start, mut fault) = (None, None, None);
        for (_, proof) in self.proofs.of(generation, &wrap.root) {
            match proof {
                Proof::Opened(Some(at)) => opened = opened.max(Some(at.to_string())),
                Proof::Opened(None) => at_start = Some("at the start".into()),
                Proof::Failed(why) => fault = fault.or(Some(why)),
            }
        }
        WrapStatus {
            root: wrap.root.to_string(),
            made_by: wrap.device.clone(),
            devices,
            recovery: wrap.is_recovery(),
            opened: opened.or(at_start).filter(|_| fault.is_none()),
            fault,
        }
    }

    /// Opens every wrap with every device that has its root. Changes nothing.
    pub fn drill(&self, now: Timestamp) -> RootStatus {
        let deployment = self.deployment().clone();
        let seen = self.seen();
        for domain_key in &deployment.domain_keys {
            for wrap in domain_key.wraps.iter().filter(|wrap| !wrap.is_recovery()) {
                for device in seen.with(&wrap.root) {
                    // What is wrong is kept, and shown below.
                    let _ = self.prove(device, domain_key.generation, wrap, now);
                }
            }
        }
        self.status()
    }

    /// Notes that custodians have opened every domain key with a recovery key, elsewhere: as whoever says
    /// so shows by the keys.
    pub fn recovery_was_proved(&self, proof: &DrillProof, now: Timestamp) -> Result<(), RootError> {
        let deployment = self.deployment().clone();
        let Some(root) = deployment.wraps().map(|wrap| &wrap.root).find(|id| **id == proof.root)
        else {
            return Err(RootError::Refused(format!("no wrap is by {:?}", proof.root.as_str())));
        };
        if !proof.shows(&deployment, &self.domain_keys) {
            let text = format!("what was opened by {root} are not the wraps that this server has");
            return Err(RootError::Refused(text));
        }
        for domain_key in &deployment.domain_keys {
            self.proofs.good(Tried::new(domain_key.generation, root, CUSTODIANS), Some(now));
        }
        Ok(())
    }
}

/// Whether each domain key has another root in a device that can be reached, which was seen to open it.
fn spare(domain_keys: &[DomainKeyStatus], root: &str) -> bool {
    domain_keys.iter().all(|key| {
        let others = key.wraps.iter().filter(|wrap| wrap.root != root && !wrap.recovery);
        others.into_iter().any(|wrap| !wrap.devices.is_empty() && wrap.opened.is_some())
    })
}

impl fmt::Display for RootStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(what) = &self.file {
            writeln!(f, "WRONG: {what}")?;
        }
        for device in &self.devices {
            writeln!(f, "device {}: {}", device.name, device.device)?;
            if let Some(health) = &device.health {
                writeln!(f, "  {health}")?;
            }
            if let Some(why) = &device.away {
                writeln!(f, "  away: {why}")?;
                continue;
            }
            for root in &device.roots {
                writeln!(f, "  root {root}")?;
            }
            for root in &device.unused_roots {
                writeln!(f, "  root {root}, which wraps nothing")?;
            }
            if device.resident_keys > 0 {
                writeln!(f, "  {} KMS keys live in it", device.resident_keys)?;
            }
        }
        for domain_key in &self.domain_keys {
            writeln!(f, "domain key {}", domain_key.generation)?;
            for wrap in &domain_key.wraps {
                let by = match (wrap.recovery, wrap.devices.as_slice()) {
                    (true, _) => "a recovery key".into(),
                    (false, []) => {
                        format!("no device that can be reached; made by {}", wrap.made_by)
                    }
                    (false, some) => format!("device {}", some.join(", ")),
                };
                let proof = match (&wrap.opened, &wrap.fault) {
                    (_, Some(fault)) => format!("DOES NOT OPEN: {fault}"),
                    (Some(at), None) => format!("opened {at}"),
                    (None, None) => {
                        "not tried since the start, or since its device was away".into()
                    }
                };
                writeln!(f, "  {} ({by}): {proof}", wrap.root)?;
            }
        }
        match self.could_be_retired.as_slice() {
            [] => writeln!(f, "no root can be retired: each domain key needs one in a device"),
            some => writeln!(f, "could be retired, one of them: {}", some.join(", ")),
        }
    }
}
