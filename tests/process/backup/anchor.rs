//! `[store] anchor`: a whole directory that was put back to an older state is refused.
use super::support::{Work, back_up, command, text};
use crate::events;
use crate::harness::{copy_dir, files, now};
use crate::setup::Deployment;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A deployment with an anchor on what stands for another disk.
fn anchored() -> (Deployment, PathBuf) {
    let mut deployment = Deployment::blank(false);
    let disk = deployment.dir.path().join("disk");
    let anchor = disk.join("anchor");
    deployment.more = format!("[store]\nanchor = {anchor:?}\n");
    deployment.write_config(&deployment.text(&deployment.data()));
    // Nothing is made before it is known to fit.
    deployment.run("init").assert(5, &["disk: is no directory"]);
    assert!(!deployment.data().join("deployment.json").exists());
    std::fs::create_dir(&disk).unwrap();
    deployment.init();
    (deployment, anchor)
}

fn revision(anchor: &Path) -> u64 {
    let text = std::fs::read_to_string(anchor).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["revision"].as_u64().unwrap()
}

/// Puts `kept` in the place of the data directory.
fn put_back(deployment: &Deployment, kept: &Path) {
    std::fs::remove_dir_all(deployment.data()).unwrap();
    copy_dir(kept, &deployment.data());
}

/// What lies in the data directory but for the store's file, which the engine marks when it opens it.
fn rest(deployment: &Deployment) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = files(&deployment.data());
    assert!(all.remove(&deployment.store_file()).is_some());
    all
}

#[test]
fn a_directory_that_was_put_back_as_a_whole_is_refused() {
    let (deployment, anchor) = anchored();
    let file = deployment.dir.path().join("one.backup");
    let begun = revision(&anchor);
    let process = deployment.serve();
    let early = Work::new(&mut deployment.client(&process), "early");
    // It follows while it is served, within a second or so.
    let began = now();
    while revision(&anchor) == begun {
        assert!(began.elapsed() < Duration::from_secs(20), "the anchor stays where it was");
        std::thread::sleep(Duration::from_millis(20));
    }
    back_up(&deployment, &file);
    assert_eq!(process.stop().status.code(), Some(0));
    let kept = deployment.dir.path().join("kept");
    copy_dir(&deployment.data(), &kept);
    let stopped = revision(&anchor);

    let process = deployment.serve();
    let late = Work::new(&mut deployment.client(&process), "late");
    assert_eq!(process.stop().status.code(), Some(0));
    assert!(revision(&anchor) > stopped);
    // By a kill nothing is put back.
    let mut process = deployment.serve();
    late.assert_there(&mut deployment.client(&process));
    process.kill();
    drop(process);
    assert_eq!(deployment.serve().stop().status.code(), Some(0));

    put_back(&deployment, &kept);
    let before = rest(&deployment);
    let words = ["was put back to an older state", "--accept-older", "an empty file"];
    deployment.run("serve").assert(5, &words);
    assert!(rest(&deployment) == before, "a refused start changed something");

    // A backup is compared with it as well, also where nothing else is left.
    command(&deployment, "restore", &["--replace", text(&file)])
        .assert(5, &["is older than what is there", "--accept-older"]);
    let seed = deployment.data().join("software-root.seed");
    let bytes = std::fs::read(&seed).unwrap();
    std::fs::remove_dir_all(deployment.data().join("audit")).unwrap();
    std::fs::remove_dir_all(deployment.data().join("store")).unwrap();
    std::fs::remove_file(deployment.data().join("deployment.json")).unwrap();
    std::fs::write(&seed, bytes).unwrap();
    command(&deployment, "restore", &[text(&file)]).assert(5, &["is older than what is there"]);
    let known = revision(&anchor);
    let restored = command(&deployment, "restore", &["--accept-older", text(&file)]);
    assert!(restored.status.success(), "{restored:#?}");
    assert!(revision(&anchor) != known);
    let logged = events::read(&deployment.data().join("audit"));
    let event = logged.last().unwrap();
    assert_eq!(event["eventName"], "RestoreBackup", "{event}");
    assert_eq!(event["serviceEventDetails"]["knownRevision"], known, "{event}");
    assert_eq!(event["serviceEventDetails"]["acceptedOlder"], true, "{event}");
    let process = deployment.serve();
    early.assert_there(&mut deployment.client(&process));
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn an_anchor_that_is_gone_forged_or_anothers_is_refused_and_an_empty_one_begun() {
    let (deployment, anchor) = anchored();
    let kept = deployment.dir.path().join("kept");
    copy_dir(&deployment.data(), &kept);
    let process = deployment.serve();
    Work::new(&mut deployment.client(&process), "late");
    assert_eq!(process.stop().status.code(), Some(0));
    let good = std::fs::read_to_string(&anchor).unwrap();

    // A disk that is not mounted must not pass for an anchor that was never there.
    std::fs::remove_file(&anchor).unwrap();
    deployment.run("serve").assert(5, &["is not there", "Is its disk mounted?", "empty file"]);
    let at = revision_text(&good);
    for bad in [good.replace(&at, "\"revision\":1"), "{}".to_owned(), good[..40].to_owned()] {
        std::fs::write(&anchor, bad).unwrap();
        deployment.run("serve").assert(5, &["anchor"]);
    }
    let (other, others) = anchored();
    std::fs::copy(&others, &anchor).unwrap();
    deployment.run("serve").assert(5, &["is the anchor of deployment"]);
    drop(other);

    // The operator's word that an older state is to go on.
    put_back(&deployment, &kept);
    std::fs::write(&anchor, &good).unwrap();
    deployment.run("serve").assert(5, &["was put back to an older state"]);
    std::fs::write(&anchor, "").unwrap();
    let process = deployment.serve();
    assert_eq!(process.stop().status.code(), Some(0));
    let logged = events::read(&deployment.data().join("audit"));
    let event = logged.iter().find(|event| event["eventName"] == "BeginAnchor").unwrap();
    assert_eq!(event["serviceEventDetails"]["anchor"], anchor.to_str().unwrap(), "{event}");
    assert!(revision(&anchor) > 0);
}

fn revision_text(anchor: &str) -> String {
    let value: Value = serde_json::from_str(anchor).unwrap();
    format!("\"revision\":{}", value["revision"])
}

/// Whom the other disk fails is served all the same; it is said, and the stop does not pass for a good one.
#[test]
fn a_disk_that_fails_is_said_and_keeps_nobody_from_being_served() {
    let (deployment, anchor) = anchored();
    let process = deployment.serve();
    let disk = anchor.parent().unwrap();
    std::fs::rename(disk, deployment.dir.path().join("away")).unwrap();
    let work = Work::new(&mut deployment.client(&process), "s");
    let began = now();
    while !process.stdout().contains("stays behind") && !process.stderr().contains("stays behind") {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody was told");
        std::thread::sleep(Duration::from_millis(20));
    }
    work.assert_there(&mut deployment.client(&process));
    std::fs::rename(deployment.dir.path().join("away"), disk).unwrap();
    let again = "is written again";
    while !process.stdout().contains(again) && !process.stderr().contains(again) {
        assert!(began.elapsed() < Duration::from_secs(40), "it does not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::rename(disk, deployment.dir.path().join("away")).unwrap();
    work.assert_there(&mut deployment.client(&process));
    let _ = Work::new(&mut deployment.client(&process), "t");
    let stopped = process.stop();
    assert_ne!(stopped.status.code(), Some(0), "{stopped:#?}");
    std::fs::rename(deployment.dir.path().join("away"), disk).unwrap();
    assert_eq!(deployment.serve().stop().status.code(), Some(0));
}
