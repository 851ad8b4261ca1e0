//! `claviger join`: makes this machine another node of a deployment whose store is a database.
use super::assemble::{self, Opened, Seams};
use super::control::print;
use super::{StartError, device, recovery, shared};
use crate::config::Config;
use crate::devices::Devices;
use crate::root_of_trust::recovery::Seed;
use crate::root_of_trust::{Deployment, RootError};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct JoinArguments {
    /// The configuration file (TOML) of this node, with the database of the others
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: PathBuf,
    /// As many shares of the recovery key as are needed, for a node whose device has none of the
    /// deployment's roots: it opens by them now, and by its own device from then on
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shares: Vec<PathBuf>,
    /// Keep the root key in a file of the data directory instead of a token: never for secrets. The
    /// file of the other nodes must be there
    #[arg(long)]
    insecure_software_root: bool,
}

pub(super) fn run(arguments: &JoinArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    let config = Config::read(&arguments.config)?;
    let seed = match arguments.shares.as_slice() {
        [] => None,
        shares => Some(recovery::read_shares(shares)?),
    };
    super::run_async(async {
        let deployment = shared::to_join(&config.store).await?;
        let devices = match arguments.insecure_software_root {
            true => {
                let device = device::software_of(&config.data, &deployment)?;
                Arc::new(Devices::only("software", device))
            }
            false => device::configured(&config, false)?,
        };
        join(arguments, &config, devices, deployment, seed).await
    })
    .map_err(|error| error.with(&config.store))
}

async fn join(
    arguments: &JoinArguments,
    config: &Config,
    devices: Arc<Devices>,
    deployment: Deployment,
    seed: Option<Seed>,
) -> Result<(), StartError> {
    let (by_shares, first) = (seed.is_some(), devices.all().first().map(|one| one.name.clone()));
    let seams = Seams::of_command(config, devices)?;
    let opened = assemble::join(&config.data, seams, deployment, seed).await;
    let opened = opened.map_err(|error| match error {
        StartError::Root(
            error @ (RootError::OtherDevice { .. } | RootError::Unreachable { .. }),
        ) => StartError::NoDevice(hint(&error)),
        other => other,
    })?;
    let outcome = settle(&opened, first.filter(|_| by_shares)).await;
    opened.close().await?;
    outcome?;
    print(&format!(
        "{} is a node of the deployment. Serve it with: claviger serve --config {}\n",
        config.data.display(),
        arguments.config.display()
    ))
}

fn hint(error: &RootError) -> String {
    format!(
        "{error}\n\nA node needs a device that has one of the deployment's roots. Have a node that serves \
         wrap the domain keys in this node's device too, if it can reach it (a [[device]] section of its \
         configuration, then `claviger root add-wrap NAME`), or open them here by shares of the recovery key \
         (`claviger join --shares …`). Then join again"
    )
}

/// Says in the log what happened; and has this node's device wrap what was opened by shares.
async fn settle(opened: &Opened, device: Option<String>) -> Result<(), StartError> {
    let server = &opened.server;
    let other = |error: &dyn std::fmt::Display| StartError::Other(error.to_string());
    let id = server.node.as_ref().map(|node| node.id());
    let details = json!({ "node": id, "byShares": device.is_some() });
    server.record("JoinNode", details).await.map_err(|e| other(&e))?;
    let Some(device) = device else { return Ok(()) };
    let details = json!({ "device": device });
    let announced = server.announce("AddRootWrap", details).await.map_err(|e| other(&e))?;
    let (root, now) = (server.root.clone(), server.clock.now());
    let changed = tokio::task::spawn_blocking(move || root.add_wrap(&device, now)).await;
    let changed = changed.map_err(|e| other(&e))?;
    let ended = match &changed {
        Ok(changed) => json!({ "wrapped": changed.wrapped, "left": changed.left }),
        Err(error) => json!({ "error": error.to_string() }),
    };
    server.conclude(announced, "ended", ended).await.map_err(|e| other(&e))?;
    let changed = changed.map_err(|error| {
        StartError::Other(format!(
            "it is a node now, but its device wraps nothing yet: {error}. Give `claviger recover` with the \
             shares"
        ))
    })?;
    print(&changed.to_string())
}
