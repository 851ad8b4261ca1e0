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

const ROUNDS: u64 = 8;

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

/// When an operation has taken effect at the latest. A put without an answer may do so at any time: where
/// somebody was told its value, no two puts having the same, before the first of these was; else it
/// may as well have had no effect, for it changes what nobody saw. Without this a checker tries every
/// order of all puts without an answer, which is a number of years.
fn done(operation: &Operation, operations: &[Operation]) -> Option<u64> {
    operation.returned_ns.or_else(|| {
        let told = operations.iter().filter(|other| !other.put && other.value == operation.value);
        let first = told.filter_map(|other| other.returned_ns).min();
        // One that was told of it before it was called is found by the checker, not here.
        first.map(|first| first.max(operation.called_ns + 1))
    })
}

/// The history of a secret. Every operation is a process of its own.
fn history(operations: &[Operation]) -> History<Step> {
    let mut actions = Vec::new();
    for (process, operation) in operations.iter().enumerate() {
        let step = if operation.put { Step::Put } else { Step::Got }(operation.value);
        let Some(returned) = done(operation, operations) else { continue };
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

/// Histories of which the checker must say that they are wrong: true ones in which one thing is another.
fn doctored(operations: &[Operation]) -> Vec<(&'static str, Vec<Operation>)> {
    let end = operations.iter().filter_map(|operation| operation.returned_ns).max().unwrap();
    let last = operations.iter().filter(|operation| !operation.put).max_by_key(|o| o.called_ns);
    let last = last.unwrap();
    let later =
        |value| Operation { value, called_ns: end + 1, returned_ns: Some(end + 2), ..last.clone() };
    let with = |operation: Operation| [operations, &[operation]].concat();
    let mut all = vec![("a value that nobody put", with(later(u64::MAX)))];
    // A put that was acknowledged and seen, and that another one has replaced since.
    let seen = |put: &&Operation| {
        put.put
            && put.returned_ns.is_some()
            && put.value != last.value
            && operations.iter().any(|got| !got.put && got.value == put.value)
    };
    if let Some(put) = operations.iter().find(seen) {
        all.push(("a replaced value that comes back", with(later(put.value))));
        let mut without = operations.to_vec();
        without.retain(|other| !other.put || other.value != put.value);
        all.push(("a value that was seen and never put", without));
    }
    if last.value != 0 {
        all.push(("the first value after others, as if all were lost", with(later(0))));
    }
    all
}

#[test]
fn secrets_on_two_servers_are_linearizable() {
    let _busy = machine(false);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history");
    let path = file.to_str().unwrap();
    let more = ["--postgresql", &postgresql(), "--servers", "2", "--history", path];
    let rounds = rounds(ROUNDS);
    let report = good(dir.path(), rounds, &more);
    let lines = std::fs::read_to_string(file).unwrap();
    let mut secrets: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for line in lines.lines() {
        let operation: Operation = serde_json::from_str(line).unwrap();
        secrets.entry(operation.secret.clone()).or_default().push(operation);
    }
    let (mut all, mut lost, mut overlapping, mut refuted) = (0, 0, 0, 0);
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
        for (how, wrong) in doctored(operations) {
            assert!(!is_linearizable(&wrong), "{secret}: not found: {how}: {wrong:#?}");
            refuted += 1;
        }
    }
    eprintln!(
        "{all} operations on {} secrets, {lost} puts without an answer, {overlapping} overlap; \
         {refuted} doctored histories refuted",
        secrets.len()
    );
    assert_eq!(report["register_operations"], all);
    // Of two servers a round kills both.
    assert!(all as u64 >= rounds / 2 * 200, "too few to tell anything");
    assert!(overlapping > all / 4 && lost > 0, "too little at the same time to tell anything");
    assert!(refuted > secrets.len(), "too little was replaced to tell anything");
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
