//! `claviger torture`: what docs/torture.md promises holds, on a SoftHSM token and on the insecure software
//! root, with the embedded store and with one and two servers on PostgreSQL. And what breaks a promise is
//! noticed.
mod caught;
mod linearizable;
mod points;

use crate::harness::{Exit, machine, program, run};
use crate::setup::{CLUSTER, LABEL, Token, softhsm};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Few, so that all of these tests take two or three minutes; docs/torture.md tells of long runs.
const ROUNDS: u64 = 40;
/// What is killed here is the store and the log, and SoftHSM in a debug build would take most of the
/// time for its own start.
const WITH_TOKEN: u64 = 10;
const ON_POSTGRESQL: u64 = 12;
/// Tokens that may be lost by one kill in thirty.
const TOKENS: usize = 5;

/// So many rounds, or what `CLAVIGER_KILL_ROUNDS` says.
fn rounds(default: u64) -> u64 {
    let rounds = std::env::var("CLAVIGER_KILL_ROUNDS").ok();
    rounds.map_or(default, |text| text.parse().unwrap())
}

/// 0, or what `CLAVIGER_KILL_SEED` says: other faults at other points.
fn seed() -> u64 {
    let seed = std::env::var("CLAVIGER_KILL_SEED").ok();
    seed.map_or(0, |text| text.parse().unwrap())
}

/// Where PostgreSQL's programs are.
fn postgresql() -> String {
    let postgres = crate::databases::program("postgres");
    let postgres = postgres.canonicalize().unwrap();
    postgres.parent().unwrap().to_str().unwrap().to_owned()
}

/// How the command ended, and its report.
fn torture(dir: &Path, kills: u64, token: Option<&Token>, more: &[&str]) -> (Exit, Value) {
    let report = dir.join("report.json");
    let mut command = program(token.map(|token| token.conf.as_path()));
    // Such as one that was built with optimisation.
    if let Some(other) = std::env::var_os("CLAVIGER_KILL_PROGRAM") {
        let same = command;
        command = Command::new(other);
        for (name, value) in same.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
    let seed = seed().to_string();
    command.args(["torture", "--seed", &seed, "--kills", &kills.to_string(), "--report"]);
    command.arg(&report).arg("--dir").arg(dir.join("torture")).args(more);
    if let Some(token) = token {
        let text = format!(
            "[pkcs11]\nmodule = {:?}\ntoken = {LABEL:?}\npin_file = {:?}\ncluster = {CLUSTER:?}\n",
            softhsm(),
            token.pin_file
        );
        let device = dir.join("device.toml");
        std::fs::write(&device, text).unwrap();
        command.arg("--device").arg(device);
    }
    let exit = run(command);
    let report = std::fs::read(&report).unwrap_or_default();
    let report = serde_json::from_slice(&report).unwrap_or(Value::Null);
    eprintln!("{report:#}");
    (exit, report)
}

/// A torture that comes to a good end.
fn good(dir: &Path, kills: u64, more: &[&str]) -> Value {
    let (exit, report) = torture(dir, kills, None, more);
    is_good(dir, kills, &exit, &report);
    report
}

/// The same with root keys in a token. SoftHSM writes its token's file anew at every login: a kill at that
/// moment leaves none that it can read, which is not what is tortured here.
fn good_with_token(dir: &Path, kills: u64) {
    for attempt in 1.. {
        let dir = dir.join(format!("token-{attempt}"));
        std::fs::create_dir(&dir).unwrap();
        let token = Token::new(&dir.join("softhsm"));
        let (exit, report) = torture(&dir, kills, Some(&token), &[]);
        let troubles = report["troubles"].as_array().unwrap();
        let is_lost = |trouble: &Value| trouble.as_str().unwrap().contains("no token is labelled");
        let lost = report["violations"] == serde_json::json!([]) && troubles.iter().any(is_lost);
        if !lost || attempt == TOKENS {
            return is_good(&dir, kills, &exit, &report);
        }
    }
}

fn is_good(dir: &Path, kills: u64, exit: &Exit, report: &Value) {
    assert!(exit.status.success(), "{exit:#?}\n{report:#}");
    assert!(!dir.join("torture").exists(), "nothing is left of a good end");
    assert!(report["kills"].as_u64().unwrap() >= kills);
    assert_eq!(report["violations"], serde_json::json!([]));
    let faults =
        report["faults"].as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert!(faults.sum::<u64>() > kills / 2, "too few of the planned faults came");
}

fn enough(report: &Value, rounds: u64) {
    let writes = |name: &str| report["writes"][name].as_u64().unwrap();
    let doubtful = writes("lost") + writes("failed");
    assert!(
        writes("acknowledged") > rounds * 5 && doubtful > rounds,
        "too little load to tell anything"
    );
    assert!(report["rotations"].as_u64().unwrap() >= rounds / 8, "too few rotations");
}

#[test]
fn acknowledged_effects_and_their_events_outlive_kills() {
    let _busy = machine(false);
    let rounds = rounds(ROUNDS);
    let dir = tempfile::tempdir().unwrap();
    good_with_token(dir.path(), WITH_TOKEN.min(rounds));
    let rounds = rounds.saturating_sub(WITH_TOKEN).max(1);
    enough(&good(dir.path(), rounds, &[]), rounds);
}

#[test]
fn acknowledged_effects_outlive_a_database_that_is_tortured_too() {
    let _busy = machine(false);
    let dir = tempfile::tempdir().unwrap();
    let rounds = rounds(ON_POSTGRESQL);
    enough(&good(dir.path(), rounds, &["--postgresql", &postgresql()]), rounds);
}
