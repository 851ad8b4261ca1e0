//! `claviger doctor`: what the device is, what it can do, what is wrong with it.
use super::{ConfigArguments, StartError, assemble, device};
use crate::config::Config;
use crate::memory::LockedKey;
use crate::random::SystemRandom;
use crate::root_of_trust::{Deployment, RootOfTrust};
use claviger_hsm::Hsm;
use claviger_hsm::pkcs11::Report;
use std::sync::Arc;

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    super::harden();
    let config = Config::read(&arguments.config)?;
    println!("configuration  {} is good", arguments.config.display());
    if let Some(tls) = &config.tls {
        super::tls(tls)?;
        println!("tls            the certificate and its key belong together");
    }
    let token = Arc::new(device::token(&config)?);
    let report = token.report()?;
    print_device(&report);
    let mut random = [0; 32];
    token.random(&mut random)?;
    println!("random         the token's generator answers");
    println!("memory         locked key arena: {:?}", LockedKey::protection());
    check_deployment(&config, token)?;
    println!("all is well");
    Ok(())
}

/// What `serve` does with the device before it touches the store: opens every domain key.
fn check_deployment(config: &Config, token: Arc<dyn Hsm>) -> Result<(), StartError> {
    let data = &config.data;
    let Some(deployment) = Deployment::read(data)? else {
        println!("deployment     none in {}: `claviger init`", data.display());
        return Ok(());
    };
    assemble::check_private(data)?;
    RootOfTrust::open(token, Arc::new(SystemRandom), data, &deployment)?;
    for root in deployment.roots() {
        println!("root key       {root}: one object, attributes as wanted, opens the domain key");
    }
    if !deployment.ready {
        println!("deployment     was not finished: run `claviger init` again");
    }
    Ok(())
}

fn print_device(report: &Report) {
    let device = &report.device;
    println!("module         {} ({})", report.module.display(), report.library);
    println!(
        "token          {:?} in slot {} ({})",
        device.label, report.slot, report.slot_description
    );
    println!("device         {} {}, serial {}", device.vendor, device.model, device.serial);
    let kind = if device.hardware {
        "says it is hardware"
    } else {
        "software: its keys can be copied with its files"
    };
    println!("kind           {kind}");
    println!("flags          {}", report.flags.join(" "));
    let most = |n: Option<u64>| n.map_or("no limit told".to_owned(), |n| n.to_string());
    println!("sessions       at most {}", most(report.sessions.max));
    println!("mechanisms     {}", report.mechanisms.join(" "));
    for key in &report.aes_keys {
        let faults: Vec<String> = key.faults.iter().map(ToString::to_string).collect();
        let verdict = if faults.is_empty() { "fit to be a root".into() } else { faults.join("; ") };
        println!("AES key        {:?}: {verdict}", key.label);
    }
}
