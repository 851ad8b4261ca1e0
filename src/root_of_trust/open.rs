//! How the domain keys are opened: for each, one wrap that one device opens. All wraps whose devices can
//! be reached are tried, so that one that does not open is known before it is needed.
use super::deployment::{Deployment, DomainKey, Wrap};
use super::proofs::{Proofs, Tried};
use super::{RootError, wrap_aad};
use crate::devices::{self, Device, Devices};
use crate::memory::LockedKey;
use claviger_hsm::{HsmError, RootKeyId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What each device has, asked once.
pub(super) struct Seen<'a>(Vec<(&'a Device, Result<Vec<RootKeyId>, HsmError>)>);

/// Why a wrap did not open.
pub(super) enum Failure {
    /// It does not authenticate, or gave another key than was wrapped.
    Wrong,
    Device(HsmError),
}

impl From<HsmError> for Failure {
    fn from(error: HsmError) -> Self {
        match error {
            HsmError::Authentication => Self::Wrong,
            other => Self::Device(other),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong => f.write_str(
                "does not open: the root key is another one than it was, or deployment.json was changed",
            ),
            Self::Device(error) => write!(f, "{error}"),
        }
    }
}

impl<'a> Seen<'a> {
    pub(super) fn look(devices: &'a Devices) -> Self {
        Self(devices.all().iter().map(|device| (device, device.hsm.root_keys())).collect())
    }

    /// Asks a device once more for a root key that it does not list and has had. A token whose files went
    /// away may say so only then, and may find them again only then.
    pub(super) fn ask_for(
        mut self,
        missing: impl Fn(&Device, &[RootKeyId]) -> Vec<RootKeyId>,
    ) -> Self {
        for (device, roots) in &mut self.0 {
            let missing = match roots {
                Ok(roots) => missing(device, roots),
                Err(_) => continue,
            };
            let Some(root) = missing.first() else { continue };
            match device.hsm.check_root_key(root) {
                Err(HsmError::NoSuchKey { .. }) => {}
                Err(error) => *roots = Err(error),
                Ok(()) => *roots = device.hsm.root_keys(),
            }
        }
        self
    }

    /// Whether there are several devices, and one does not answer that may again.
    fn is_one_of_several_away(&self) -> bool {
        self.0.len() > 1 && self.all().any(|(_, roots)| roots.is_err_and(devices::is_away))
    }

    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&'a Device, Result<&[RootKeyId], &HsmError>)> {
        self.0.iter().map(|(device, roots)| (*device, roots.as_deref()))
    }

    /// The devices that have this root key.
    pub(super) fn with(&self, root: &RootKeyId) -> impl Iterator<Item = &'a Device> {
        let has = |roots: &Result<Vec<RootKeyId>, HsmError>| {
            roots.as_ref().is_ok_and(|roots| roots.contains(root))
        };
        let found: Vec<&Device> =
            self.0.iter().filter(|(_, roots)| has(roots)).map(|(device, _)| *device).collect();
        found.into_iter()
    }
}

/// Opens one wrap with one device, and compares it with the check value.
pub(super) fn unwrap(
    device: &Device,
    cluster: &[u8; 16],
    domain_key: &DomainKey,
    wrap: &Wrap,
) -> Result<LockedKey, Failure> {
    device.hsm.check_root_key(&wrap.root)?;
    let aad = wrap_aad(cluster, domain_key.generation, &wrap.root);
    let opened = device.hsm.unwrap(&wrap.wrapped(), &aad)?;
    let bytes = <[u8; 32]>::try_from(opened.expose()).map_err(|_| Failure::Wrong)?;
    let bytes = Zeroizing::new(bytes);
    match domain_key.check.matches(&bytes) {
        true => Ok(LockedKey::new(&bytes)),
        false => Err(Failure::Wrong),
    }
}

