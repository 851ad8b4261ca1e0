//! `claviger root`: which devices wrap the domain keys of a deployment, and moving from one to another.
use super::StartError;
use super::control::{Where, asked, done, print, unexpected};
use super::recovery::{read_shares, read_text};
use crate::control::{Command, Output, RootCommand as Asked, RootOutput};
use crate::root_of_trust::recovery::{DrillProof, Seed};
use crate::root_of_trust::{Changed, Deployment, RootStatus};
use serde::Serialize;
use std::fmt::Display;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

/// More than a root's name has.
const MAX_NAME_BYTES: u64 = 1024;

#[derive(Debug, clap::Subcommand)]
pub(super) enum RootCommand {
    /// Say which devices there are, what wraps the domain keys, and what was seen to open
    Status(Common),
    /// Have the domain keys wrapped in a further device, or for a recovery key
    AddWrap(AddWrapArguments),
    /// Make every wrap anew, under the roots that there are
    Rewrap(Common),
    /// Make the next root key in a device, in place of the one it has
    Rotate(RotateArguments),
    /// Take a root out, once it is proved that every domain key opens without it
    Retire(RetireArguments),
    /// Open every wrap, with the devices and with shares of the recovery key; change nothing
    Drill(DrillArguments),
    /// Look for devices that are away, and try PINs once more that were refused
    Unseal(Common),
}

#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    at: Where,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AddWrapArguments {
    #[command(flatten)]
    common: Common,
    /// The device's name in the configuration
    #[arg(
        value_name = "DEVICE",
        required_unless_present = "recovery",
        conflicts_with = "recovery"
    )]
    device: Option<String>,
    /// The public key of `claviger recovery generate` instead
    #[arg(long, value_name = "FILE")]
    recovery: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    common: Common,
    /// The device's name in the configuration
    #[arg(value_name = "DEVICE")]
    device: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct RetireArguments {
    #[command(flatten)]
    common: Common,
    /// The root, as `claviger root status` names it
    #[arg(value_name = "ROOT")]
    root: String,
    /// Its device is gone for good, with whatever else it had
    #[arg(long)]
    lost: bool,
    /// Destroy it in its device as well; also one that wraps nothing any more
    #[arg(long, conflicts_with = "lost")]
    destroy: bool,
    /// Do not ask for its name again
    #[arg(long, requires = "destroy")]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DrillArguments {
    #[command(flatten)]
    common: Common,
    /// Shares of the recovery key, as many as are needed. They stay in this process
    #[arg(long, value_name = "FILE", num_args = 1..)]
    shares: Vec<PathBuf>,
}

pub(super) fn main(command: &RootCommand) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    super::run_async(run(command))
}

async fn run(command: &RootCommand) -> Result<(), StartError> {
    match command {
        RootCommand::Status(common) => show(&status(common, Asked::Status).await?, common.json),
        RootCommand::AddWrap(AddWrapArguments { common, device, recovery }) => {
            let command = match (device, recovery) {
                (Some(device), _) => Asked::AddWrap { device: device.clone() },
                (None, Some(file)) => {
                    let text = read_text(file)?.to_string();
                    Asked::AddRecovery { name: file.display().to_string(), text }
                }
                (None, None) => return Err(StartError::Other("give DEVICE or --recovery".into())),
            };
            change(common, command).await
        }
        RootCommand::Rewrap(common) => change(common, Asked::Rewrap).await,
        RootCommand::Rotate(RotateArguments { common, device }) => {
            change(common, Asked::Rotate { device: device.clone() }).await
        }
        RootCommand::Retire(RetireArguments { common, root, lost, destroy, yes }) => {
            if *destroy && !*yes {
                confirm(root)?;
            }
            let (root, lost, destroy) = (root.clone(), *lost, *destroy);
            change(common, Asked::Retire { root, lost, destroy }).await
        }
        RootCommand::Drill(DrillArguments { common, shares }) => {
            let recovered = match shares.as_slice() {
                [] => None,
                files => Some(open_here(&common.at, &read_shares(files)?)?),
            };
            let status = status(common, Asked::Drill { recovered }).await?;
            show(&status, common.json)?;
            match status.failures().as_slice() {
                [] => Ok(()),
                some => Err(StartError::Other(format!("the drill failed: {}", some.join("; ")))),
            }
        }
        RootCommand::Unseal(common) => {
            // Another process would look for itself only.
            match asked(&common.at, &Command::Root(Asked::Unseal)).await? {
                Output::Root(RootOutput::Looking) => {
                    print("The server is sealed and looks for its devices again: see /readyz.\n")
                }
                Output::Root(RootOutput::Status(status)) => show(&status, common.json),
                _ => Err(unexpected()),
            }
        }
    }
}

async fn status(common: &Common, command: Asked) -> Result<RootStatus, StartError> {
    match done(&common.at, Command::Root(command)).await? {
        Output::Root(RootOutput::Status(status)) => Ok(status),
        _ => Err(unexpected()),
    }
}

async fn change(common: &Common, command: Asked) -> Result<(), StartError> {
    let changed: Changed = match done(&common.at, Command::Root(command)).await? {
        Output::Root(RootOutput::Changed(changed)) => changed,
        _ => return Err(unexpected()),
    };
    show(&changed, common.json)
}

fn show<T: Serialize + Display>(report: &T, json: bool) -> Result<(), StartError> {
    if !json {
        return print(&report.to_string());
    }
    let json = serde_json::to_string_pretty(report);
    print(&format!("{}\n", json.map_err(|e| StartError::Other(e.to_string()))?))
}

/// Opens every domain key with the recovery key, and makes of it what shows that.
fn open_here(at: &Where, seed: &Seed) -> Result<DrillProof, StartError> {
    let data = at.data()?;
    let Some(deployment) = Deployment::read(&data)? else {
        return Err(StartError::Data { path: data, what: "is no deployment".into() });
    };
    DrillProof::make(&deployment, seed).map_err(|e| StartError::Other(e.to_string()))
}

/// Has the operator type the root's name: nothing brings back what is destroyed.
fn confirm(root: &str) -> Result<(), StartError> {
    let other = |e: std::io::Error| StartError::Other(e.to_string());
    let mut err = std::io::stderr().lock();
    write!(
        err,
        "{root} will be destroyed in its device for good. Every copy and backup of this deployment in\n\
         which it still wraps the keys, wherever it runs, opens by its other roots and its recovery key\n\
         only. (A TPM derives its root keys: what is destroyed is the record without which it uses none.)\n\
         Type its name to go on: "
    )
    .and_then(|()| err.flush())
    .map_err(other)?;
    let mut typed = String::new();
    std::io::stdin().lock().take(MAX_NAME_BYTES).read_line(&mut typed).map_err(other)?;
    match typed.trim() == root {
        true => Ok(()),
        false => Err(StartError::Other(format!(
            "{:?} is not the name of the root; nothing was changed. (--yes does not ask)",
            typed.trim()
        ))),
    }
}
