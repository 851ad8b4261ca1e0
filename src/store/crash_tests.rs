//! Killed at any moment, the embedded store keeps what it acknowledged.
use super::suite::{Open, commit, sum_of_rows, unseal};
use super::{Backend, Embedded, Options, Revision, StoreError};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ROUNDS: u64 = 20;
const TASKS: u64 = 16;
const DIRECTORY: &str = "CLAVIGER_STORE_CRASH_DIRECTORY";
/// Set where one task writes alone, and the engine records its pages after every commit.
const ALONE: &str = "CLAVIGER_STORE_CRASH_ALONE";

/// The store with the digest of its last durable group, which must be that of its rows.
async fn open(dir: &Path, options: Options) -> (Embedded, u64) {
    let store = Embedded::open_with(dir, options).unwrap();
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
    let mut options = Options::default();
    let mut tasks = TASKS;
    if std::env::var_os(ALONE).is_some() {
        options.quiet = Duration::ZERO;
        tasks = 1;
    }
    let (store, last) = open(dir, options).await;
    let (store, revisions) = (Arc::new(store), Arc::new(AtomicU64::new(last)));
    let tasks: Vec<_> = (0..tasks)
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
fn run_and_kill(dir: &Path, life: Duration, alone: bool) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::crash_tests::acknowledged_rows_survive_kill", "--nocapture"])
        .env(DIRECTORY, dir)
        .envs(alone.then_some((ALONE, "yes")))
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
        let acks = run_and_kill(dir.path(), life, round % 2 == 1);
        acknowledged += acks.len();
        let (store, last) = open(dir.path(), Options::default()).await;
        check(&store, &acks, last).await.unwrap();
        eprintln!("round {round}: lived {life:?}, {} acknowledged, last {last}", acks.len());
    }
    assert!(acknowledged > 200, "{acknowledged} tell too little");
}

#[tokio::test]
async fn a_kill_while_creating_leaves_a_store_that_opens() {
    for step in 0..15 {
        let dir = tempfile::tempdir().unwrap();
        let life = Duration::from_micros(1_000 + 2_500 * step);
        let acks = run_and_kill(dir.path(), life, step % 2 == 1);
        let (store, last) = open(dir.path(), Options::default()).await;
        check(&store, &acks, last).await.unwrap();
    }
}

/// Whether whoever opens what is on disk now has to read all of it first, as after a kill.
fn needs_repair(dir: &Path) -> bool {
    let copy = dir.join("copy");
    std::fs::copy(dir.join("store.redb"), &copy).unwrap();
    let repaired = Arc::new(AtomicBool::new(false));
    let seen = repaired.clone();
    let opened = redb::Database::builder()
        .set_repair_callback(move |_| seen.store(true, Ordering::Relaxed))
        .create(&copy);
    drop(opened.unwrap());
    repaired.load(Ordering::Relaxed)
}

#[tokio::test]
async fn after_a_kill_in_a_quiet_moment_nothing_has_to_be_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), Options::default()).await;
    for round in 0..3 {
        // On a machine that stands still a pause may be here too.
        let mut needed = false;
        for revision in round * 100 + 1..=round * 100 + 50 {
            let key = format!("a/{revision}");
            store.commit(commit(revision, &[(&key, 0)], &[(&key, Some("v"))])).await.unwrap();
            needed |= needs_repair(dir.path());
        }
        assert!(needed, "after none of fifty commits a repair is needed: this tells nothing");
        let mut pauses = 0..200;
        let is_done = |_| {
            std::thread::sleep(Duration::from_millis(50));
            !needs_repair(dir.path())
        };
        assert!(pauses.any(is_done), "ten seconds of pause were not used");
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
