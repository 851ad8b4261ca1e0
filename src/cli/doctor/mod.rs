//! `claviger doctor`: what each device is, what it can do, what is wrong with it, and whether the
//! deployment opens.
//!
//! | module | role |
//! |---|---|
//! | `device` | one device, asked everything |
//! | `show` | the check-up for a terminal |
mod device;
mod show;

use super::control::print;
use super::device::read_pin;
use super::{StartError, assemble};
use crate::config::Config;
use crate::devices::{self, Devices, PKCS11};
use crate::memory::{LockedKey, Protection};
use crate::random::SystemRandom;
use crate::root_of_trust::{Deployment, RootOfTrust, RootStatus};
use device::DeviceCheck;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    /// The configuration file (TOML); docs/operations.md shows one
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All that was looked at.
#[derive(Debug, Serialize)]
struct CheckUp {
    configuration: PathBuf,
    /// Whether there is TLS; the certificate and its key belong together then.
    tls: bool,
    /// How keys in memory are kept from swap and dumps.
    memory: String,
    devices: Vec<DeviceCheck>,
    /// What wraps the deployment's keys, if there is a deployment and a device to open it.
    deployment: Option<RootStatus>,
    notes: Vec<String>,
    /// What is wrong. Nothing is: all is well.
    faults: Vec<String>,
}

pub(super) fn run(arguments: &DoctorArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    let config = Config::read(&arguments.config)?;
    if let Some(tls) = &config.tls {
        super::tls(tls)?;
    }
    let sections = config.all_devices();
    if sections.is_empty() {
        let text = format!("the configuration has no [{PKCS11}] section and no [[device]]");
        return Err(StartError::Setup(text));
    }
    for section in sections.iter().filter_map(|section| section.pkcs11.as_ref()) {
        read_pin(&section.pin_file)?;
    }
    let mut checks: Vec<DeviceCheck> = sections.iter().map(device::check).collect();
    let well: Vec<devices::Settings> = sections
        .into_iter()
        .zip(&checks)
        .filter(|(_, check)| check.is_open())
        .map(|(section, _)| section)
        .collect();
    // Again as `serve` has them, behind a guard, in a helper process: of those only that opened. A PIN
    // that was refused is not tried a second time.
    let devices = Devices::configured(&well).map_err(|e| StartError::Setup(e.to_string()))?;
    for check in &mut checks {
        if let Some(device) = devices.named(&check.name) {
            check.serve(&*device.hsm);
        }
    }
    let mut up = CheckUp {
        configuration: arguments.config.clone(),
        tls: config.tls.is_some(),
        memory: kept(LockedKey::protection()).to_owned(),
        devices: checks,
        deployment: None,
        notes: Vec::new(),
        faults: Vec::new(),
    };
    let opened = open(&config, devices, &mut up);
    if let Err(error) = &opened {
        up.faults.push(error.to_string());
    }
    for check in &up.devices {
        up.faults.extend(check.faults.iter().map(|fault| format!("{}: {fault}", check.name)));
    }
    if arguments.json {
        let json = serde_json::to_string_pretty(&up);
        print(&format!("{}\n", json.map_err(|e| StartError::Other(e.to_string()))?))?;
    } else {
        print(&up.to_string())?;
    }
    // What is wrong with a device is the reason of what is wrong with the deployment.
    let of_devices = up.devices.iter().any(|check| !check.faults.is_empty());
    match (opened, of_devices) {
        (Err(error), false) => Err(error),
        (_, true) => Err(StartError::NoDevice(up.faults.join("; "))),
        (Ok(()), false) if !up.faults.is_empty() => Err(StartError::Setup(up.faults.join("; "))),
        (Ok(()), false) => Ok(()),
    }
}

/// In words, as SECURITY.md has it.
fn kept(protection: Option<Protection>) -> &'static str {
    match protection {
        Some(Protection::Secret) => {
            "locked (memfd_secret): not swapped, not dumped, hidden from root"
        }
        Some(Protection::Locked) => "locked: not swapped, not dumped",
        Some(Protection::Plain) => "not locked (RLIMIT_MEMLOCK): not dumped, but swapped",
        None => "not protected: no memory could be had for them",
    }
}

/// What `serve` does with the devices before it touches the store: opens every domain key.
fn open(config: &Config, devices: Devices, up: &mut CheckUp) -> Result<(), StartError> {
    let data = &config.data;
    let Some(deployment) = Deployment::read(data)? else {
        up.notes.push(format!("no deployment in {}: `claviger init` makes it", data.display()));
        return Ok(());
    };
    assemble::check_private(data)?;
    if devices.all().is_empty() {
        up.notes.push("the deployment was not looked at: there is no device to open it".into());
        return Ok(());
    }
    if !deployment.ready {
        up.notes.push("the deployment was not finished: run `claviger init` again".into());
    }
    differing(config, &deployment, up);
    let (devices, random) = (Arc::new(devices), Arc::new(SystemRandom));
    let status = RootOfTrust::open(devices, random, data, deployment)?.status();
    for wrap in status.domain_keys.iter().flat_map(|key| &key.wraps) {
        if let Some(fault) = &wrap.fault {
            up.faults.push(format!("root key {}: {fault}", wrap.root));
        }
    }
    up.deployment = Some(status);
    Ok(())
}

/// Says which wraps a TPM made under other bindings than it would now: what is configured later binds
/// nothing that was wrapped before.
fn differing(config: &Config, deployment: &Deployment, up: &mut CheckUp) {
    for section in config.all_devices() {
        let Some(tpm) = &section.tpm else { continue };
        let check = up.devices.iter().find(|check| check.name == section.name);
        let roots = check.map(|check| check.root_keys.clone()).unwrap_or_default();
        let ours = deployment.wraps().filter(|wrap| roots.contains(&wrap.root.to_string()));
        for wrap in ours {
            if let Some(how) = tpm.differs(&wrap.wrapped()) {
                up.notes.push(format!(
                    "{}: what {} wraps is bound to {how}. `claviger root rewrap` binds it anew; copies \
                     of deployment.json from before open as they did",
                    section.name, wrap.root
                ));
            }
        }
    }
}
