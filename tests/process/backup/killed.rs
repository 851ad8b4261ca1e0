//! A backup and a restore that die in the middle, at named points, and a backup whose disk fails or is slow.
use super::support::{TOKEN, Work, back_up, command, text, verify};
use crate::events;
use crate::harness::{Exit, copy_dir, run, wait_until};
use crate::setup::Deployment;
use claviger::failpoints::{Plan, Point};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const ENOSPC: i32 = 28;
const WITHIN: Duration = Duration::from_secs(30);

fn kill_at(point: Point, n: u64) -> Plan {
    Plan { kill: Some((point, n)), ..Plan::default() }
}

/// Runs a command that dies at a point.
fn killed(deployment: &Deployment, name: &str, more: &[&str], plan: &Plan) {
    let mut command = deployment.command(name);
    command.args(more);
    let exit = run(deployment.with_plan(command, plan));
    assert_eq!(exit.status.signal(), Some(9), "{plan}: {exit:#?}");
}

fn partial(file: &Path) -> PathBuf {
    file.with_file_name("one.backup.partial")
}

/// Nothing stands under the name until all of it does.
#[test]
fn a_killed_backup_leaves_no_half_file_and_the_next_one_is_made() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    // Header, state, rows, end; and all of it, but its name.
    let frames = (1..=4).map(|n| (kill_at(Point::BackupFrame, n), false));
    for (plan, is_whole) in frames.chain([(kill_at(Point::BackupName, 1), true)]) {
        killed(&deployment, "backup", &["--to", text(&file)], &plan);
        assert!(!file.exists() && partial(&file).exists(), "{plan}");
        let left = command(&deployment, "verify", &[text(&partial(&file))]);
        match is_whole {
            true => assert!(left.status.success(), "{left:#?}"),
            false => left.assert(5, &["one.backup.partial"]),
        }
    }
    // While it is served it is the server that dies.
    let mut process = deployment.serve_with(&kill_at(Point::BackupFrame, 3));
    let lost = command(&deployment, "backup", &["--to", text(&file)]);
    lost.assert(1, &[]);
    // Its connections end before it does.
    wait_until(WITHIN, "it is dead", || !process.is_alive());
    assert!(!file.exists() && partial(&file).exists());
    drop(process);
    let process = deployment.serve();
    back_up(&deployment, &file);
    assert!(verify(&file).status.success());
    assert!(!partial(&file).exists());
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_backup_on_a_full_disk_leaves_nothing_and_the_server_goes_on() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let full = Plan { fail: Some((Point::BackupFrame, ENOSPC, 3)), ..Plan::default() };
    let process = deployment.serve_with(&full);
    let work = Work::new(&mut deployment.client(&process), "s");
    let refused = command(&deployment, "backup", &["--to", text(&file)]);
    refused.assert(1, &["one.backup.partial", "No space left on device"]);
    assert!(!file.exists() && !partial(&file).exists());
    work.assert_there(&mut deployment.client(&process));
    // The fault has passed.
    back_up(&deployment, &file);
    assert!(verify(&file).status.success());
    assert_eq!(process.stop().status.code(), Some(0));
    let logged = events::read(&deployment.data().join("audit"));
    assert_eq!(logged.iter().filter(|e| e["eventName"] == "CreateBackup").count(), 1);
}

