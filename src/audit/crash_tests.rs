//! The log under `kill -9` and on a full disk, with this test binary as the victim.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::tests::{CLUSTER, KEY, SMALL, TempDir, event};
use super::*;

const DIR: &str = "AUDIT_TEST_CHILD_DIR";
/// Kills at least, and at most where a slow machine acknowledges little before each.
const KILLS: std::ops::Range<u64> = 20..200;
/// Acknowledged records that tell something.
const ENOUGH: usize = 1000;

/// Runs a test below in a process of its own, where it finds the directory and is the victim.
fn child(test: &str, dir: &Path) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Appends until it is killed, and prints what was acknowledged.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn append_for_ever(dir: &Path) {
    let (log, _) = Log::open_with(dir, &KEY, CLUSTER, SMALL).unwrap();
    let log = Arc::new(log);
    for task in 0..32 {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for count in 0.. {
                let id = format!("{}-{task}-{count}", std::process::id());
                let n = log.append(&event(&id)).await.unwrap();
                // One write, so that a kill cannot mix two lines.
                std::io::stdout().write_all(format!("\nack {n} {id}\n").as_bytes()).unwrap();
            }
        });
    }
    std::future::pending().await
}

#[test]
fn an_acknowledged_record_survives_kill_9() {
    if let Some(dir) = std::env::var_os(DIR) {
        return append_for_ever(Path::new(&dir));
    }
    let mut temp = TempDir::new();
    let mut acknowledged = BTreeMap::new();
    let (mut total, mut torn) = (0, 0);
    for round in 0..KILLS.end {
        if round >= KILLS.start && total + acknowledged.len() > ENOUGH {
            break;
        }
        // Several lives in one log, and now and then a new one, so that checking stays quick.
        if round % 4 == 0 {
            temp = TempDir::new();
            total += acknowledged.len();
            acknowledged.clear();
        }
        let dir = temp.log();
        let mut victim = child("an_acknowledged_record_survives_kill_9", &dir);
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let acks = lines.map_while(Result::ok).filter_map(|line| {
                let (n, id) = line.strip_prefix("ack ")?.split_once(' ')?;
                Some((n.parse::<u64>().unwrap(), id.to_owned()))
            });
            acks.collect::<Vec<_>>()
        });
        // Spread over start, first appends and rotation; the scheduler adds the rest.
        std::thread::sleep(Duration::from_millis(15 + round * 7919 % 160));
        victim.kill().unwrap();
        victim.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());

        let (log, recovery) = Log::open_with(&dir, &KEY, CLUSTER, SMALL).unwrap();
        torn += recovery.torn_bytes;
        drop(log);
        let report = verify(&dir, &KEY, CLUSTER).unwrap();
        let kept: BTreeMap<u64, String> = read_from(&dir, 1)
            .unwrap()
            .map(|record| record.unwrap())
            .map(|(n, json)| (n, serde_json::from_slice::<Event>(&json).unwrap().event_id.into()))
            .collect();
        assert_eq!(kept.len() as u64, report.records);
        for (n, id) in &acknowledged {
            assert_eq!(kept.get(n), Some(id), "record {n} was acknowledged in round {round}");
        }
    }
    total += acknowledged.len();
    println!("{total} acknowledged, {torn} torn bytes");
    assert!(total > ENOUGH, "{total} tell too little");
}

/// Appends until the disk is full, and again once the parent has made space.
#[tokio::main(flavor = "current_thread")]
async fn append_until_full(dir: &Path) {
    let (log, _) = Log::open_with(dir, &KEY, CLUSTER, SMALL).unwrap();
    let mut last = 0;
    let full = loop {
        match log.append(&event("fill")).await {
            Ok(n) => last = n,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AuditError::NoSpace { .. }), "{full}");
    assert!(log.append(&event("refused")).await.is_err());
    assert_eq!(log.head().n, last);
    println!("\nfull {last}");
    // The parent makes space and says so.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    assert_eq!(log.append(&event("after")).await.unwrap(), last + 1);
    log.close().await.unwrap();
    println!("\nrecovered");
}

/// Fills the log, makes space, and expects it to go on.
fn fill(dir: &Path, mut filler: Child, make_space: impl FnOnce(&Child)) {
    let mut lines = BufReader::new(filler.stdout.take().unwrap()).lines();
    let full = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("full "));
    assert!(full.is_some(), "the disk never filled");
    make_space(&filler);
    filler.stdin.take().unwrap().write_all(b"go\n").unwrap();
    // To the end: a closed pipe would fail the child.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line == "recovered"), "{rest:?}");
    assert!(filler.wait().unwrap().success());
    let report = verify(dir, &KEY, CLUSTER).unwrap();
    let last = read_from(dir, report.head.n).unwrap().next().unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Event>(&last.1).unwrap().event_id, "after");
    assert!(report.records > 100);
    assert!(!event_ids_after(dir, 0).unwrap().contains("refused"));
}

#[test]
fn a_full_disk_refuses_records_until_there_is_space() {
    if let Some(dir) = std::env::var_os(DIR) {
        return append_until_full(Path::new(&dir));
    }
    let temp = TempDir::new();
    let disk = temp.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        println!("skipped: no right to mount a small disk");
        return;
    }
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let dir = disk.join("log");
    let filled = std::panic::catch_unwind(|| {
        let filler = child("a_full_disk_refuses_records_until_there_is_space", &dir);
        fill(&dir, filler, |_| std::fs::remove_file(&ballast).unwrap());
    });
    Command::new("umount").arg(&disk).status().unwrap();
    filled.unwrap();
}
