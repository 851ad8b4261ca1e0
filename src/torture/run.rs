//! Eras, side by side in lanes, until the kills or the minutes are used up; and what they found.
use super::deployment::Deployment;
use super::era::Era;
use super::numbers::Numbers;
use super::register::Operation;
use super::report::{Report, Violation};
use super::{Trouble, now};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A deployment lives for so many rounds at most, so that checking everything stays quick.
const ROUNDS_OF_AN_ERA: u64 = 20;
/// How often a line tells how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable that is tortured.
    pub program: PathBuf,
    pub seed: u64,
    pub kills: u64,
    /// An end before all kills are done.
    pub limit: Option<Duration>,
    pub lanes: u64,
    /// Where deployments are made; those that broke a promise stay there.
    pub dir: PathBuf,
    /// Sections of a configuration that name a device; without them the insecure software root.
    pub device: Option<String>,
    /// Where PostgreSQL's programs are; without it the embedded store.
    pub postgresql: Option<PathBuf>,
    /// How many servers a deployment has. More than one need PostgreSQL.
    pub servers: u64,
    /// A file for the histories of secrets that several clients put and get at the same time, as lines
    /// of JSON; without it there are none.
    pub history: Option<PathBuf>,
    /// So many of these operations a round is to have before somebody is killed at random.
    pub history_operations: u64,
}

/// What all lanes look at.
pub(super) struct Shared {
    report: Mutex<Report>,
    over: Arc<AtomicBool>,
    until: Option<Instant>,
    history: Option<Mutex<File>>,
    pub(super) history_operations: u64,
}

impl Shared {
    pub(super) fn report<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn wants_history(&self) -> bool {
        self.history.is_some()
    }

    /// Writes down what the clients of registers were told in an era.
    pub(super) fn write_history(&self, operations: &[Operation]) -> Result<(), Trouble> {
        let Some(file) = &self.history else { return Ok(()) };
        let mut text = String::new();
        for operation in operations {
            let line = serde_json::to_string(operation)
                .map_err(|e| Trouble::Setup(format!("a history: {e}")))?;
            text.push_str(&line);
            text.push('\n');
        }
        self.report(|report| report.register_operations += operations.len() as u64);
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes()).map_err(Trouble::setup("a history"))
    }

    /// Whether no further round is to begin.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.until.is_some_and(|until| now() >= until)
    }
}

/// Tortures until the end of what was asked for, or until `over` is set. Progress goes to `tell`.
///
/// # Errors
/// When the file for the histories cannot be made, or the program cannot be read.
pub fn run(
    settings: &Settings,
    over: &Arc<AtomicBool>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Report, Trouble> {
    let began = now();
    let file = settings
        .history
        .as_ref()
        .map(|path| File::create_new(path).map_err(Trouble::setup(path.display())));
    let history = file.transpose()?;
    let program = std::fs::read(&settings.program);
    let program = program.map_err(Trouble::setup(settings.program.display()))?;
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        program_sha256: hex::encode(Sha256::digest(program)),
        seed: settings.seed,
        backend: if settings.postgresql.is_some() { "postgresql" } else { "embedded" },
        servers: settings.servers,
        device: settings.device.is_some(),
        lanes: settings.lanes,
        kills_asked: settings.kills,
        seconds_asked: settings.limit.map(|limit| limit.as_secs()),
        history_operations_asked: settings.history_operations,
        ..Report::default()
    };
    let shared = Shared {
        report: Mutex::new(report),
        over: over.clone(),
        until: settings.limit.map(|limit| began + limit),
        history: history.map(Mutex::new),
        history_operations: settings.history_operations,
    };
    // Few kills are shared out to all lanes.
    let of_an_era = ROUNDS_OF_AN_ERA.min(settings.kills.div_ceil(settings.lanes));
    let (next, ended) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..settings.lanes {
            scope.spawn(|| {
                while !shared.is_over() {
                    let era = next.fetch_add(1, Ordering::Relaxed);
                    let first = era.saturating_mul(of_an_era);
                    if first >= settings.kills {
                        break;
                    }
                    let rounds = of_an_era.min(settings.kills - first);
                    one(settings, &shared, era, rounds, tell);
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut told = now();
        while ended.load(Ordering::Relaxed) < settings.lanes {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() > PROGRESS {
                tell(&progress(&shared, began.elapsed()));
                told = now();
            }
        }
    });
    let mut report = shared.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.interrupted = over.load(Ordering::Relaxed);
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.look_for_gaps();
    Ok(report)
}

fn progress(shared: &Shared, after: Duration) -> String {
    shared.report(|report| {
        format!(
            "{} s: {} kills, {} writes acknowledged, {} lost, {} failed, {} violations",
            after.as_secs(),
            report.kills,
            report.writes.acknowledged,
            report.writes.lost,
            report.writes.failed,
            report.violations.len()
        )
    })
}

/// One era. What it found is in the report; a deployment that told of nothing is removed.
fn one(settings: &Settings, shared: &Shared, era: u64, rounds: u64, tell: &(dyn Fn(&str) + Sync)) {
    let seed = Numbers(settings.seed ^ era.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next();
    let dir = settings.dir.join(format!("era-{era}"));
    let outcome = Deployment::new(dir, settings).and_then(|deployment| {
        let mut life = Era::new(&deployment, shared, era, seed);
        let outcome = life.live(rounds);
        let outcome = outcome.and(shared.write_history(&life.registers.history()));
        let (round, fault) = (life.round, life.fault.clone());
        shared.report(|report| report.eras += 1);
        match outcome {
            Ok(()) => deployment.discard(),
            Err(Trouble::Violation(what)) => {
                tell(&format!("era {era}, round {round}, {fault}: {what}"));
                let directory = deployment.dir().to_owned();
                let violation = Violation { era, round, fault, what, directory };
                shared.report(|report| report.violations.push(violation));
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    });
    if let Err(trouble) = outcome {
        tell(&format!("era {era}: {trouble}"));
        shared.report(|report| report.troubles.push(trouble.to_string()));
    }
}
