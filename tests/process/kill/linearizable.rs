//! Secrets are linearizable: a put is there from some moment between its call and its answer, for the
//! clients of all servers at once, whatever is killed meanwhile. The histories that `claviger torture` writes
//! down are checked by a published checker, `todc-utils` (MIT, no dependencies): it is the algorithm of Wing
//! and Gong with the extension of Lowe, and is tested with histories of etcd.
use super::{good, postgresql, rounds};
use crate::harness::machine;
use serde::Deserialize;
use std::collections::BTreeMap;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::Specification;

const ROUNDS: u64 = 12;

/// A line of a history.
#[derive(Clone, Debug, Deserialize)]
struct Operation {
    secret: String,
    put: bool,
    value: u64,
    called_ns: u64,
    returned_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Put(u64),
    Got(u64),
}

/// What a secret is: it has the value that was put last.
struct Register;

impl Specification for Register {
    type State = u64;
    type Operation = Step;

    fn init() -> u64 {
        0
    }

    fn apply(step: &Step, state: &u64) -> (bool, u64) {
        match *step {
            Step::Put(value) => (true, value),
            Step::Got(value) => (value == *state, *state),
        }
    }
}

/// The history of a secret. A put without an answer may take effect later than all others, which is the
/// same as never: so it ends last. Every operation is a process of its own.
fn history(operations: &[Operation]) -> History<Step> {
    let mut actions = Vec::new();
    for (process, operation) in operations.iter().enumerate() {
        let step = if operation.put { Step::Put } else { Step::Got }(operation.value);
        let returned = operation.returned_ns.unwrap_or(u64::MAX);
        assert!(operation.called_ns < returned, "{operation:?}");
        actions.push((operation.called_ns, process, Action::Call(step)));
        actions.push((returned, process, Action::Response(step)));
    }
    // Where two are of the same moment, calls come first: they are taken to overlap.
    actions.sort_by_key(|(at, _, action)| (*at, matches!(action, Action::Response(_))));
    History::from_actions(
        actions.into_iter().map(|(_, process, action)| (process, action)).collect(),
    )
}

fn is_linearizable(operations: &[Operation]) -> bool {
    WGLChecker::<Register>::is_linearizable(history(operations))
}

#[test]
fn secrets_on_two_servers_are_linearizable() {
    let _busy = machine(false);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history");
    let path = file.to_str().unwrap();
    let more = ["--postgresql", &postgresql(), "--servers", "2", "--history", path];
    let report = good(dir.path(), ROUNDS.min(rounds()), None, &more);
    let lines = std::fs::read_to_string(file).unwrap();
    let mut secrets: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for line in lines.lines() {
        let operation: Operation = serde_json::from_str(line).unwrap();
        secrets.entry(operation.secret.clone()).or_default().push(operation);
    }
    let (mut all, mut lost, mut overlapping) = (0, 0, 0);
    for (secret, operations) in &secrets {
        assert!(is_linearizable(operations), "{secret}: {operations:#?}");
        all += operations.len();
        lost += operations.iter().filter(|operation| operation.returned_ns.is_none()).count();
        let overlap = |one: &Operation, other: &Operation| {
            let ends = |operation: &Operation| operation.returned_ns.unwrap_or(u64::MAX);
            one.called_ns < other.called_ns && other.called_ns < ends(one)
        };
        let overlaps = |one: &&Operation| operations.iter().any(|other| overlap(one, other));
        overlapping += operations.iter().filter(overlaps).count();
    }
    eprintln!(
        "{all} operations on {} secrets, {lost} puts without an answer, {overlapping} overlap",
        secrets.len()
    );
    assert_eq!(report["register_operations"], all);
    assert!(overlapping > all / 4 && lost > 0, "too little at the same time to tell anything");
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let put = |value, called_ns, returned_ns| Operation {
        secret: "s".into(),
        put: true,
        value,
        called_ns,
        returned_ns,
    };
    let got = |value, called_ns, returned_ns| Operation {
        put: false,
        ..put(value, called_ns, Some(returned_ns))
    };
    // While a put is under way, either value may be read, but not the old one after the new one.
    let both = [put(1, 10, Some(40)), got(0, 11, 20), got(1, 21, 30), got(1, 50, 60)];
    assert!(is_linearizable(&both));
    assert!(!is_linearizable(&[put(1, 10, Some(40)), got(1, 11, 20), got(0, 21, 30)]));
    // A put that was acknowledged is there, one that was not may be there at any time or never.
    assert!(!is_linearizable(&[put(1, 10, Some(20)), got(0, 21, 30)]));
    assert!(is_linearizable(&[put(1, 10, None), got(0, 21, 30)]));
    assert!(is_linearizable(&[put(1, 10, None), got(0, 21, 30), got(1, 31, 40)]));
    assert!(!is_linearizable(&[put(1, 10, None), got(1, 21, 30), got(0, 31, 40)]));
    assert!(!is_linearizable(&[got(7, 10, 20)]), "nobody put it");
}
