//! Killed at any moment, the embedded store keeps what it acknowledged.
use super::suite::{Open, commit, sum_of_rows, unseal};
use super::{Backend, Embedded, Revision, StoreError};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const ROUNDS: u64 = 20;
const TASKS: u64 = 16;
const DIRECTORY: &str = "CLAVIGER_STORE_CRASH_DIRECTORY";

/// The store with the digest of its last durable group, which must be that of its rows.
async fn open(dir: &Path) -> (Embedded, u64) {
    let store = Embedded::open(dir).unwrap();
    let (sum, rows) = sum_of_rows(&store).await.unwrap();
    let state = store.state().await.unwrap().map(|state| unseal(&state));
    let (digest, last) = state.unwrap_or_default();
    assert_eq!(digest, sum, "the state is not that of the {rows} rows");
    store.install(Arc::new(Open::default()), digest, last);
    (store, last.0)
}

/// What the parent starts and kills: prints `task revision` for every acknowledged commit.
#[tokio::main(flavor = "multi_thread")]
async fn commit_for_ever(dir: &Path) {
    let (store, last) = open(dir).await;
    let (store, revisions) = (Arc::new(store), Arc::new(AtomicU64::new(last)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(write_for_ever(task, store.clone(), revisions.clone())))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Each commit adds a pair of rows, moves the task's head and deletes an older pair.
async fn write_for_ever(task: u64, store: Arc<Embedded>, revisions: Arc<AtomicU64>) {
    let value = "v".repeat(500);
    let head = format!("head/{task}");
    let mut kept = std::collections::VecDeque::new();
    let mut previous = store.get(head.as_bytes()).await.unwrap().map_or(0, |(r, _)| r.0);
    loop {
        let revision = revisions.fetch_add(1, Ordering::Relaxed) + 1;
        let pair = [format!("a/{revision}"), format!("b/{revision}")];
        let text = revision.to_string();
        let mut read = vec![(&*head, previous), (&*pair[0], 0), (&*pair[1], 0)];
        let mut write =
            vec![(&*head, Some(&*text)), (&*pair[0], Some(&*value)), (&*pair[1], Some(&*value))];
        let old: Option<(u64, [String; 2])> = if kept.len() > 20 { kept.pop_front() } else { None };
        if let Some((revision, pair)) = &old {
            read.extend(pair.iter().map(|key| (&**key, *revision)));
            write.extend(pair.iter().map(|key| (&**key, None)));
        }
        store.commit(commit(revision, &read, &write)).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {task} {revision}").and_then(|()| out.flush()).unwrap();
        drop(out);
        kept.push_back((revision, pair));
        previous = revision;
    }
}

/// Starts the child, which is the first test below in a process of its own, lets it live, and
/// returns what it acknowledged.
fn run_and_kill(dir: &Path, life: Duration) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::crash_tests::acknowledged_rows_survive_kill", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        stdout
            .lines()
            .filter_map(|line| {
                let line = line.ok()?;
                let (task, revision) = line.strip_prefix("ack ")?.split_once(' ')?;
                Some((task.parse().ok()?, revision.parse().ok()?))
            })
            .collect()
    });
    std::thread::sleep(life);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ended, None, "the child must write until it is killed");
    reader.join().unwrap()
}

#[test]
fn acknowledged_rows_survive_kill() {
    match std::env::var_os(DIRECTORY) {
        Some(dir) => commit_for_ever(Path::new(&dir)),
        None => kill_often(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn kill_often() {
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut seed) = (0, 0x5eed_u64);
    for round in 0..ROUNDS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Short enough to hit the opening too, long enough to reach hundreds of groups.
        let life = Duration::from_micros(5_000 + (seed >> 33) % 400_000);
        let acks = run_and_kill(dir.path(), life);
        acknowledged += acks.len();
        let (store, last) = open(dir.path()).await;
        check(&store, &acks, last).await.unwrap();
        eprintln!("round {round}: lived {life:?}, {} acknowledged, last {last}", acks.len());
    }
    assert!(acknowledged > 200, "{acknowledged} tell too little");
}

#[tokio::test]
async fn a_kill_while_creating_leaves_a_store_that_opens() {
    for step in 0..15 {
        let dir = tempfile::tempdir().unwrap();
        let acks = run_and_kill(dir.path(), Duration::from_micros(1_000 + 2_500 * step));
        let (store, last) = open(dir.path()).await;
        check(&store, &acks, last).await.unwrap();
    }
}

async fn check(store: &Embedded, acks: &[(u64, u64)], last: u64) -> Result<(), StoreError> {
    let mut heads = [0; TASKS as usize];
    for (task, revision) in acks {
        heads[*task as usize] = *revision;
        assert!(*revision <= last);
    }
    for (task, acknowledged) in heads.iter().enumerate() {
        let head = store.get(format!("head/{task}").as_bytes()).await?.map_or(0, |(r, _)| r.0);
        assert!(head >= *acknowledged, "task {task}: {acknowledged} acknowledged, {head} stored");
        if head > 0 {
            for half in ["a", "b"] {
                let row = store.get(format!("{half}/{head}").as_bytes()).await?;
                assert_eq!(row.unwrap().0, Revision(head), "half a commit");
            }
        }
    }
    // The last twenty of each task were not deleted yet.
    for task in 0..TASKS {
        let own = acks.iter().filter(|(t, _)| *t == task).map(|(_, revision)| revision);
        for revision in own.rev().take(15) {
            assert!(store.get(format!("a/{revision}").as_bytes()).await?.is_some(), "lost");
            assert!(store.get(format!("b/{revision}").as_bytes()).await?.is_some(), "lost");
        }
    }
    Ok(())
}
