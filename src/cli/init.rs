//! `claviger init`: makes a deployment.
use super::assemble::{self, Seams};
use super::{ConfigArguments, StartError, device};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::random::SystemRandom;
use crate::types::SecretText;
use std::sync::Arc;

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    super::harden();
    super::start_logging(false);
    let config = Config::read(&arguments.config)?;
    let hsm = device::configured(&config, arguments.insecure_software_root)?;
    let seams = Seams {
        hsm,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        regions: config.regions.clone(),
    };
    super::runtime()?.block_on(async {
        let mut made: Option<(String, SecretText)> = None;
        let account = &config.account;
        let first = async |server: &crate::call::Server| {
            let seeded = assemble::seed_administrator(server, account, None).await;
            made = Some(seeded.map_err(|e| StartError::Other(e.to_string()))?);
            Ok(())
        };
        let opened = assemble::create(&config.data, seams, first).await?;
        opened.log.close().await?;
        let Some((id, secret)) = made else { return Ok(()) };
        println!("The deployment in {} is ready.", config.data.display());
        println!("Account {account}, user admin. This secret is shown now and never again:");
        println!();
        println!("  AWS_ACCESS_KEY_ID={id}");
        println!("  AWS_SECRET_ACCESS_KEY={}", secret.expose());
        println!();
        println!("Serve it with: claviger serve --config {}", arguments.config.display());
        Ok(())
    })
}
