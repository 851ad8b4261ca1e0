//! What a torture found, as JSON.
use super::faults::OF_THE_START;
use super::operation::{Attempt, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A fault that was planned so often and never came does not get in any more.
const NEVER: u64 = 3;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub version: &'static str,
    /// Of the program's file, in hexadecimal: the version alone does not tell two builds apart.
    pub program_sha256: String,
    /// The same seed makes the same faults, for the same settings; the moments are the operating system's.
    pub seed: u64,
    pub backend: &'static str,
    pub device: bool,
    pub lanes: u64,
    /// The kills, the seconds and the operations of a round that were asked for.
    pub kills_asked: u64,
    pub seconds_asked: Option<u64>,
    pub history_operations_asked: u64,
    /// Of each deployment.
    pub servers: u64,
    pub duration_ms: u64,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
    pub eras: u64,
    /// Servers that were killed or killed themselves at a point.
    pub kills: u64,
    /// By fault, how often it happened.
    pub faults: BTreeMap<String, u64>,
    /// By fault, how often it was planned and did not come before the round's end.
    pub not_reached: BTreeMap<String, u64>,
    pub writes: Writes,
    pub reads: u64,
    /// Lines of the histories.
    pub register_operations: u64,
    pub rotations: u64,
    /// Starts of servers after kills, until they were ready.
    pub starts: u64,
    pub slowest_start_ms: u64,
    pub slowest_recovery_ms: u64,
    pub violations: Vec<Violation>,
    /// What kept the torture itself from going on.
    pub troubles: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Writes {
    pub acknowledged: u64,
    pub refused: u64,
    /// No answer came.
    pub lost: u64,
    /// The server said that it failed.
    pub failed: u64,
    /// Of the lost and failed: the effect was there.
    pub applied: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    pub era: u64,
    pub round: u64,
    pub fault: String,
    pub what: String,
    /// The deployment and what its servers printed, kept.
    pub directory: PathBuf,
}

impl Report {
    pub(super) fn count(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            if attempt.operation.effect.is_none() {
                self.reads += 1;
                continue;
            }
            let writes = &mut self.writes;
            *match attempt.outcome {
                Outcome::Done(_) => &mut writes.acknowledged,
                Outcome::Refused(_) => &mut writes.refused,
                Outcome::Lost => &mut writes.lost,
                Outcome::Failed(_) => &mut writes.failed,
            } += 1;
            if attempt.outcome.in_doubt() && attempt.applied {
                writes.applied += 1;
            }
        }
    }

    /// What was done too little of to tell anything, is trouble.
    pub(super) fn look_for_gaps(&mut self) {
        let mut gaps = Vec::new();
        if !self.interrupted && self.kills == 0 {
            gaps.push("nobody was killed".to_owned());
        }
        if !self.interrupted && self.writes.acknowledged == 0 {
            gaps.push("no write was acknowledged".to_owned());
        }
        for (fault, times) in &self.not_reached {
            let may_be_late = fault.ends_with(OF_THE_START);
            if *times >= NEVER && !self.faults.contains_key(fault) && !may_be_late {
                gaps.push(format!("{fault}: planned {times} times, and it never came"));
            }
        }
        self.troubles.extend(gaps);
    }

    /// Whether every promise held and the torture could do its work.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.troubles.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torture_that_did_nothing_is_not_good() {
        let mut report = Report { kills: 1, ..Report::default() };
        report.writes.acknowledged = 1;
        let late = format!("kill at store.sync{OF_THE_START}");
        report.not_reached = [("store full".into(), 2), (late, 9)].into();
        report.look_for_gaps();
        assert!(report.is_good(), "{:?}", report.troubles);
        report.not_reached.insert("kill at answer".into(), NEVER);
        let mut came = report.clone();
        came.faults.insert("kill at answer".into(), 1);
        came.look_for_gaps();
        assert!(came.is_good(), "{:?}", came.troubles);
        report.look_for_gaps();
        assert_eq!(report.troubles, ["kill at answer: planned 3 times, and it never came"]);

        let nothing = Report::default();
        for (interrupted, gaps) in [(false, 2), (true, 0)] {
            let mut report = Report { interrupted, ..nothing.clone() };
            report.look_for_gaps();
            assert_eq!(report.troubles.len(), gaps, "{:?}", report.troubles);
        }
    }
}
