//! `claviger secret`: what the operator wants to know of a secret, beside the API.
use super::StartError;
use super::control::{Where, asked, done, print, unexpected};
use crate::control::{Command, Drain, Output, WhichSecret};
use crate::secrets::readers::IDLE_SECONDS;
use crate::types::{AccountId, Region};
use serde::Serialize;
use std::fmt::Display;
use std::time::Duration;

/// How often a command that waits asks again.
const ASK_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Subcommand)]
pub(super) enum SecretCommand {
    /// Say who read which version of a secret, and who has not moved on to the current one
    Drain(DrainArguments),
    /// Say how a secret's rotation stands, and what became of its last ones
    Rotation(RotationArguments),
}

/// Which secret of which deployment.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    #[command(flatten)]
    pub at: Where,
    /// Its name or its ARN
    #[arg(value_name = "NAME|ARN")]
    named: String,
    /// Whose it is, if its name is given and there are several accounts
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Where it is, if its name is given and there are several regions
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
}

impl Which {
    pub fn secret(&self) -> WhichSecret {
        let Self { named, account, region, .. } = self;
        WhichSecret { named: named.clone(), account: account.clone(), region: region.clone() }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct DrainArguments {
    #[command(flatten)]
    which: Which,
    /// Wait until nobody needs an old version; 1 is the exit code if somebody does at the end
    #[arg(long)]
    wait: bool,
    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "wait")]
    timeout: u64,
    /// Who has not read anything for so long is not waited for
    #[arg(long, value_name = "SECONDS", default_value_t = IDLE_SECONDS,
        value_parser = clap::value_parser!(i64).range(0..))]
    idle: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotationArguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(command: &SecretCommand) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    match command {
        SecretCommand::Drain(arguments) => super::run_async(drain(arguments)),
        SecretCommand::Rotation(arguments) => super::run_async(rotation(arguments)),
    }
}

async fn drain(arguments: &DrainArguments) -> Result<(), StartError> {
    let at = &arguments.which.at;
    let command =
        || Command::DrainSecret { which: arguments.which.secret(), idle_seconds: arguments.idle };
    let report = |output: Output| match output {
        Output::Drain(report) => Ok(report),
        _ => Err(unexpected()),
    };
    if !arguments.wait {
        return show(&report(done(at, command()).await?)?, arguments.json);
    }
    let mut last = None;
    let moved_on = async {
        loop {
            // Without a server nobody can move on, so none is opened for it.
            let report = report(asked(at, &command()).await?)?;
            if report.drained {
                return Ok::<Drain, StartError>(report);
            }
            last = Some(report);
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    let outcome = tokio::time::timeout(Duration::from_secs(arguments.timeout), moved_on).await;
    if let Ok(outcome) = outcome {
        return show(&outcome?, arguments.json);
    }
    let Some(last) = last else {
        return Err(StartError::Other("the server did not answer in time".into()));
    };
    show(&last, arguments.json)?;
    let text = format!("readers of an old version that have not moved on: {}", last.behind());
    Err(StartError::Other(text))
}

fn show<T: Serialize + Display>(report: &T, json: bool) -> Result<(), StartError> {
    if !json {
        return print(&report.to_string());
    }
    let json = serde_json::to_string_pretty(report);
    print(&format!("{}\n", json.map_err(|e| StartError::Other(e.to_string()))?))
}

async fn rotation(arguments: &RotationArguments) -> Result<(), StartError> {
    let command = Command::SecretRotation(arguments.which.secret());
    let Output::SecretRotation(report) = done(&arguments.which.at, command).await? else {
        return Err(unexpected());
    };
    show(&report, arguments.json)
}
