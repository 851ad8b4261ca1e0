//! A server whose device is away at its start: it says so, does nothing, and opens by itself.
use super::support::{Work, private, root, tokens};
use crate::client::get;
use crate::harness::{Process, files, now};
use crate::setup::Deployment;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use std::time::Duration;

const OPENS: Duration = Duration::from_secs(60);

pub fn state(process: &Process, path: &str, status: u16) -> Value {
    let answer = get(process.address, path).unwrap();
    assert_eq!(answer.status, status, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

pub fn opens(process: &Process) {
    let began = now();
    while get(process.address, "/readyz").map_or(0, |answer| answer.status) != 200 {
        assert!(began.elapsed() < OPENS, "it stays sealed:\n{}", process.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every call is refused with AWS's error, and nothing of the data changes.
fn is_sealed(deployment: &Deployment, process: &Process, reason: &str) {
    let said = state(process, "/readyz", 503);
    assert_eq!(said["status"], "sealed");
    assert!(said["reason"].as_str().unwrap().contains(reason), "{said}");
    assert_eq!(state(process, "/healthz", 200)["status"], "sealed");
    let mut client = deployment.client(process);
    let refused = client.kms("CreateKey", json!({})).unwrap_err();
    assert_eq!(refused.code(), "ServiceUnavailable", "{refused}");
    let refused = client.query("sts", "GetCallerIdentity", &[]).unwrap_err();
    assert_eq!(refused.code(), "ServiceUnavailable", "{refused}");
}

pub fn times(process: &Process, text: &str) -> usize {
    process.stderr().matches(text).count()
}

#[test]
fn a_token_that_is_away_is_waited_for() {
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
    let token = tokens(deployment.token.as_ref().unwrap()).pop_first().unwrap();
    let aside = deployment.dir.path().join("aside");
    std::fs::rename(&token, &aside).unwrap();
    let before = files(&deployment.data());

    let process = deployment.serve_sealed();
    is_sealed(&deployment, &process, "token");
    assert_eq!(state(&process, "/readyz", 503)["operatorNeeded"], false);
    std::thread::sleep(Duration::from_secs(3));
    is_sealed(&deployment, &process, "token");
    assert_eq!(times(&process, "sealed: no device opens"), 1, "{}", process.stderr());
    let mut after = files(&deployment.data());
    after.retain(|path, _| before.contains_key(path));
    assert!(after == before, "a sealed server changed something");
    std::fs::rename(&aside, &token).unwrap();
    opens(&process);
    work.check(&deployment, &process);
    assert_eq!(times(&process, "the deployment is open again"), 1);
    assert_eq!(process.stop().status.code(), Some(0));

    // Told to stop while it is sealed, it stops.
    std::fs::rename(&token, &aside).unwrap();
    let process = deployment.serve_sealed();
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_wrong_pin_is_tried_once_and_again_when_the_operator_says_so() {
    std::thread::scope(|scope| {
        scope.spawn(|| wrong_pin("SIGHUP"));
        scope.spawn(|| wrong_pin("the command"));
    });
}

fn wrong_pin(by: &str) {
    let deployment = Deployment::new(true);
    let pin_file = &deployment.token.as_ref().unwrap().pin_file;
    let pin = deployment.token.as_ref().unwrap().pin();
    private(pin_file, "000000");
    let process = deployment.serve_sealed();
    is_sealed(&deployment, &process, "PIN");
    assert_eq!(state(&process, "/readyz", 503)["operatorNeeded"], true);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(times(&process, "sealed: no device opens"), 1, "{}", process.stderr());
    // The right PIN alone does not do it: somebody must say that it is right.
    private(pin_file, &pin);
    std::thread::sleep(Duration::from_secs(3));
    is_sealed(&deployment, &process, "PIN");
    // Neither is any other command obeyed.
    root(&deployment, "status", &[]).assert(1, &["the deployment is sealed", "PIN"]);
    match by {
        "SIGHUP" => kill_process(process.pid(), Signal::HUP).unwrap(),
        _ => {
            let unsealed = root(&deployment, "unseal", &[]);
            assert!(unsealed.stdout.contains("looks for its devices again"), "{unsealed:#?}");
        }
    }
    opens(&process);
    let again = root(&deployment, "unseal", &[]);
    assert!(again.stdout.contains("opened"), "{again:#?}");
    deployment.client(&process).kms("CreateKey", json!({})).unwrap();
    assert!(!process.stderr().contains("000000") && !process.stderr().contains(&pin));
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn what_no_waiting_heals_ends_the_start() {
    let deployment = Deployment::new(true);
    let path = deployment.data().join("deployment.json");
    let good = std::fs::read_to_string(&path).unwrap();
    let text: Value = serde_json::from_str(&good).unwrap();
    let check = text["domain_keys"][0]["check"].as_str().unwrap();
    let digit = if check.starts_with('0') { "1" } else { "0" };
    let other = format!("{digit}{}", &check[1..]);
    for (bad, reason) in [
        (good.replace(check, &other), "does not open domain key 1"),
        (good.replace("\"format\": 2", "\"format\": 9, \"more\": 1"), "has format 9"),
        (good.replace("\"mac\": \"", "\"mac\": \"00"), "its MAC by the oldest domain key is wrong"),
    ] {
        private(&path, &bad);
        deployment.try_serve().unwrap_err().assert(5, &[reason]);
    }
    private(&path, &good);
    assert!(deployment.try_serve().is_ok());
}