/// Opens every domain key. Reads only: wrong devices change nothing.
pub(super) fn domain_keys(
    devices: &Devices,
    data: &Path,
    deployment: &Deployment,
    proofs: &Proofs,
) -> Result<BTreeMap<u32, Arc<LockedKey>>, RootError> {
    let seen = Seen::look(devices);
    let mut keys = BTreeMap::new();
    for domain_key in &deployment.domain_keys {
        let key = open(&seen, data, deployment, domain_key, proofs)?;
        keys.insert(domain_key.generation, Arc::new(key));
    }
    let oldest = keys.first_key_value().map(|(_, key)| key.expose());
    match oldest.is_some_and(|oldest| deployment.is_bound(oldest)) {
        true => Ok(keys),
        false => Err(Deployment::unbound(data)),
    }
}

fn open(
    seen: &Seen<'_>,
    data: &Path,
    deployment: &Deployment,
    domain_key: &DomainKey,
    proofs: &Proofs,
) -> Result<LockedKey, RootError> {
    let generation = domain_key.generation;
    let (mut opened, mut first) = (None, None);
    for wrap in domain_key.wraps.iter().filter(|wrap| !wrap.is_recovery()) {
        for device in seen.with(&wrap.root) {
            let tried = Tried::new(generation, &wrap.root, &device.name);
            match unwrap(device, &deployment.cluster(), domain_key, wrap) {
                Ok(key) => {
                    proofs.good(tried, None);
                    opened.get_or_insert(key);
                }
                Err(failure) => {
                    // Told by whoever opens it: a sealed server tries again and again.
                    let _ = proofs.bad(tried, failure.to_string());
                    let error = match failure {
                        Failure::Wrong => wrong_key(data, wrap, generation),
                        Failure::Device(error) => error.into(),
                    };
                    first.get_or_insert(error);
                }
            }
        }
    }
    match (opened, first) {
        (Some(key), _) => Ok(key),
        // What one device could not do says nothing of another that is away.
        (None, Some(error)) if seen.is_one_of_several_away() => {
            Err(nobody(seen, data, domain_key, Some(error)))
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(nobody(seen, data, domain_key, None)),
    }
}

fn wrong_key(data: &Path, wrap: &Wrap, generation: u32) -> RootError {
    RootError::WrongKey {
        path: Deployment::path(data),
        root: wrap.root.to_string(),
        device: wrap.device.clone(),
        generation,
    }
}

/// No device that answers has a root key of this domain key, or opens with it what it should.
fn nobody(
    seen: &Seen<'_>,
    data: &Path,
    domain_key: &DomainKey,
    failed: Option<RootError>,
) -> RootError {
    let path = Deployment::path(data);
    let named = |roots: &[RootKeyId]| match roots {
        [] => "no root keys".into(),
        some => {
            let names: Vec<String> = some.iter().map(ToString::to_string).collect();
            format!("the root keys {}", names.join(", "))
        }
    };
    if let [(device, roots)] = seen.0.as_slice() {
        let roots = match roots {
            Ok(roots) => roots,
            Err(error) => return error.clone().into(),
        };
        let wrap = domain_key.wraps.first();
        return RootError::OtherDevice {
            path,
            wanted: wrap.map(|w| w.root.to_string()).unwrap_or_default(),
            device: wrap.map(|w| w.device.clone()).unwrap_or_default(),
            found: device.words(),
            present: named(roots),
        };
    }
    let wanted =
        domain_key.wraps.iter().map(|wrap| format!("{:?} of {}", wrap.root.as_str(), wrap.device));
    let tried = seen.all().map(|(device, roots)| match roots {
        Ok(roots) => format!("device {} has {}", device.name, named(roots)),
        Err(error) => format!("device {}: {error}", device.name),
    });
    RootError::Unreachable {
        path,
        generation: domain_key.generation,
        wanted: wanted.collect::<Vec<_>>().join(", "),
        tried: tried.chain(failed.map(|e| e.to_string())).collect::<Vec<_>>().join("; "),
        away: seen.all().any(|(_, roots)| roots.is_err_and(devices::is_away)),
        // One that comes back by itself may open it.
        operator: seen.all().filter_map(|(_, roots)| roots.err()).all(devices::needs_operator),
    }
}
