//! Who opens a backup: a device, the recovery key, the insecure software root; and what it is not for.
use super::support::{Work, back_up, command, lose, text};
use crate::harness::{Exit, program, run};
use crate::roots::recovery::made;
use crate::roots::support::root_json;
use crate::setup::{Deployment, Token};
use std::path::PathBuf;

/// `claviger verify FILE --shares …`, without a configuration.
fn verify(file: &std::path::Path, shares: &[PathBuf]) -> Exit {
    let mut command = program(None);
    command.arg("verify").arg(file).arg("--shares").args(shares);
    run(command)
}

/// What a command says of the domain keys.
fn fingerprint(exit: &Exit) -> String {
    let line = exit.stdout.lines().find_map(|line| line.strip_prefix("fingerprint "));
    line.unwrap_or_else(|| panic!("no fingerprint in {exit:#?}")).to_owned()
}

#[test]
fn enough_shares_of_the_recovery_key_open_it_where_no_device_is() {
    let mut deployment = Deployment::new(true);
    let scratch = tempfile::tempdir().unwrap();
    let (shares, public) = made(&scratch.path().join("key"));
    let (strangers, _) = made(&scratch.path().join("strangers"));
    let file = scratch.path().join("one.backup");
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "s");
    root_json(&deployment, "add-wrap", &["--recovery", text(&public)]);
    let said = command(&deployment, "backup", &["--dry-run"]);
    assert!(said.stdout.contains("(recovery key)"), "{said:#?}");
    let noted = fingerprint(&said);
    assert!(!said.stdout.contains("There is no recovery key among them"), "{said:#?}");
    back_up(&deployment, &file);
    assert_eq!(process.stop().status.code(), Some(0));

    let opened = verify(&file, &shares[..2]);
    assert!(opened.status.success() && opened.stdout.contains("Every row opens"), "{opened:#?}");
    // Who has its public half can make one as well, with keys of his own: something must tell them apart.
    assert!(opened.stdout.contains("Is this the fingerprint that was noted"), "{opened:#?}");
    let fingerprint = fingerprint(&opened);
    assert_eq!(fingerprint, noted);
    let another = fingerprint.replace(&fingerprint[..1], "x");
    for (given, code) in [(fingerprint.as_str(), 0), (another.as_str(), 5)] {
        let mut command = program(None);
        command.arg("verify").arg(&file).args(["--fingerprint", given, "--shares"]);
        let opened = run({
            command.args(&shares[..2]);
            command
        });
        assert_eq!(opened.status.code(), Some(code), "{opened:#?}");
        assert!(!opened.stdout.contains("Is this"), "{opened:#?}");
    }
    verify(&file, &shares[..1]).assert(1, &["1 of the 2 shares"]);
    verify(&file, &strangers[..2]).assert(1, &["no wrap of domain key 1 is for recovery key"]);

    // The token is lost with the directory.
    lose(&deployment);
    let token = Token::new(&deployment.dir.path().join("new"));
    let lost = deployment.token.replace(token).unwrap();
    std::fs::remove_dir_all(lost.conf.parent().unwrap()).unwrap();
    deployment.write_config(&deployment.text(&deployment.data()));
    command(&deployment, "restore", &[text(&file)]).assert(5, &["this is not the token"]);
    let few = command(&deployment, "restore", &[text(&file), "--shares", text(&shares[0])]);
    few.assert(1, &["1 of the 2 shares"]);
    assert!(!deployment.data().join("store").exists());
    let shares = ["--shares", text(&shares[0]), text(&shares[2])];
    let wrong = ["--fingerprint", "00ff", text(&file)];
    command(&deployment, "restore", &[&wrong[..], &shares].concat())
        .assert(5, &["has the fingerprint", &fingerprint]);
    assert!(!deployment.data().join("store").exists());
    let right = ["--fingerprint", &fingerprint, text(&file)];
    let restored = command(&deployment, "restore", &[&right[..], &shares].concat());
    assert!(restored.status.success(), "{restored:#?}");
    let recovered = command(&deployment, "recover", &shares);
    assert!(recovered.status.success(), "{recovered:#?}");
    let process = deployment.serve();
    work.assert_there(&mut deployment.client(&process));
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn the_insecure_software_root_opens_it_with_its_seed() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    let process = deployment.serve();
    let work = Work::new(&mut deployment.client(&process), "s");
    back_up(&deployment, &file);
    assert_eq!(process.stop().status.code(), Some(0));
    let opened = command(&deployment, "verify", &[text(&file)]);
    assert!(opened.status.success() && opened.stdout.contains("Every row opens"), "{opened:#?}");
    let lost = lose(&deployment);
    let seed = "software-root.seed";
    command(&deployment, "verify", &[text(&file)]).assert(5, &["has no software-root.seed"]);
    command(&deployment, "restore", &[text(&file)]).assert(5, &["has no software-root.seed"]);
    std::fs::copy(lost.join(seed), deployment.data().join(seed)).unwrap();
    let restored = command(&deployment, "restore", &[text(&file)]);
    assert!(restored.status.success(), "{restored:#?}");
    let process = deployment.serve();
    work.assert_there(&mut deployment.client(&process));
    assert_eq!(process.stop().status.code(), Some(0));
}

/// Its own tools are for that, and no word of ours goes to the database.
#[test]
fn a_store_in_postgresql_is_not_restored() {
    let mut deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    back_up(&deployment, &file);
    let nobody = "postgresql://claviger:hunter2@127.0.0.1:1/claviger";
    deployment.more = format!("[store]\nkind = \"postgresql\"\nurl = \"{nobody}\"\n");
    deployment.write_config(&deployment.text(&deployment.data()));
    let refused = command(&deployment, "restore", &["--replace", text(&file)]);
    refused.assert(1, &["in PostgreSQL", "docs/postgresql.md"]);
    assert!(!refused.stderr.contains("hunter2"), "{refused:#?}");
    // What a backup holds can be looked at all the same.
    let opened = command(&deployment, "verify", &[text(&file)]);
    assert!(opened.status.success(), "{opened:#?}");
}

#[test]
fn a_restore_wants_to_be_told_where() {
    let deployment = Deployment::new(false);
    let file = deployment.dir.path().join("one.backup");
    back_up(&deployment, &file);
    let mut command = program(None);
    command.arg("restore").arg(&file);
    run(command).assert(1, &["give --config"]);
    let mut command = program(None);
    command.arg("backup").arg("--to").arg(&file).arg("--data").arg(deployment.data());
    run(command).assert(1, &["no server is running"]);
}
