//! `claviger backup`: the store as of one moment, in a file, while it is served or not.
use super::StartError;
use super::control::{Where, done_telling, print, unexpected};
use crate::backup::{Made, Opener, openers};
use crate::control::{Command, Output};
use crate::root_of_trust::Deployment;
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct BackupArguments {
    #[command(flatten)]
    at: Where,
    /// The file to be written; one that is there stays
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    to: Option<PathBuf>,
    /// Write nothing: say which roots and recovery keys could open a backup
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(arguments: &BackupArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    if arguments.dry_run {
        return dry_run(arguments);
    }
    super::follow_plan()?;
    super::run_async(run(arguments))
}

fn dry_run(arguments: &BackupArguments) -> Result<(), StartError> {
    let data = arguments.at.data()?;
    let Some(deployment) = Deployment::read(&data)? else {
        return Err(StartError::Data { path: data, what: "is no deployment".into() });
    };
    let openers = openers(&deployment);
    match arguments.json {
        true => print_json(&json!({ "fingerprint": deployment.fingerprint(), "openers": openers })),
        false => print(&who_opens(&deployment.fingerprint(), &openers)),
    }
}

async fn run(arguments: &BackupArguments) -> Result<(), StartError> {
    let Some(to) = &arguments.to else {
        return Err(StartError::Other("give --to FILE".into()));
    };
    let bad = |e: std::io::Error| StartError::Other(format!("{}: {e}", to.display()));
    let command = Command::Backup { to: std::path::absolute(to).map_err(bad)? };
    let made: Made = match done_telling(&arguments.at, command, &progress).await? {
        Output::BackedUp(made) => made,
        _ => return Err(unexpected()),
    };
    if arguments.json {
        return print_json(&made);
    }
    print(&format!(
        "{}: {} rows, {} bytes, revision {}\ndigest {}\n{}",
        made.file.display(),
        made.rows,
        made.bytes,
        made.revision,
        made.digest,
        who_opens(&made.fingerprint, &made.openers)
    ))
}

pub(super) fn progress(rows: u64) {
    super::tell(format_args!("claviger: {rows} rows"));
}

pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), StartError> {
    let json = serde_json::to_string_pretty(value).map_err(|e| StartError::Other(e.to_string()))?;
    print(&format!("{json}\n"))
}

/// The list of what opens a backup, in words; and by what one that somebody made up is told.
pub(super) fn who_opens(fingerprint: &str, openers: &[Opener]) -> String {
    let mut text = format!("fingerprint {fingerprint}\nAny one of these opens it:\n");
    for Opener { root, device, recovery, domain_keys } in openers {
        let what = match recovery {
            true => "recovery key",
            false => device.as_str(),
        };
        let keys: Vec<String> = domain_keys.iter().map(ToString::to_string).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {root} ({what}), domain keys {}", keys.join(", "));
    }
    if !openers.iter().any(|opener| opener.recovery) {
        text.push_str(
            "There is no recovery key among them: if these devices are lost, so is every backup.\n",
        );
    }
    text
}
