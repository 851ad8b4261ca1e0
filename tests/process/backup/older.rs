//! A restored older store is recognised as older where a log of later changes is there.
use super::support::{Work, back_up, command, text};
use crate::events;
use crate::harness::{copy_dir, files};
use crate::setup::Deployment;

#[test]
fn an_older_store_beside_a_newer_log_is_taken_only_when_told_so_and_the_log_says_it() {
    let deployment = Deployment::new(true);
    let file = deployment.dir.path().join("one.backup");
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let early = Work::new(&mut client, "early");
    let made = back_up(&deployment, &file);
    let late = Work::new(&mut client, "late");
    assert_eq!(process.stop().status.code(), Some(0));
    let before = files(&deployment.data());

    // In place of the store, and in a directory where only the log was kept.
    let kept = deployment.dir.path().join("kept");
    copy_dir(&deployment.data(), &kept);
    for only_the_log in [false, true] {
        if only_the_log {
            std::fs::remove_dir_all(deployment.data()).unwrap();
            std::fs::create_dir(deployment.data()).unwrap();
            copy_dir(&kept, &deployment.data());
            std::fs::remove_dir_all(deployment.data().join("store")).unwrap();
            std::fs::remove_file(deployment.data().join("deployment.json")).unwrap();
        }
        let replace: &[&str] = if only_the_log { &[] } else { &["--replace"] };
        let with = |more: &[&'static str]| [replace, more, &[text(&file)]].concat();
        command(&deployment, "restore", &with(&[]))
            .assert(5, &["is older than what is there", "--accept-older", "Nothing was changed"]);
        if !only_the_log {
            let now = files(&deployment.data());
            let store =
                |path: &std::path::PathBuf| path.starts_with(deployment.data().join("store"));
            let same = before
                .iter()
                .filter(|(path, _)| store(path))
                .all(|(path, bytes)| now.get(path) == Some(bytes));
            assert!(same, "the refused restore changed the store");
        }
        let restored = command(&deployment, "restore", &with(&["--accept-older"]));
        assert!(restored.status.success(), "{restored:#?}");
        let logged = events::read(&deployment.data().join("audit"));
        let event = logged.last().unwrap();
        assert_eq!(event["eventName"], "RestoreBackup", "{event}");
        let details = &event["serviceEventDetails"];
        assert_eq!(details["acceptedOlder"], true, "{event}");
        assert_eq!(details["revision"], made["revision"], "{event}");
        assert!(details["knownRevision"].as_u64() > made["revision"].as_u64(), "{event}");

        let process = deployment.serve();
        let mut client = deployment.client(&process);
        early.assert_there(&mut client);
        let gone = client.kms("DescribeKey", serde_json::json!({"KeyId": late.key})).unwrap_err();
        assert_eq!(gone.code(), "NotFoundException");
        assert_eq!(process.stop().status.code(), Some(0));
    }
}