/// Clients are served meanwhile, whoever waits is told how far it is, and what is changed is not in it.
#[test]
fn a_slow_disk_holds_up_nobody() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let slow = Plan { slow: Some((Point::BackupFrame, 2000)), ..Plan::default() };
    let process = deployment.serve_with(&slow);
    let mut client = deployment.client(&process);
    let early = Work::new(&mut client, "early");
    let mut backup = deployment.command("backup");
    backup.arg("--to").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let backup = backup.spawn().unwrap();
    wait_until(WITHIN, "it came about", || partial(&file).exists());
    let late =
        serde_json::json!({"Name": "late", "SecretString": "s", "ClientRequestToken": TOKEN});
    client.secrets("CreateSecret", late).unwrap();
    assert!(!file.exists(), "the write waited for the backup");
    let made = backup.wait_with_output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let told = String::from_utf8(made.stderr).unwrap();
    assert!(told.lines().any(|line| line.ends_with(" rows")), "{told}");
    let late = serde_json::json!({"SecretId": "late"});
    client.secrets("GetSecretValue", late.clone()).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));

    let restored = command(&deployment, "restore", &["--replace", "--accept-older", text(&file)]);
    assert!(restored.status.success(), "{restored:#?}");
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    early.assert_there(&mut client);
    let gone = client.secrets("GetSecretValue", late).unwrap_err();
    assert_eq!(gone.code(), "ResourceNotFoundException");
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_backup_that_nobody_waits_for_any_more_ends_and_leaves_nothing() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let slow = Plan { slow: Some((Point::BackupFrame, 1500)), ..Plan::default() };
    let process = deployment.serve_with(&slow);
    let mut backup = deployment.command("backup");
    backup.arg("--to").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let mut backup = backup.spawn().unwrap();
    wait_until(WITHIN, "it came about", || partial(&file).exists());
    kill_process(Pid::from_child(&backup), Signal::TERM).unwrap();
    assert!(!backup.wait().unwrap().success());
    wait_until(WITHIN, "it came about", || !partial(&file).exists());
    assert!(!file.exists());
    assert_eq!(process.stop().status.code(), Some(0));
    let logged = events::read(&deployment.data().join("audit"));
    assert!(logged.iter().all(|event| event["eventName"] != "CreateBackup"));
}

/// The stop does not wait until a large backup is done.
#[test]
fn a_server_that_is_stopped_gives_up_its_backup() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let slow = Plan { slow: Some((Point::BackupFrame, 1500)), ..Plan::default() };
    let process = deployment.serve_with(&slow);
    let mut backup = deployment.command("backup");
    backup.arg("--to").arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let backup = backup.spawn().unwrap();
    wait_until(WITHIN, "it came about", || partial(&file).exists());
    assert_eq!(process.stop().status.code(), Some(0));
    let told = backup.wait_with_output().unwrap();
    assert!(!told.status.success(), "{told:?}");
    assert!(!partial(&file).exists() && !file.exists());
}

#[test]
fn a_backup_where_no_file_can_be_made_is_refused() {
    let deployment = Deployment::new(false);
    let to = |path: &Path| command(&deployment, "backup", &["--to", text(path)]);
    to(&deployment.dir.path().join("gone").join("x")).assert(1, &["No such file"]);
    // What lies under the temporary name is not followed.
    let file = deployment.dir.path().join("one.backup");
    std::os::unix::fs::symlink("/dev/full", partial(&file)).unwrap();
    to(&file).assert(1, &["one.backup.partial", "is no file"]);
    to(deployment.dir.path()).assert(1, &["is a directory"]);
    assert!(!file.exists());
}

/// Where a restore is struck. Before the first that says so, nothing has changed.
fn strikes() -> Vec<(Plan, bool)> {
    let early = [(Point::RestoreRows, 1), (Point::StoreSync, 1), (Point::StoreSync, 2)];
    let late = [
        (Point::RestoreMarked, 1),
        (Point::RestoreAside, 1),
        (Point::RestorePlaced, 1),
        (Point::AuditSync, 1),
        (Point::RestoreLogged, 1),
    ];
    let plan = |(point, n)| kill_at(point, n);
    let early = early.map(|at| (plan(at), false));
    early.into_iter().chain(late.map(|at| (plan(at), true))).collect()
}

