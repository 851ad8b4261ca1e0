//! What is backed up comes back: under load, into an empty directory, by a recovery key; and where it must
//! not go it does not.
use super::support::{Work, Written, back_up, command, lose, text, verify};
use crate::events;
use crate::harness::{files, machine};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_backup_under_load_is_one_moment_and_comes_back_whole() {
    let _machine = machine(false);
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "before");
    let file = deployment.dir.path().join("one.backup");
    let written = Written::during(&deployment, &process, || {
        let made = back_up(&deployment, &file);
        assert!(made["rows"].as_u64().unwrap() > 40, "{made}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    });
    assert_eq!(process.stop().status.code(), Some(0));
    let logged = events::read(&deployment.data().join("audit"));
    assert_eq!(logged.iter().filter(|e| e["eventName"] == "CreateBackup").count(), 1);

    // Without a device, and with it.
    let whole = verify(&file);
    assert!(whole.status.success() && whole.stdout.contains("The file is whole"), "{whole:#?}");
    let opened = command(&deployment, "verify", &["--json", text(&file)]);
    assert!(opened.status.success(), "{opened:#?}");
    let opened: Value = serde_json::from_str(&opened.stdout).unwrap();
    assert_eq!(opened["opened"], true);
    assert_eq!(opened["openers"].as_array().unwrap().len(), 1);

    lose(&deployment);
    let restored = command(&deployment, "restore", &[text(&file)]);
    assert!(restored.status.success(), "{restored:#?}");
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    work.assert_there(&mut client);
    let later = written.assert_no_holes(&mut client);
    assert!(later > 0, "nobody wrote while it was made");
    // It serves on.
    Work::new(&mut client, "after").assert_there(&mut client);
    assert_eq!(process.stop().status.code(), Some(0));
    let logged = events::read(&deployment.data().join("audit"));
    let event = logged.iter().find(|e| e["eventName"] == "RestoreBackup").unwrap();
    assert_eq!(event["serviceEventDetails"]["revision"], opened["revision"], "{event}");
    assert_eq!(event["serviceEventDetails"]["acceptedOlder"], false, "{event}");
}

#[test]
fn nothing_is_written_over() {
    let deployment = Deployment::new(true);
    let file = deployment.dir.path().join("one.backup");
    // Nobody serves it: the command opens it itself.
    back_up(&deployment, &file);
    let there = std::fs::read(&file).unwrap();
    command(&deployment, "backup", &["--to", text(&file)]).assert(1, &["is there already"]);
    assert!(std::fs::read(&file).unwrap() == there);

    let before = files(&deployment.data());
    command(&deployment, "restore", &[text(&file)])
        .assert(5, &["holds a deployment already", "--replace", "Nothing was changed"]);
    assert!(files(&deployment.data()) == before, "the refused restore changed something");
    let process = deployment.serve();
    command(&deployment, "restore", &["--replace", text(&file)])
        .assert(5, &["is in use by another process"]);
    assert_eq!(process.stop().status.code(), Some(0));

    // Another deployment's directory stays its own.
    let other = Deployment::new(true);
    let before = files(&other.data());
    command(&other, "restore", &["--replace", text(&file)])
        .assert(5, &["is another deployment than"]);
    assert!(files(&other.data()) == before, "the refused restore changed something");
    // And its token opens nothing of it.
    command(&other, "verify", &[text(&file)]).assert(5, &["this is not the token"]);
    lose(&other);
    command(&other, "restore", &[text(&file)]).assert(5, &["this is not the token"]);
    assert!(!other.data().join("store").exists() && !other.data().join("deployment.json").exists());
}

#[test]
fn a_configuration_that_cannot_be_followed_is_refused_before_anything_is_changed() {
    let deployment = Deployment::new(true);
    let file = deployment.dir.path().join("one.backup");
    back_up(&deployment, &file);
    let good = deployment.text(&deployment.data());
    let service = format!(
        "[[service]]\nname = \"payroll.example\"\nsigning_name = \"payroll\"\n\
         principal = \"arn:aws:iam::{ACCOUNT}:user/payroll\"\nactions = [\"kms:Encrypt\"]\n"
    );
    deployment.write_config(&format!("{good}\n{service}{service}"));
    let before = files(&deployment.data());
    command(&deployment, "restore", &["--replace", "--accept-older", text(&file)])
        .assert(3, &["payroll.example"]);
    assert!(files(&deployment.data()) == before, "the refused restore changed something");
    deployment.write_config(&good);
    assert_eq!(deployment.serve().stop().status.code(), Some(0));
}

#[test]
fn who_can_open_it_is_said_before() {
    let deployment = Deployment::new(true);
    let said = command(&deployment, "backup", &["--dry-run"]);
    assert!(said.status.success(), "{said:#?}");
    for part in ["claviger/", "/rk-d/1", "domain keys 1", "There is no recovery key among them"] {
        assert!(said.stdout.contains(part), "{part} is missing in {said:#?}");
    }
}
