//! `claviger recovery generate` makes a recovery key, in shares; `claviger recover` brings a deployment
//! back by them. Both work offline, and no whole key is ever written anywhere.
use super::StartError;
use super::assemble::{self, Opened, Seams};
use super::control::print;
use super::device;
use super::files::{make_dir, write_private};
use crate::config::Config;
use crate::random::SystemRandom;
use crate::root_of_trust::Deployment;
use crate::root_of_trust::recovery::{self, Seed, Share};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

const LOCK_ATTEMPTS: u32 = 400;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
/// A public key has 2.5 KB, a share 600 bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(super) enum RecoveryCommand {
    /// Make a recovery key: a file for each custodian, and the public key for `root add-wrap --recovery`
    Generate(GenerateArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct GenerateArguments {
    /// How many shares bring the key back, at least 2
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(2..))]
    threshold: u8,
    /// How many shares there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..))]
    shares: u8,
    /// Where the files go: a directory that is not there yet, or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RecoverArguments {
    /// The configuration file (TOML), with the new device
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: PathBuf,
    /// As many shares of the recovery key as are needed
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    shares: Vec<PathBuf>,
    /// Which device wraps the keys from now on [default: the first of the configuration]
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

fn other(error: impl std::fmt::Display) -> StartError {
    StartError::Other(error.to_string())
}

pub(super) fn main(command: &RecoveryCommand) -> Result<(), StartError> {
    super::harden();
    match command {
        RecoveryCommand::Generate(arguments) => generate(arguments),
    }
}

fn generate(arguments: &GenerateArguments) -> Result<(), StartError> {
    let GenerateArguments { threshold, shares, out } = arguments;
    make_dir(out)?;
    assemble::check_private(out)?;
    let bad = |path: &Path, what: String| StartError::Data { path: path.to_owned(), what };
    let mut entries = std::fs::read_dir(out).map_err(|e| bad(out, e.to_string()))?;
    if entries.next().is_some() {
        return Err(bad(out, "is not empty: shares of two keys must not be mixed".into()));
    }
    let seed = Seed::generate(&SystemRandom);
    let public = seed.public().map_err(other)?;
    let made = recovery::split(&seed, *threshold, *shares, &SystemRandom).map_err(other)?;
    // What is handed out must bring the key back.
    let last = made.get(made.len().saturating_sub(usize::from(*threshold))..).unwrap_or_default();
    recovery::combine(last).map_err(other)?;
    let name = public.fingerprint();
    for share in &made {
        let path = out.join(format!("{name}.{}-of-{shares}.share", share.index));
        write_private(&path, share.text().as_bytes()).map_err(|e| bad(&path, e.to_string()))?;
    }
    let path = out.join(format!("{name}.public"));
    write_private(&path, public.text().as_bytes()).map_err(|e| bad(&path, e.to_string()))?;
    print(&format!(
        "Recovery key {name}: {shares} shares in {0}, any {threshold} of which bring it back.\n\
         Give each to a custodian and keep none of them here. Then have the keys wrapped for it:\n\n  \
         claviger root add-wrap --config FILE --recovery {1}\n\nand prove now and then that it opens \
         them:\n\n  claviger root drill --config FILE --shares …\n",
        out.display(),
        path.display()
    ))
}

/// The key of which these files are shares.
pub(super) fn read_shares(files: &[PathBuf]) -> Result<Seed, StartError> {
    let read = |path: &PathBuf| {
        let text = read_text(path)?;
        Share::parse(&path.display().to_string(), &text).map_err(other)
    };
    let shares: Result<Vec<Share>, StartError> = files.iter().map(read).collect();
    recovery::combine(&shares?).map_err(other)
}

/// The text of a share or a public key, read into one buffer that is zeroed when it is dropped.
pub(super) fn read_text(path: &Path) -> Result<Zeroizing<String>, StartError> {
    let bad = |what: String| StartError::Other(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|e| bad(e.to_string()))?;
    // Room for all of it at once: a text that grew would leave pieces of it behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT_BYTES + 1));
    let limit = MAX_TEXT_BYTES as u64 + 1;
    file.take(limit).read_to_string(&mut text).map_err(|e| bad(e.to_string()))?;
    match text.len() > MAX_TEXT_BYTES {
        true => Err(bad(format!(
            "is longer than {MAX_TEXT_BYTES} bytes, and so neither a share nor a key"
        ))),
        false => Ok(text),
    }
}

/// A server that is sealed holds the lock for a moment, each time that it looks.
async fn open_patiently(
    data: &Path,
    seams: &Seams,
    files: &[PathBuf],
) -> Result<Opened, StartError> {
    let mut attempts = LOCK_ATTEMPTS;
    loop {
        match assemble::recover(data, seams.clone(), read_shares(files)?).await {
            Err(StartError::Locked { .. }) if attempts > 0 => attempts -= 1,
            outcome => return outcome,
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
}

pub(super) fn recover(arguments: &RecoverArguments) -> Result<(), StartError> {
    super::harden();
    super::logging::start(false);
    let config = Config::read(&arguments.config)?;
    let data = &config.data;
    let seed = read_shares(&arguments.shares)?;
    let key = seed.public().map_err(other)?.root();
    drop(seed);
    let devices = device::configured(&config, false)?;
    let names: Vec<&str> = devices.all().iter().map(|device| device.name.as_str()).collect();
    let name = match (&arguments.device, names.first()) {
        (Some(name), _) => name.clone(),
        (None, Some(first)) => (*first).to_owned(),
        (None, None) => return Err(StartError::Setup("the configuration names no device".into())),
    };
    if Deployment::read(data)?.is_none() {
        let what = "has no deployment.json: restore the whole directory from a backup".into();
        return Err(StartError::Data { path: data.clone(), what });
    }
    let seams = Seams::of_command(&config, devices)?;
    super::run_async(async {
        // The store opens before anything is changed: it must be of these keys.
        let opened = open_patiently(data, &seams, &arguments.shares).await;
        let opened = opened.map_err(|error| error.with(&config.store))?;
        let server = opened.server.clone();
        let details = json!({ "recoveredBy": key.as_str(), "device": name });
        let announced = server.announce("RecoverDeployment", details).await.map_err(other)?;
        let (root, device, now) = (server.root.clone(), name.clone(), server.clock.now());
        let changed = tokio::task::spawn_blocking(move || root.add_wrap(&device, now)).await;
        let changed = changed.map_err(other)?;
        let ended = match &changed {
            Ok(changed) => json!({ "wrapped": changed.wrapped, "left": changed.left }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let concluded = server.conclude(announced, "ended", ended).await;
        opened.close().await?;
        print(&changed?.to_string())?;
        concluded.map_err(other)?;
        print(
            "The store opens. Roots of devices that are gone: `claviger root retire ROOT --lost`.\n",
        )
    })
}
