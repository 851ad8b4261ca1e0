//! `claviger doctor`: what the device is, what it can do, what is wrong with it.
use super::{ConfigArguments, StartError, device};
use crate::config::Config;
use crate::memory::LockedKey;
use crate::root_of_trust::Deployment;
use claviger_hsm::Hsm;
use claviger_hsm::pkcs11::Report;

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    super::harden();
    let config = Config::read(&arguments.config)?;
    println!("configuration  {} is good", arguments.config.display());
    let token = device::token(&config)?;
    let report = token.report()?;
    print_device(&report);
    let mut random = [0; 32];
    token.random(&mut random)?;
    println!("random         the token's generator answers");
    println!("memory         locked key arena: {:?}", LockedKey::protection());
    match Deployment::read(&config.data)? {
        None => println!("deployment     none in {}: `claviger init`", config.data.display()),
        Some(deployment) => {
            let present = token.root_keys()?;
            for root in deployment.roots() {
                if !present.contains(root) {
                    let names: Vec<String> = present.iter().map(ToString::to_string).collect();
                    return Err(StartError::Data {
                        path: Deployment::path(&config.data),
                        what: format!(
                            "is wrapped by root key {root}, which this token does not have; it \
                             has: {}",
                            if names.is_empty() { "none".into() } else { names.join(", ") }
                        ),
                    });
                }
                token.check_root_key(root)?;
                println!(
                    "root key       {root}: one object, attributes as wanted, opens what it wraps"
                );
            }
        }
    }
    println!("all is well");
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
