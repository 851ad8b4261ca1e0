//! What a torture found, as JSON.
use super::operation::{Attempt, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub version: &'static str,
    /// The same seed makes the same choices; the moments of the operating system are its own.
    pub seed: u64,
    pub backend: &'static str,
    pub device: bool,
    pub lanes: u64,
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

    /// Whether every promise held and the torture could do its work.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.troubles.is_empty()
    }
}