#[test]
fn a_killed_restore_in_place_of_a_store_is_given_again() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "s");
    back_up(&deployment, &file);
    let later = Work::new(&mut deployment.client(&process), "later");
    assert_eq!(process.stop().status.code(), Some(0));
    let kept = deployment.dir.path().join("kept");
    copy_dir(&deployment.data(), &kept);
    let restore = ["--replace", "--accept-older", text(&file)];
    for (plan, begun) in strikes() {
        std::fs::remove_dir_all(deployment.data()).unwrap();
        copy_dir(&kept, &deployment.data());
        killed(&deployment, "restore", &restore, &plan);
        assert_eq!(deployment.data().join("restore.json").exists(), begun, "{plan}");
        if begun {
            deployment.run("serve").assert(5, &["cut short", "claviger restore"]);
            command(&deployment, "restore", &["--replace", text(&file)])
                .assert(5, &["is older than what is there", "cut short is as it was"]);
        } else {
            let process = deployment.serve();
            later.assert_there(&mut deployment.client(&process));
            assert_eq!(process.stop().status.code(), Some(0));
        }
        again(&deployment, &restore, &plan);
        // The store that was there is beside it, and not what the killed attempt had made.
        let replaced = deployment.data().join("store.replaced");
        if begun {
            let bytes = |dir: &Path| std::fs::read(dir.join("store.redb")).unwrap();
            assert!(bytes(&replaced) == bytes(&kept.join("store")), "{plan}");
        }
        assert!(replaced.exists(), "{plan}");
        let process = deployment.serve();
        work.assert_there(&mut deployment.client(&process));
        assert_eq!(process.stop().status.code(), Some(0));
    }
}

/// The operator may change his mind, or take another backup.
#[test]
fn a_restore_that_was_cut_short_is_given_up_or_done_with_another_backup() {
    let deployment = Deployment::new(false);
    let (one, two) = (deployment.dir.path().join("one.backup"), deployment.dir.path().join("two"));
    let process = deployment.serve();
    back_up(&deployment, &one);
    let work = Work::new(&mut deployment.client(&process), "s");
    back_up(&deployment, &two);
    let later = Work::new(&mut deployment.client(&process), "later");
    assert_eq!(process.stop().status.code(), Some(0));
    let (data, replaced) = (deployment.data(), deployment.data().join("store.replaced"));
    let restore = |file| ["--replace", "--accept-older", text(file)];
    for point in [Point::RestoreMarked, Point::RestoreAside, Point::RestorePlaced] {
        killed(&deployment, "restore", &restore(&one), &kill_at(point, 1));
        deployment.run("serve").assert(5, &["cut short"]);
        if replaced.exists() {
            let _ = std::fs::remove_dir_all(data.join("store"));
            std::fs::rename(&replaced, data.join("store")).unwrap();
        }
        std::fs::remove_file(data.join("restore.json")).unwrap();
        let process = deployment.serve();
        later.assert_there(&mut deployment.client(&process));
        assert_eq!(process.stop().status.code(), Some(0));
    }
    killed(&deployment, "restore", &restore(&one), &kill_at(Point::RestorePlaced, 1));
    again(&deployment, &restore(&two), &Plan::default());
    let process = deployment.serve();
    work.assert_there(&mut deployment.client(&process));
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_killed_restore_into_an_empty_directory_is_given_again() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "s");
    back_up(&deployment, &file);
    assert_eq!(process.stop().status.code(), Some(0));
    let seed = std::fs::read(deployment.data().join("software-root.seed")).unwrap();
    for (plan, begun) in strikes() {
        std::fs::remove_dir_all(deployment.data()).unwrap();
        copy_dir(&empty(&deployment), &deployment.data());
        // The root key is no part of a backup.
        command(&deployment, "restore", &[text(&file)]).assert(5, &["has no software-root.seed"]);
        std::fs::write(deployment.data().join("software-root.seed"), &seed).unwrap();
        killed(&deployment, "restore", &[text(&file)], &plan);
        assert_eq!(deployment.data().join("restore.json").exists(), begun, "{plan}");
        deployment.run("serve").assert(5, &[]);
        again(&deployment, &[text(&file)], &plan);
        for rest in ["store.replaced", "store.restoring", "restore.json"] {
            assert!(!deployment.data().join(rest).exists(), "{plan}: {rest}");
        }
        let process = deployment.serve();
        work.assert_there(&mut deployment.client(&process));
        assert_eq!(process.stop().status.code(), Some(0));
    }
}

/// A new directory, as an operator makes one.
fn empty(deployment: &Deployment) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let dir = deployment.dir.path().join("empty");
    if !dir.exists() {
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    dir
}

fn again(deployment: &Deployment, restore: &[&str], plan: &Plan) {
    let again: Exit = command(deployment, "restore", restore);
    assert!(again.status.success(), "{plan}: {again:#?}");
    let logged = events::read(&deployment.data().join("audit"));
    assert_eq!(logged.last().unwrap()["eventName"], "RestoreBackup", "{plan}");
}
