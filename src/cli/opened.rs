//! A backup's deployment, opened: by the devices of a configuration or by shares of a recovery key.
use super::{StartError, device, recovery};
use crate::backup::{self, BackupError, Header, Whole};
use crate::config::Config;
use crate::devices::Devices;
use crate::random::SystemRandom;
use crate::root_of_trust::recovery::Seed;
use crate::root_of_trust::{Deployment, RootOfTrust};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opens it.
#[derive(Debug, clap::Args)]
pub(super) struct Keys {
    /// The configuration file (TOML): its devices open the backup
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: Option<PathBuf>,
    /// As many shares of the recovery key as are needed, in place of the devices
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shares: Vec<PathBuf>,
    /// As `serve` was told
    #[arg(long)]
    insecure_software_root: bool,
    /// The fingerprint that was noted when the backup was made: one of other keys is refused. Without
    /// it, anybody who has seen the recovery key's public half can make one that opens by the shares
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

pub(super) enum Key {
    None,
    Devices,
    Recovery(Seed),
}

/// A deployment whose domain keys are open.
pub(super) struct Opened {
    pub root: Arc<RootOfTrust>,
    /// What opened it: the one of the data directory, if it opens whatever the backup's does.
    pub deployment: Deployment,
    pub devices: Arc<Devices>,
    /// What is left to the operator to compare; empty if nothing is.
    pub doubt: &'static str,
}

/// A wrap for a recovery key says nothing of who made it.
const DOUBT: &str = "It was opened by the recovery key, and anybody who has that key's public half, which stands in every \
                     backup, can make one that opens by it. Is this the fingerprint that was noted when the backup was \
                     made? (--fingerprint compares it.)\n";

impl Keys {
    pub(super) fn given(&self) -> Result<Key, StartError> {
        match (self.shares.as_slice(), &self.config) {
            ([], None) => Ok(Key::None),
            ([], Some(_)) => Ok(Key::Devices),
            (shares, _) => Ok(Key::Recovery(recovery::read_shares(shares)?)),
        }
    }

    /// Refuses a backup of other domain keys than the operator expects.
    pub(super) fn expect(&self, file: &Path, of_backup: &Deployment) -> Result<(), StartError> {
        let (found, Some(wanted)) = (of_backup.fingerprint(), &self.fingerprint) else {
            return Ok(());
        };
        match found.eq_ignore_ascii_case(wanted.trim()) {
            true => Ok(()),
            false => Err(bad(file, format!("has the fingerprint {found}, which is another one"))),
        }
    }

    pub(super) fn config(&self) -> Result<Option<Config>, StartError> {
        Ok(self.config.as_deref().map(Config::read).transpose()?)
    }
}

pub(super) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StartError::Other(e.to_string()))
}

fn bad(file: &Path, what: impl Into<String>) -> StartError {
    BackupError::Broken { path: file.to_owned(), what: what.into() }.into()
}

/// Opens the domain keys of a backup. Changes nothing.
pub(super) async fn open(
    file: &Path,
    header: &Header,
    keys: &Keys,
    key: Key,
) -> Result<Opened, StartError> {
    let config = keys.config()?;
    let of_backup = header.deployment(file)?;
    let data = config.as_ref().map_or_else(|| file.to_owned(), |config| config.data.clone());
    let there = match &config {
        Some(config) => Deployment::read(&config.data)?,
        None => None,
    };
    keys.expect(file, &of_backup)?;
    if there.as_ref().is_some_and(|there| {
        there.cluster() == of_backup.cluster() && there.fingerprint() != of_backup.fingerprint()
    }) {
        let what = format!(
            "has other domain keys than the deployment of the same id in {}",
            data.display()
        );
        return Err(bad(file, what));
    }
    let is_same = there.as_ref().is_some_and(|there| there.cluster() == of_backup.cluster());
    let is_known = is_same || keys.fingerprint.is_some();
    let doubt = match &key {
        Key::Recovery(_) if !is_known => DOUBT,
        _ => "",
    };
    // Its wraps may have been made anew since, and the old ones' roots be gone.
    let deployment = there.filter(|there| there.covers(&of_backup)).unwrap_or(of_backup);
    let devices = match (&config, &key) {
        (Some(config), Key::Devices) if keys.insecure_software_root => {
            let device = device::software_of(&config.data, &deployment)?;
            Arc::new(Devices::only("software", device))
        }
        (Some(config), Key::Devices) => device::configured(config, false)?,
        _ => Arc::default(),
    };
    let (with, random, opening) = (devices.clone(), Arc::new(SystemRandom), deployment.clone());
    let root = off(move || match key {
        Key::Recovery(seed) => RootOfTrust::recover(with, random, &data, opening, &seed),
        Key::Devices | Key::None => RootOfTrust::open(with, random, &data, opening),
    })
    .await??;
    Ok(Opened { root: Arc::new(root), deployment, devices, doubt })
}

/// Opens every row of a backup.
pub(super) async fn check(file: &Path, root: &Arc<RootOfTrust>) -> Result<Whole, StartError> {
    let (file, root) = (file.to_owned(), root.clone());
    let check = move || -> Result<Whole, BackupError> {
        backup::check(&file, &backup::Keys::of(&root)?, super::verify::telling("opened"))
    };
    Ok(off(check).await??)
}
