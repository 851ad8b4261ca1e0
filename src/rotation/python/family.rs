//! Ending a worker with what it started: its process group, and by the worker's marker in their
//! environment also processes that made themselves a group of their own. Those that did so and have
//! another environment are not found.
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::BTreeSet;

/// The variable with the marker.
pub(super) const MARKER: &str = "CLAVIGER_FUNCTION";
/// Looks at the process table. The limit on processes ends whoever makes new ones faster than that.
const ROUNDS: usize = 100;

/// Kills the worker with its process group, and then whatever left the group.
pub(super) fn end(marker: &str, worker: Option<u32>) {
    end_group(worker);
    // Stopped first: who is killed one by one makes others meanwhile.
    let mut stopped = BTreeSet::new();
    for _ in 0..ROUNDS {
        let found = of(marker);
        if found.is_empty() {
            return;
        }
        let fresh = found.iter().any(|id| !stopped.contains(id));
        let signal = if fresh { Signal::STOP } else { Signal::KILL };
        for id in found {
            if let Some(pid) = Pid::from_raw(id) {
                // It fails if the process is gone already.
                let _ = kill_process(pid, signal);
            }
            stopped.insert(id);
        }
    }
    tracing::error!("processes of a rotation function could not be ended");
}

pub(super) fn end_group(worker: Option<u32>) {
    // Also if the worker itself has ended: its number is nobody else's while its group has members,
    // and after that not before all other numbers had their turn.
    if let Some(group) = worker.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        // It fails if the group is gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The living processes that have the marker. Those that ended have no environment any more.
fn of(marker: &str) -> Vec<i32> {
    let wanted = format!("{MARKER}={marker}\0");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |id: &i32| {
        // Others' processes cannot be read, and need not.
        let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        memchr::memmem::find(&environment, wanted.as_bytes()).is_some()
    };
    ids.filter(has).collect()
}
