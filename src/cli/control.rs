//! Commands to a deployment, whether it is being served or not: the running server does them if there is
//! one, and otherwise this process opens the deployment for as long as they take.
use super::assemble::{self, Seams};
use super::{StartError, device};
use crate::config::Config;
use crate::control::{self, AskError, Command, Output, Progress};
use std::path::{Path, PathBuf};

/// Which deployment.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// The configuration file (TOML) of the deployment
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG", required_unless_present = "data")]
    config: Option<PathBuf>,
    /// The directory of a running server instead, such as `claviger dev` uses
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// As `serve` was told
    #[arg(long)]
    insecure_software_root: bool,
}

/// Why a command has no answer.
pub(super) enum Failure {
    /// It may have been done all the same.
    Lost,
    /// It was not done.
    Start(StartError),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Lost => Self::Other(AskError::Lost.to_string()),
            Failure::Start(error) => error,
        }
    }
}

/// Has the command done and hands over its output.
pub(super) fn run(
    at: &Where,
    command: Command,
    show: impl FnOnce(Result<Output, Failure>) -> Result<(), StartError>,
) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    super::run_async(async { show(done(at, command).await) })
}

pub(super) async fn done(at: &Where, command: Command) -> Result<Output, Failure> {
    done_telling(at, command, &progress).await
}

/// Likewise, and `progress` says how far it is.
pub(super) async fn done_telling(
    at: &Where,
    command: Command,
    progress: Progress<'_>,
) -> Result<Output, Failure> {
    let (data, config) = at.deployment()?;
    match control::ask(&data, &command, progress).await {
        Ok(output) => Ok(output),
        Err(AskError::NobodyThere) => match config {
            Some(config) => Ok(alone(at, &config, command, progress).await?),
            None => {
                let text = format!("no server is running in {}: give --config", data.display());
                Err(StartError::Other(text).into())
            }
        },
        Err(AskError::Lost) => Err(Failure::Lost),
        Err(error) => Err(StartError::Other(error.to_string()).into()),
    }
}

/// Has the running server do the command; there must be one.
pub(super) async fn asked(at: &Where, command: &Command) -> Result<Output, StartError> {
    let (data, _) = at.deployment()?;
    let failed = |error: AskError| StartError::Other(format!("{}: {error}", data.display()));
    control::ask(&data, command, &progress).await.map_err(failed)
}

impl Where {
    pub fn data(&self) -> Result<PathBuf, StartError> {
        Ok(self.deployment()?.0)
    }

    /// Its directory, and its configuration if that was given.
    fn deployment(&self) -> Result<(PathBuf, Option<Config>), StartError> {
        match (&self.data, &self.config) {
            (Some(data), _) => Ok((deployment_in(data), None)),
            (None, Some(file)) => {
                let config = Config::read(file)?;
                Ok((config.data.clone(), Some(config)))
            }
            (None, None) => Err(StartError::Other("give --config or --data".into())),
        }
    }
}

/// Where `claviger dev --data DIR` has its deployment, or DIR itself.
fn deployment_in(dir: &Path) -> PathBuf {
    let inside = dir.join("data");
    if inside.is_dir() { inside } else { dir.to_owned() }
}

/// Opens the deployment as `serve` does, and closes it again.
async fn alone(
    at: &Where,
    config: &Config,
    command: Command,
    progress: Progress<'_>,
) -> Result<Output, StartError> {
    let devices = device::configured(config, at.insecure_software_root)?;
    let opened = assemble::open(&config.data, Seams::of_command(config, devices)?).await;
    let opened = opened.map_err(|error| error.with(&config.store))?;
    let outcome = control::execute(&opened.server, &config.data, command, progress).await;
    opened.close().await?;
    outcome.map_err(|error| StartError::Other(error.to_string()))
}

fn progress(events: u64) {
    super::tell(format_args!("claviger: {events} events looked at"));
}

/// Writes to standard output, and says so if nobody can have read it.
pub(super) fn print(text: &str) -> Result<(), StartError> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| StartError::Other(format!("cannot write to standard output: {e}")))
}

/// What the program cannot have answered to this command.
pub(super) fn unexpected() -> StartError {
    StartError::Other("the running server is of another version".into())
}
