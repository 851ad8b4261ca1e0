//! The devices that the configuration names.
use super::StartError;
use crate::config::Config;
use crate::devices::Devices;
use crate::random::{Random, SystemRandom};
use crate::root_of_trust::Deployment;
use claviger_hsm::{Hsm, Pin, RootKeyId, SoftwareHsm};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const SEED_FILE: &str = "software-root.seed";

/// The configured devices, opened when they are needed; a file instead of them only if the operator
/// insists.
pub(super) fn configured(config: &Config, insecure: bool) -> Result<Arc<Devices>, StartError> {
    let sections = config.all_devices();
    match (sections.is_empty(), insecure) {
        (false, false) => {
            for pkcs11 in sections.iter().filter_map(|section| section.pkcs11.as_ref()) {
                read_pin(&pkcs11.pin_file)?;
            }
            let devices = Devices::configured(&sections);
            Ok(Arc::new(devices.map_err(|e| StartError::Setup(e.to_string()))?))
        }
        (true, true) => Ok(Arc::new(Devices::only("software", software(&config.data)?))),
        (false, true) => Err(StartError::Setup(
            "the configuration names a token and --insecure-software-root asks for none: choose"
                .into(),
        )),
        (true, false) => Err(StartError::Setup(
            "the configuration names no token: add a [pkcs11] section. (For a try without one \
             there is --insecure-software-root, which keeps the root key in a file.)"
                .into(),
        )),
    }
}

/// The PIN of a file that nobody else can read, without the newline at its end.
pub(super) fn read_pin(path: &Path) -> Result<Pin, StartError> {
    let bad = |what: String| StartError::Setup(format!("{}: {what}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|e| bad(e.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(bad(format!("has mode {mode:o}; a PIN file must be 600")));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?);
    Ok(Pin::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A device made of a file. It protects nothing: whoever reads the file has every key.
pub(super) fn software(dir: &Path) -> Result<Arc<dyn Hsm>, StartError> {
    super::tell(format_args!(
        "claviger: warning: --insecure-software-root: the root key lies in a file of {}; whoever \
         reads that directory has every key and every secret",
        dir.display()
    ));
    let device = SoftwareHsm::seeded(seed(dir)?);
    // It forgets which roots it had; their names are in the deployment, their keys in the seed.
    let deployment = Deployment::read(dir)?;
    // One root wraps each generation of the domain key.
    let roots: BTreeSet<&RootKeyId> = deployment.iter().flat_map(Deployment::roots).collect();
    roots.into_iter().try_for_each(|root| device.create_root_key(root))?;
    Ok(Arc::new(device))
}

/// Likewise, of a deployment that is not in its directory yet. The seed must be there.
pub(super) fn software_of(dir: &Path, deployment: &Deployment) -> Result<Arc<dyn Hsm>, StartError> {
    if !dir.join(SEED_FILE).exists() {
        let what = format!("has no {SEED_FILE}: put it back first, it is part of no backup");
        return Err(StartError::Data { path: dir.to_owned(), what });
    }
    let device = SoftwareHsm::seeded(seed(dir)?);
    let roots: BTreeSet<&RootKeyId> = deployment.roots().collect();
    roots.into_iter().try_for_each(|root| device.create_root_key(root))?;
    Ok(Arc::new(device))
}

fn seed(dir: &Path) -> Result<[u8; 32], StartError> {
    let path = dir.join(SEED_FILE);
    let bad = |what: String| StartError::Data { path: path.clone(), what };
    match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| bad("is not 32 bytes long".into())),
        // A new seed would open nothing, and stand in the way of the old one.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && Deployment::path(dir).exists() => {
            Err(bad("is gone, or the deployment was not made with --insecure-software-root".into()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            SystemRandom.fill(&mut seed);
            let write = || -> std::io::Result<()> {
                std::fs::create_dir_all(dir)?;
                std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
                let mut file = std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)?;
                file.write_all(&seed)?;
                file.sync_all()
            };
            write().map_err(|e| bad(e.to_string()))?;
            Ok(seed)
        }
        Err(e) => Err(bad(e.to_string())),
    }
}
