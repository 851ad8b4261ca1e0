//! How fast devices are: the same calls that the server makes, by 1 to 16 threads, on every device in turn.
//!
//! ```text
//!  Plan ── for each device ──▶ Keys (made, used, destroyed) ──▶ measure ──▶ Report ──▶ table, JSON, SVG
//! ```
//!
//! A device is measured as the server uses it: behind its guard, and in its helper process if it has one.
//! Nothing stays in it. Root keys are not made: wrapping is measured with one that is there, so that a run
//! that is killed leaves nothing behind that could be taken for a root.
//!
//! | module | role |
//! |---|---|
//! | `mechanism` | what is measured, and of which sizes |
//! | `keys` | the keys of a run: made, swept |
//! | `work` | from a mechanism to a call |
//! | `measure` | calls by so many threads for so long |
//! | `histogram` | latencies by buckets, so that a long run needs no more memory than a short one |
//! | `report` | the figures, and the knee |
//! | `table` | the figures for a terminal |
//! | `svg` | the figures as a picture |
mod histogram;
mod keys;
mod measure;
mod mechanism;
mod report;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod work;

pub use mechanism::{Case, Mechanism};
pub use report::{CaseReport, DeviceReport, Figures, Point, Report};

use crate::random::Random;
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use keys::Keys;
use mechanism::counted;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What is measured, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mechanisms: Vec<Mechanism>,
    /// In bytes: of what is encrypted, drawn or authenticated.
    pub sizes: Vec<usize>,
    /// How many threads call at once, each 1 or more.
    pub threads: Vec<usize>,
    /// For each number of threads of each case.
    pub time: Duration,
}

impl Plan {
    pub fn cases(&self) -> Vec<Case> {
        let sizes = |mechanism: Mechanism| -> Vec<Option<usize>> {
            match mechanism.has_size() {
                true => self.sizes.iter().copied().map(Some).collect(),
                false => vec![None],
            }
        };
        let cases = |mechanism: &Mechanism| {
            let mechanism = *mechanism;
            sizes(mechanism).into_iter().map(move |size| Case { mechanism, size })
        };
        self.mechanisms.iter().flat_map(cases).collect()
    }
}

/// A device that is measured. It is opened when its turn comes, and let go afterwards.
pub struct Subject {
    pub name: String,
    /// Sessions that its pool has at most, if that was said.
    pub sessions: Option<u64>,
    pub open: Box<dyn Fn() -> Result<Opened, HsmError> + Send>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A device that is open.
#[derive(Debug)]
pub struct Opened {
    pub hsm: Arc<dyn Hsm>,
    /// The root key that wrapping is measured with.
    pub root: Option<RootKeyId>,
}

/// What a run is given beside its plan.
pub struct Around<'a> {
    pub random: &'a dyn Random,
    /// Told what is measured next.
    pub progress: &'a dyn Fn(&str),
    /// Whether to end early: after the calls that are running.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").finish_non_exhaustive()
    }
}

/// Measures each device in turn. What is wrong with one is in its report and keeps no other from its
/// turn.
pub fn run(subjects: &[Subject], plan: &Plan, around: &Around<'_>) -> Report {
    let mut devices = Vec::new();
    for subject in subjects {
        if (around.stop)() {
            break;
        }
        (around.progress)(&format!("{}: opening", label(subject)));
        devices.push(match (subject.open)() {
            Ok(opened) => one(subject, &opened, plan, around),
            Err(error) => DeviceReport::of_none(label(subject), subject.sessions, &error),
        });
    }
    Report {
        program: format!("claviger {}", env!("CARGO_PKG_VERSION")),
        optimised: !cfg!(debug_assertions),
        cores: thread::available_parallelism().map_or(0, usize::from),
        seconds: plan.time.as_secs_f64(),
        interrupted: (around.stop)(),
        devices,
    }
}

fn label(subject: &Subject) -> String {
    match subject.sessions {
        Some(sessions) => format!("{} ({})", subject.name, counted(sessions, "session")),
        None => subject.name.clone(),
    }
}

fn one(subject: &Subject, opened: &Opened, plan: &Plan, around: &Around<'_>) -> DeviceReport {
    let device = &*opened.hsm;
    let mut report = DeviceReport {
        name: label(subject),
        sessions: subject.sessions,
        // After the first call: one that is opened late knows itself only then.
        info: None,
        fault: None,
        cases: Vec::new(),
        left_behind: None,
    };
    let keys = match Keys::new(device, opened.root.clone(), around.random) {
        Ok(keys) => keys,
        Err(error) => {
            report.fault = Some(error.to_string());
            return report;
        }
    };
    report.info = Some(device.info());
    for case in plan.cases() {
        if (around.stop)() {
            break;
        }
        report.cases.push(measure_case(case, &report.name, &keys, plan, around));
    }
    report.left_behind = keys.clear().err().map(|error| error.to_string());
    report
}

fn measure_case(
    case: Case,
    name: &str,
    keys: &Keys<'_>,
    plan: &Plan,
    around: &Around<'_>,
) -> CaseReport {
    let mut report = CaseReport { case, fault: None, points: Vec::new() };
    let work = match work::of(case, keys) {
        Ok(work) => work,
        Err(error) => {
            (around.progress)(&format!("{name}: {case}: {error}"));
            report.fault = Some(error.to_string());
            return report;
        }
    };
    for threads in plan.threads.iter().copied() {
        if (around.stop)() {
            break;
        }
        (around.progress)(&format!("{name}: {case}, {}", counted(threads as u64, "thread")));
        let measured = measure::measure(&work, threads, plan.time, around.stop);
        let measured = measured.map_err(|error| error.to_string());
        report.points.push(Point { threads, measured });
    }
    report
}
