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
}

impl Keys {
    pub(super) fn given(&self) -> Result<Key, StartError> {
        match (self.shares.as_slice(), &self.config) {
            ([], None) => Ok(Key::None),
            ([], Some(_)) => Ok(Key::Devices),
            (shares, _) => Ok(Key::Recovery(recovery::read_shares(shares)?)),
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
    Ok(Opened { root: Arc::new(root), deployment, devices })
}

/// Opens every row of a backup.
pub(super) async fn check(file: &Path, root: &Arc<RootOfTrust>) -> Result<Whole, StartError> {
    let (file, root) = (file.to_owned(), root.clone());
    let check = move || -> Result<Whole, BackupError> {
        let keys = root.row_keys()?;
        backup::check(&file, &keys, &root.backup_key(), super::verify::telling("opened"))
    };
    Ok(off(check).await??)
}
