//! `claviger bench device`: how fast the configured devices are, beside each other and beside software.
use super::control::print;
use super::serve::stop_signal;
use super::{StartError, device};
use crate::config::Config;
use crate::device_bench::{self, Around, Mechanism, Opened, Plan, Report, Subject};
use crate::devices::{Devices, Settings};
use crate::random::{Random, SystemRandom};
use claviger_hsm::{Hsm, HsmError, RootKeyId, SoftwareHsm};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What the software device is called, and its root key.
const SOFTWARE: &str = "software";

#[derive(Debug, clap::Subcommand)]
pub(super) enum BenchCommand {
    /// Measure the configured devices: calls a second and latencies by mechanism, size and threads
    Device(Box<DeviceArguments>),
}

/// Every number is of a figure: so many mechanisms times sizes times threads times seconds it takes.
#[derive(Debug, clap::Args)]
pub(super) struct DeviceArguments {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: PathBuf,
    /// The devices, by their names in the configuration, or `software` [default: all]. Repeatable
    #[arg(long = "device", value_name = "NAME")]
    devices: Vec<String>,
    /// What is measured [default: everything]: random, wrap, unwrap, aes-gcm-encrypt and so on
    #[arg(long, value_name = "MECHANISM", value_delimiter = ',')]
    only: Vec<Mechanism>,
    /// Lengths of what is encrypted, drawn or authenticated, in bytes
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_values_t = [32, 4096],
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    sizes: Vec<u32>,
    /// How many threads call at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16],
        value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Vec<u16>,
    /// Measure tokens with pools of so many sessions [default: as configured]
    #[arg(long, value_name = "N", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=256))]
    sessions: Vec<u64>,
    /// How long each figure is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the figures as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number: Option<f64> =
        text.parse().ok().filter(|seconds| (0.001..=3600.0).contains(seconds));
    number.ok_or_else(|| format!("wanted 0.001 to 3600 seconds, found {text:?}"))
}

pub(super) fn main(command: &BenchCommand) -> Result<(), StartError> {
    let BenchCommand::Device(arguments) = command;
    super::harden();
    super::logging::start(false);
    let config = Config::read(&arguments.config)?;
    let subjects = subjects(&config, arguments)?;
    let plan = arguments.plan();
    let count = plan.cases().len() * plan.threads.len() * subjects.len();
    super::tell(format_args!(
        "claviger: {count} figures of {} s each; Ctrl-C ends early",
        arguments.seconds
    ));
    super::run_async(async {
        let stopped = stop_signal();
        let stop = move || *stopped.borrow();
        let progress = |text: &str| super::tell(format_args!("claviger: {text}"));
        let around = move |subjects: Vec<Subject>, plan: Plan| {
            let around = Around { random: &SystemRandom, progress: &progress, stop: &stop };
            device_bench::run(&subjects, &plan, &around)
        };
        let report = tokio::task::spawn_blocking(move || around(subjects, plan));
        let report = report.await.map_err(|e| StartError::Other(e.to_string()))?;
        show(&report, arguments)
    })
}

impl DeviceArguments {
    fn plan(&self) -> Plan {
        Plan {
            mechanisms: match self.only.as_slice() {
                [] => Mechanism::ALL.to_vec(),
                only => only.to_vec(),
            },
            sizes: self.sizes.iter().filter_map(|size| usize::try_from(*size).ok()).collect(),
            threads: self.threads.iter().copied().map(usize::from).collect(),
            time: Duration::from_secs_f64(self.seconds),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.devices.is_empty() || self.devices.iter().any(|wanted| wanted == name)
    }
}

/// The devices in the order of the configuration, each as often as there are sizes of pools; then the
/// software.
fn subjects(config: &Config, arguments: &DeviceArguments) -> Result<Vec<Subject>, StartError> {
    let sections = config.all_devices();
    let known = |name: &String| name == SOFTWARE || sections.iter().any(|one| one.name == *name);
    if let Some(unknown) = arguments.devices.iter().find(|name| !known(name)) {
        let names: Vec<&str> = sections.iter().map(|section| section.name.as_str()).collect();
        return Err(StartError::Setup(format!(
            "no device is called {unknown:?}; there are: {}",
            [names.as_slice(), &[SOFTWARE]].concat().join(", ")
        )));
    }
    let mut subjects = Vec::new();
    for section in sections.iter().filter(|section| arguments.wants(&section.name)) {
        match &section.pkcs11 {
            Some(pkcs11) if !arguments.sessions.is_empty() => {
                for sessions in &arguments.sessions {
                    let mut pkcs11 = pkcs11.clone();
                    pkcs11.sessions = Some(*sessions);
                    let section = Settings { pkcs11: Some(pkcs11), ..section.clone() };
                    subjects.push(subject(section, Some(*sessions))?);
                }
            }
            _ => subjects.push(subject(section.clone(), None)?),
        }
    }
    if arguments.wants(SOFTWARE) {
        let open = || {
            let device = SoftwareHsm::seeded((&SystemRandom as &dyn Random).bytes());
            let root = RootKeyId::new(SOFTWARE);
            device.create_root_key(&root)?;
            Ok(Opened { hsm: Arc::new(device), root: Some(root) })
        };
        subjects.push(Subject { name: SOFTWARE.into(), sessions: None, open: Box::new(open) });
    }
    Ok(subjects)
}

fn subject(section: Settings, sessions: Option<u64>) -> Result<Subject, StartError> {
    if let Some(pkcs11) = &section.pkcs11 {
        device::read_pin(&pkcs11.pin_file)?;
    }
    let name = section.name.clone();
    // Its section is looked at now, its device when it is its turn.
    let sections = [section];
    Devices::configured(&sections).map_err(|e| StartError::Setup(e.to_string()))?;
    let open = move || {
        let devices = Devices::configured(&sections);
        let devices = devices.map_err(|e| HsmError::Refused(e.to_string()))?;
        let none = || HsmError::Refused("the section makes no device".into());
        let hsm = devices.all().first().ok_or_else(none)?.hsm.clone();
        // A device that has none says so; it has other things to show.
        let root = hsm.root_keys()?.into_iter().find(|root| hsm.check_root_key(root).is_ok());
        Ok(Opened { hsm, root })
    };
    Ok(Subject { name, sessions, open: Box::new(open) })
}

fn show(report: &Report, arguments: &DeviceArguments) -> Result<(), StartError> {
    let other = |e: &dyn std::fmt::Display| StartError::Other(e.to_string());
    if let Some(path) = &arguments.json {
        write(path, &report.json().map_err(|e| other(&e))?)?;
    }
    if let Some(path) = &arguments.svg {
        write(path, &report.svg().map_err(|e| other(&e))?)?;
    }
    print(&report.to_string())?;
    match report.faults().as_slice() {
        [] => Ok(()),
        faults => Err(StartError::NoDevice(faults.join("; "))),
    }
}

fn write(path: &Path, text: &str) -> Result<(), StartError> {
    let bad = |e: std::io::Error| StartError::Other(format!("{}: {e}", path.display()));
    std::fs::write(path, text).map_err(bad)
}
