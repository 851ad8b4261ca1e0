//! `claviger init`: makes a deployment.
use super::assemble::{self, Seams};
use super::control::print;
use super::{ConfigArguments, StartError, device};
use crate::config::Config;

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    let config = Config::read(&arguments.config)?;
    let devices = device::configured(&config, arguments.insecure_software_root)?;
    // What is wrong with the device is said before anything else is looked at.
    if let Some(device) = devices.all().first() {
        device.hsm.probe()?;
    }
    let seams = Seams::of_command(&config, devices)?;
    super::run_async(async {
        let account = &config.account;
        let first = async |server: &crate::call::Server| {
            let seeded = assemble::seed_administrator(server, account, None).await;
            let (id, secret) = seeded.map_err(|e| StartError::Other(e.to_string()))?;
            // Shown before the deployment counts: a secret that nobody saw would be lost for good.
            let text = format!(
                "Account {account}, user admin. This secret is shown now and never again:\n\n  \
                 AWS_ACCESS_KEY_ID={id}\n  AWS_SECRET_ACCESS_KEY={}\n\n",
                secret.expose()
            );
            print(&text)
        };
        let opened = assemble::create(&config.data, seams, first).await?;
        opened.close().await?;
        print(&format!(
            "The deployment in {} is ready. Serve it with: claviger serve --config {}\n",
            config.data.display(),
            arguments.config.display()
        ))
    })
    .map_err(|error| error.with(&config.store))
}
