//! `claviger torture`: real servers under faults, and a report of what did not hold.
use super::StartError;
use super::control::print;
use crate::random::{Random, SystemRandom};
use crate::torture::{self, Report, Settings};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Without `--kills` and `--minutes`.
const KILLS: u64 = 200;

#[derive(Debug, clap::Args)]
pub(super) struct TortureArguments {
    /// How many rounds; each ends in the death of a server [default: 200, or as many as fit into --minutes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    kills: Option<u64>,
    /// End after so many minutes, whatever is left of --kills
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// The same seed plans the same faults, for the same --kills and --lanes [default: a random one, which the report tells]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Deployments side by side
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    lanes: u64,
    /// Where to write the report (JSON) [default: standard output]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where deployments are made; it must not exist yet. What broke a promise is kept there
    /// [default: a new directory among the temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A file with the sections of a configuration that name a device, such as [pkcs11]. Root keys are
    /// made in it: use a token for tests [default: the insecure software root]
    #[arg(long, value_name = "FILE")]
    device: Option<PathBuf>,
    /// Where initdb, postgres and psql are, such as /usr/lib/postgresql/15/bin: every deployment gets a
    /// database of its own, which is tortured too [default: the embedded store]
    #[arg(long, value_name = "DIR")]
    postgresql: Option<PathBuf>,
    /// The executable to torture [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// How many servers share a deployment's database
    #[arg(long, value_name = "N", default_value_t = 1, requires = "postgresql", value_parser = clap::value_parser!(u64).range(1..=8))]
    servers: u64,
    /// Has secrets put and got by several clients at the same time, and writes here what they were told
    /// (lines of JSON), for a linearizability checker; the file must not exist yet
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How many of these operations a round has at least, unless a fault comes before; at most three times as many
    #[arg(long, value_name = "N", default_value_t = 400, requires = "history", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    history_operations: u64,
}

pub(super) fn run(arguments: &TortureArguments) -> Result<(), StartError> {
    let random: &dyn Random = &SystemRandom;
    let seed = arguments.seed.unwrap_or_else(|| u64::from_le_bytes(random.bytes()));
    let kills = match (arguments.kills, arguments.minutes) {
        (Some(kills), _) => kills,
        (None, Some(_)) => u64::MAX,
        (None, None) => KILLS,
    };
    let temporary =
        || std::env::temp_dir().join(format!("claviger-torture-{}", std::process::id()));
    let dir = arguments.dir.clone().unwrap_or_else(temporary);
    let device = arguments
        .device
        .as_ref()
        .map(|path| std::fs::read_to_string(path).map_err(|e| StartError::Setup(at(path, &e))));
    let program = arguments.program.clone().map_or_else(std::env::current_exe, Ok);
    let settings = Settings {
        program: program.map_err(|e| StartError::Setup(format!("this program: {e}")))?,
        seed,
        kills,
        limit: arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
        lanes: arguments.lanes,
        dir,
        device: device.transpose()?,
        postgresql: arguments.postgresql.clone(),
        servers: arguments.servers,
        history: arguments.history.clone(),
        history_operations: arguments.history_operations,
    };
    let over = until_signalled()?;
    let made = std::fs::DirBuilder::new().mode(0o700).create(&settings.dir);
    made.map_err(|e| StartError::Setup(at(&settings.dir, &e)))?;
    super::tell(format_args!("claviger: torture with seed {seed} in {}", settings.dir.display()));
    let report =
        torture::run(&settings, &over, &|line| super::tell(format_args!("claviger: {line}")))
            .map_err(|trouble| StartError::Setup(trouble.to_string()))?;
    // Stays where something is kept in it.
    drop(std::fs::remove_dir(&settings.dir));
    show(&report, arguments.report.as_deref())?;
    if report.is_good() {
        return Ok(());
    }
    Err(StartError::Other(format!(
        "{} promises were broken, {} things kept the torture from its work (the report tells which); what is \
         left of them is in {}",
        report.violations.len(),
        report.troubles.len(),
        settings.dir.display()
    )))
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Set by the first SIGINT or SIGTERM; the rounds under way come to their end. A second one ends the
/// process, and its servers with it.
fn until_signalled() -> Result<Arc<AtomicBool>, StartError> {
    let over = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, 1, over.clone())
            .and_then(|_| signal_hook::flag::register(signal, over.clone()))
            .map_err(|e| StartError::Other(format!("cannot wait for signals: {e}")))?;
    }
    Ok(over)
}

fn show(report: &Report, to: Option<&Path>) -> Result<(), StartError> {
    let mut text = serde_json::to_string_pretty(report)
        .map_err(|e| StartError::Other(format!("the report cannot be written: {e}")))?;
    text.push('\n');
    match to {
        None => print(&text),
        Some(path) => std::fs::write(path, text).map_err(|e| StartError::Other(at(path, &e))),
    }
}
