//! The figures of a run.
use super::mechanism::Case;
use claviger_hsm::{DeviceInfo, HsmError};
use serde::{Deserialize, Serialize};

/// The part of the best rate that is enough at the knee.
const ENOUGH: f64 = 0.95;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which program measured.
    pub program: String,
    /// False of a build without optimisation, whose figures say little.
    pub optimised: bool,
    /// That this process may use; 0 if the system does not say.
    pub cores: usize,
    /// For each point.
    pub seconds: f64,
    /// Whether it was ended early: what is missing was not measured.
    pub interrupted: bool,
    pub devices: Vec<DeviceReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// As the configuration names it, with the size of the pool if that was said.
    pub name: String,
    pub sessions: Option<u64>,
    pub info: Option<DeviceInfo>,
    /// Why it was not measured at all.
    pub fault: Option<String>,
    pub cases: Vec<CaseReport>,
    /// Why keys of the run may still be in it. The next run destroys them.
    pub left_behind: Option<String>,
}

impl DeviceReport {
    pub(super) fn of_none(name: String, sessions: Option<u64>, error: &HsmError) -> Self {
        let fault = Some(error.to_string());
        Self { name, sessions, info: None, fault, cases: Vec::new(), left_behind: None }
    }

    pub fn case(&self, case: Case) -> Option<&CaseReport> {
        self.cases.iter().find(|report| report.case == case)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseReport {
    #[serde(flatten)]
    pub case: Case,
    /// Why it was not measured: mostly because the device cannot do it.
    pub fault: Option<String>,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub threads: usize,
    /// Or what the device said instead.
    pub measured: Result<Figures, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub ops: u64,
    pub ops_per_s: f64,
    /// Microseconds, from call to answer: right to 1.6 %.
    pub p50_us: f64,
    pub p99_us: f64,
    pub longest_us: f64,
}

impl CaseReport {
    /// The smallest number of threads that gives 95 % of the best rate: more of them only wait.
    pub fn knee(&self) -> Option<usize> {
        let rates = || self.points.iter().filter_map(|point| Some((point.threads, point.rate()?)));
        let best = rates().map(|(_, rate)| rate).reduce(f64::max)?;
        rates().filter(|(_, rate)| *rate >= ENOUGH * best).map(|(threads, _)| threads).min()
    }
}

impl Point {
    pub fn rate(&self) -> Option<f64> {
        self.measured.as_ref().ok().map(|figures| figures.ops_per_s)
    }
}

impl Report {
    /// Every case that any device was asked for, each once, in the order of the plan.
    pub fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for report in self.devices.iter().flat_map(|device| &device.cases) {
            if !cases.contains(&report.case) {
                cases.push(report.case);
            }
        }
        cases
    }

    /// What is wrong with devices as a whole: not opened, or not left as they were.
    pub fn faults(&self) -> Vec<String> {
        let of = |device: &DeviceReport| {
            let left = device.left_behind.as_ref();
            let left = left.map(|why| format!("{}: keys may be left in it: {why}", device.name));
            let fault = device.fault.as_ref().map(|why| format!("{}: {why}", device.name));
            fault.into_iter().chain(left)
        };
        self.devices.iter().flat_map(of).collect()
    }

    /// For machines; the knee of each case with it.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let devices = value.get_mut("devices").and_then(|devices| devices.as_array_mut());
        for (device, report) in devices.into_iter().flatten().zip(&self.devices) {
            let cases = device.get_mut("cases").and_then(|cases| cases.as_array_mut());
            for (case, report) in cases.into_iter().flatten().zip(&report.cases) {
                if let Some(case) = case.as_object_mut() {
                    case.insert("knee".into(), report.knee().into());
                }
            }
        }
        serde_json::to_string_pretty(&value)
    }
}
