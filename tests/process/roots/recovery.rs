//! The drill of the last resort: every device is gone, and custodians bring the deployment back.
use super::support::{Work, command, root, root_json};
use crate::events;
use crate::harness::{Exit, copy_dir, files, program, run};
use crate::setup::{Deployment, Token};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn generate(out: &Path, threshold: &str, shares: &str) -> Exit {
    let mut command = program(None);
    command.args(["recovery", "generate", "--threshold", threshold, "--shares", shares, "--out"]);
    command.arg(out);
    run(command)
}

/// The files of a recovery key: its shares in order, and its public key.
pub fn made(out: &Path) -> (Vec<PathBuf>, PathBuf) {
    let exit = generate(out, "2", "3");
    assert!(exit.status.success(), "{exit:#?}");
    let all: Vec<PathBuf> = files(out).into_keys().collect();
    for path in &all {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let ends = |end: &str| {
        all.iter().filter(|path| path.to_str().unwrap().ends_with(end)).cloned().collect::<Vec<_>>()
    };
    (ends(".share"), ends(".public").remove(0))
}

fn recover(deployment: &Deployment, shares: &[&PathBuf]) -> Exit {
    let shares: Vec<&str> = shares.iter().map(|path| path.to_str().unwrap()).collect();
    run(command(deployment, &["recover"], &[&["--shares"], shares.as_slice()].concat()))
}

#[test]
fn a_lost_token_is_replaced_by_k_of_n_shares_and_not_by_fewer() {
    let mut deployment = Deployment::new(true);
    let scratch = tempfile::tempdir().unwrap();
    let (shares, public) = made(&scratch.path().join("key"));
    let (strangers, _) = made(&scratch.path().join("strangers"));
    assert_eq!(shares.len(), 3);
    // What is there already stays: shares of two keys must not be mixed.
    generate(&scratch.path().join("key"), "2", "3").assert(5, &["is not empty"]);
    generate(&scratch.path().join("none"), "1", "3").assert(2, &["--threshold"]);
    generate(&scratch.path().join("none"), "4", "3").assert(1, &["no more than there are shares"]);

    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    let added = root_json(&deployment, "add-wrap", &["--recovery", public.to_str().unwrap()]);
    let key = added["wrapped"][0].as_str().unwrap().to_owned();
    assert!(key.starts_with("recovery/"));
    let paths: Vec<&str> = shares.iter().map(|path| path.to_str().unwrap()).collect();
    let drill = root_json(&deployment, "drill", &[&["--shares"], &paths[..2]].concat());
    let wraps = drill["domainKeys"][0]["wraps"].as_array().unwrap();
    let wrap = wraps.iter().find(|wrap| wrap["root"] == key.as_str()).unwrap();
    assert!(wrap["opened"].as_str().unwrap().starts_with("20"), "{drill}");
    root(&deployment, "drill", &["--shares", paths[0]]).assert(1, &["1 of the 2 shares"]);
    root(&deployment, "drill", &["--shares", "/dev/zero"])
        .assert(1, &["is longer than 16384 bytes"]);
    assert_eq!(process.stop().status.code(), Some(0));

    // A backup on a machine where nothing of the token is.
    let backup = tempfile::tempdir().unwrap();
    copy_dir(&deployment.data(), &backup.path().join("data"));
    let lost = deployment.token.replace(Token::new(&deployment.dir.path().join("new"))).unwrap();
    std::fs::remove_dir_all(lost.conf.parent().unwrap()).unwrap();
    std::fs::remove_dir_all(deployment.data()).unwrap();
    copy_dir(&backup.path().join("data"), &deployment.data());
    deployment.write_config(&deployment.text(&deployment.data()));
    let before = files(&deployment.data());
    let unchanged = || assert!(files(&deployment.data()) == before, "a refusal changed something");

    recover(&deployment, &[&shares[0]]).assert(1, &["1 of the 2 shares"]);
    recover(&deployment, &[&shares[0], &shares[0]]).assert(1, &["given twice"]);
    recover(&deployment, &[&shares[0], &strangers[1]]).assert(1, &["the shares of one key"]);
    let foreign = recover(&deployment, &[&strangers[0], &strangers[1]]);
    foreign.assert(1, &["no wrap of domain key 1 is for recovery key", &key]);
    let slip = scratch.path().join("slip");
    let text = std::fs::read_to_string(&shares[2]).unwrap();
    let at = text.find("value: ").unwrap() + 9;
    let digit = if text[at..].starts_with('0') { "1" } else { "0" };
    std::fs::write(&slip, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    recover(&deployment, &[&shares[0], &slip]).assert(1, &["slip: its checksum does not fit"]);
    unchanged();

    let recovered = recover(&deployment, &[&shares[2], &shares[0]]);
    assert!(recovered.status.success(), "{recovered:#?}");
    let process = deployment.serve();
    work.check(&deployment, &process);
    let status = root_json(&deployment, "status", &[]);
    let wraps = status["domainKeys"][0]["wraps"].as_array().unwrap();
    let orphan = wraps
        .iter()
        .find(|w| w["devices"].as_array().unwrap().is_empty() && w["recovery"] == false);
    let orphan = orphan.unwrap()["root"].as_str().unwrap().to_owned();
    root(&deployment, "retire", &[&orphan]).assert(1, &["--lost"]);
    root_json(&deployment, "retire", &[&orphan, "--lost"]);
    assert_eq!(process.stop().status.code(), Some(0));
    let process = deployment.serve();
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));

    let events = events::read(&deployment.data().join("audit"));
    let phases = |name: &str| {
        let of = events.iter().filter(|event| event["eventName"] == name);
        of.map(|event| event["serviceEventDetails"]["phase"].clone()).collect::<Vec<_>>()
    };
    for name in ["AddRecoveryWrap", "RecoverDeployment"] {
        assert_eq!(phases(name), ["begins", "ended"], "{name}");
    }
    assert_eq!(phases("DrillRoots"), [Value::Null]);
    // Nothing of a share is anywhere.
    let secret = text.lines().find_map(|line| line.strip_prefix("value: ")).unwrap();
    for (path, bytes) in files(&deployment.data()) {
        let found = bytes.windows(16).any(|window| window == &secret.as_bytes()[..16]);
        assert!(!found, "a share is in {}", path.display());
    }
}
