//! (e) and (f) Files that are gone, emptied, cut or exchanged, and the audit log.
use super::{Outcome, Sound, edit};
use crate::harness::{Numbers, Port, files};
use crate::setup::Deployment;
use serde_json::json;

#[test]
fn a_store_that_is_gone_is_not_taken_for_a_new_one() {
    let sound = Sound::new();
    let gone = |path: &str, parts: &[&str]| {
        let copy = sound.copy();
        let path = copy.path(path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        sound.refuses(&copy, parts);
        // And again: the refused start did not make it look new.
        sound.refuses(&copy, &[]);
    };
    gone("store", &["the store is gone"]);
    gone("audit", &["the audit log is gone"]);
    gone("store/store.redb", &["it was emptied or replaced"]);
    gone("deployment.json", &["is no deployment yet"]);
    for (name, parts) in
        [("store/store.redb", vec!["is empty"]), ("deployment.json", vec!["cannot be read"])]
    {
        let copy = sound.copy();
        edit(&copy.path(name), Vec::clear);
        sound.refuses(&copy, &parts);
    }
    // Without deployment.json, `init` does not build over what is there.
    let copy = sound.copy();
    std::fs::remove_file(copy.path("deployment.json")).unwrap();
    let before = files(&copy.data());
    let config = copy.dir.path().join("init.toml");
    std::fs::write(&config, sound.deployment.text(&copy.data())).unwrap();
    let mut command = crate::harness::program(None);
    command.args(["init", "--insecure-software-root", "--config"]).arg(config);
    crate::harness::run(command).assert(5, &["no deployment.json", "backup"]);
    assert!(files(&copy.data()) == before, "the refused init changed something");
}

#[test]
fn a_directory_serves_one_process() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let elsewhere = tempfile::tempdir().unwrap();
    let port = Port::free();
    let second = deployment.try_serve_on(&port, &deployment.data(), elsewhere.path()).unwrap_err();
    second.assert(5, &["is in use by another process"]);
    deployment.client(&process).kms("CreateKey", json!({})).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_cut_store_is_refused_or_noticed() {
    let sound = Sound::new();
    let length = std::fs::metadata(sound.deployment.store_file()).unwrap().len();
    let mut numbers = Numbers(0xc07);
    for n in 0..8 {
        let copy = sound.copy();
        let at = numbers.below(length);
        edit(&copy.store(), |bytes| bytes.truncate(usize::try_from(at).unwrap()));
        let outcome = sound.visit(&copy, &format!("cut {n} at {at} of {length}"));
        eprintln!("cut at {at} of {length}: {outcome:?}");
    }
}

#[test]
fn the_store_of_another_deployment_is_refused() {
    let (sound, other) = (Sound::new(), Sound::new());
    let copy = sound.copy();
    std::fs::copy(other.deployment.store_file(), copy.store()).unwrap();
    sound.refuses(&copy, &["does not authenticate"]);
    let copy = sound.copy();
    let audit = |data: &std::path::Path| data.join("audit").join("00000001.log");
    std::fs::copy(audit(&other.deployment.data()), audit(&copy.data())).unwrap();
    sound.refuses(&copy, &["audit log altered"]);
}

/// The last segment is read at the start, all of it.
#[test]
fn an_edited_audit_log_is_refused() {
    let sound = Sound::new();
    let path = |copy: &super::Copy| copy.path("audit/00000001.log");
    let log = std::fs::read(path(&sound.copy())).unwrap();
    let last_line = log[..log.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let mut numbers = Numbers(0xa0d17);
    for _ in 0..24 {
        let copy = sound.copy();
        let at = usize::try_from(numbers.below(last_line as u64)).unwrap();
        let bit = 1 << numbers.below(8);
        edit(&path(&copy), |bytes| bytes[at] ^= bit);
        sound.refuses(&copy, &["audit log"]);
    }
    // A line taken out, two lines exchanged, a line forged at the end and then written over.
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let without = [&lines[..3], &lines[4..]].concat().concat();
    let exchanged = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat().concat();
    let doubled = [&lines[..4], &lines[3..]].concat().concat();
    for altered in [without, exchanged, doubled] {
        let copy = sound.copy();
        std::fs::write(path(&copy), altered).unwrap();
        sound.refuses(&copy, &["audit log altered"]);
    }
}

/// Known and documented in the log's own docs: a torn end is what a crash leaves, so the very last
/// line may be cut off unnoticed unless its end is kept elsewhere. The rest must then still serve.
#[test]
fn a_torn_end_of_the_audit_log_does_not_keep_the_server_down() {
    let sound = Sound::new();
    let copy = sound.copy();
    edit(&copy.path("audit/00000001.log"), |bytes| bytes.truncate(bytes.len() - 20));
    assert_eq!(sound.visit(&copy, "torn log"), Outcome::Unharmed);
    let process = sound.try_serve(&copy).unwrap();
    sound.deployment.client(&process).kms("ListKeys", json!({})).unwrap();
}
