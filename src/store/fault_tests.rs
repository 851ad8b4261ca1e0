//! The embedded store when the disk fails, is full, or is someone else's.
use super::suite::{Open, commit, sum_of_rows, unseal};
use super::{Backend, Digest, Embedded, Options, Revision, StoreError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// How many of the next calls on the store's file fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    reads: AtomicU32,
    writes: AtomicU32,
    syncs: AtomicU32,
}

impl Faults {
    pub(super) fn on_read(&self) -> io::Result<()> {
        Self::strike(&self.reads, EIO)
    }

    pub(super) fn on_write(&self) -> io::Result<()> {
        Self::strike(&self.writes, ENOSPC)
    }

    pub(super) fn on_sync(&self) -> io::Result<()> {
        Self::strike(&self.syncs, EIO)
    }

    fn strike(left: &AtomicU32, errno: i32) -> io::Result<()> {
        let struck = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        struck.map_or(Ok(()), |_| Err(io::Error::from_raw_os_error(errno)))
    }
}

/// Uses no pause: faults are for what the tests ask for.
fn witnessed(dir: &Path) -> Embedded {
    pausing(dir, Duration::from_secs(3600))
}

fn pausing(dir: &Path, quiet: Duration) -> Embedded {
    let store = Embedded::open_with(dir, Options { quiet, ..Options::default() }).unwrap();
    store.install(Arc::new(Open::default()), Digest::default(), Revision(0));
    store
}

async fn put(store: &Embedded, key: &str, revision: u64) -> Result<(), StoreError> {
    store.commit(commit(revision, &[(key, 0)], &[(key, Some("value"))])).await
}

/// What was refused is not there after a restart.
async fn assert_only_the_first(dir: &Path) {
    let store = witnessed(dir);
    assert!(store.get(b"before").await.unwrap().is_some());
    assert!(store.get(b"after").await.unwrap().is_none());
}

async fn assert_sound(store: &Embedded, rows: u64) {
    let (digest, _) = unseal(&store.state().await.unwrap().unwrap());
    assert_eq!(sum_of_rows(store).await.unwrap(), (digest, rows));
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = witnessed(dir.path());
    for i in 1..=20 {
        put(&store, &format!("k{i}"), i).await.unwrap();
    }
    let state = store.state().await.unwrap();
    drop(store);
    let store = Embedded::open(dir.path()).unwrap();
    assert_eq!(store.state().await.unwrap(), state);
    assert_sound(&store, 20).await;
    assert_eq!(store.get(b"k7").await.unwrap().unwrap().0, Revision(7));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).unwrap();
    let Err(StoreError::Unavailable(text)) = Embedded::open(dir.path()) else { panic!() };
    assert_eq!(text, "another process has the store open");
    put(&store, "k", 1).await.unwrap();
    drop(store);
    assert!(Embedded::open(dir.path()).is_ok());
}

#[tokio::test]
async fn a_missing_directory_or_a_foreign_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Embedded::open(&dir.path().join("none"));
    assert!(matches!(missing, Err(StoreError::Unavailable(_))), "{missing:?}");
    std::fs::write(dir.path().join("store.redb"), "not a store".repeat(1000)).unwrap();
    assert!(Embedded::open(dir.path()).is_err());
    std::fs::write(dir.path().join("store.redb"), "").unwrap();
    let emptied = Embedded::open(dir.path());
    assert!(matches!(emptied, Err(StoreError::Corrupt(_))), "{emptied:?}");
}

const PAUSE: Duration = Duration::from_millis(500);

async fn within_ten_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within ten seconds: {what}");
}

#[tokio::test]
async fn a_sync_that_fails_in_a_pause_stops_all_writing_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = pausing(dir.path(), PAUSE);
    put(&store, "before", 1).await.unwrap();
    store.faults().syncs.store(1, Ordering::SeqCst);
    within_ten_seconds("nobody noticed", || store.check_writable().is_err()).await;
    let refused = put(&store, "after", 2).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly(_))), "{refused:?}");
    drop(store);
    assert_only_the_first(dir.path()).await;
}

#[tokio::test]
async fn a_write_that_fails_in_a_pause_is_noticed_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = pausing(dir.path(), PAUSE);
    put(&store, "before", 1).await.unwrap();
    let faults = store.faults();
    faults.writes.store(1, Ordering::SeqCst);
    within_ten_seconds("nothing was written", || faults.writes.load(Ordering::SeqCst) == 0).await;
    // It is opened anew by itself.
    tokio::time::sleep(PAUSE / 2).await;
    assert!(store.get(b"before").await.unwrap().is_some());
    store.check_writable().unwrap();
    put(&store, "after", 2).await.unwrap();
    assert_sound(&store, 2).await;
}

#[tokio::test]
async fn a_failed_sync_stops_all_writing_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let store = witnessed(dir.path());
    put(&store, "before", 1).await.unwrap();
    store.check_writable().unwrap();
    store.faults().syncs.store(1, Ordering::SeqCst);
    let failed = put(&store, "lost", 2).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    let stopped = store.check_writable();
    assert!(matches!(stopped, Err(StoreError::ReadOnly(_))), "{stopped:?}");
    // The disk works again, and the kernel would say so; the store must not believe it.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for revision in 3..6 {
        let refused = put(&store, "after", revision).await;
        assert!(matches!(refused, Err(StoreError::ReadOnly(_))), "{refused:?}");
    }
    assert!(matches!(store.clear().await, Err(StoreError::ReadOnly(_))));
    drop(store);
    assert_only_the_first(dir.path()).await;
}

#[tokio::test]
async fn a_failed_write_heals_when_there_is_space_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = witnessed(dir.path());
    put(&store, "before", 1).await.unwrap();
    store.faults().writes.store(1, Ordering::SeqCst);
    let failed = put(&store, "lost", 2).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    store.check_writable().unwrap();
    put(&store, "after", 3).await.unwrap();
    assert!(store.get(b"before").await.unwrap().is_some());
    // Whatever became of the failed one, the digest knows.
    let rows = 2 + u64::from(store.get(b"lost").await.unwrap().is_some());
    assert_sound(&store, rows).await;
}

#[tokio::test]
async fn a_disk_that_stays_broken_is_not_hammered() {
    let dir = tempfile::tempdir().unwrap();
    let store = witnessed(dir.path());
    put(&store, "before", 1).await.unwrap();
    store.faults().writes.store(1_000_000, Ordering::SeqCst);
    for revision in 2..50 {
        let failed = put(&store, "lost", revision).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_) | StoreError::Full(_))));
    }
    let attempts = 1_000_000 - store.faults().writes.swap(0, Ordering::SeqCst);
    assert!(attempts < 20, "{attempts}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    put(&store, "after", 60).await.unwrap();
    assert_sound(&store, 2).await;
}

#[tokio::test]
async fn a_failed_read_heals_without_any_write() {
    let dir = tempfile::tempdir().unwrap();
    drop({
        let store = witnessed(dir.path());
        put(&store, "k", 1).await.unwrap();
        store
    });
    let store = Embedded::open(dir.path()).unwrap();
    store.faults().reads.store(1, Ordering::SeqCst);
    let mut errors = 0;
    while let Err(e) = store.get(b"k").await {
        assert!(matches!(e, StoreError::Unavailable(_)), "{e:?}");
        errors += 1;
        assert!(errors < 500, "never healed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The page may have been cached; then the fault is still waiting for somebody.
    assert!(errors > 0 || store.faults().reads.load(Ordering::SeqCst) == 1);
}

/// A small file system of its own, unmounted at the end.
struct Volume(tempfile::TempDir);

impl Volume {
    fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(dir))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_goes_on_reading() {
    let Some(volume) = Volume::mount(32) else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let store = witnessed(volume.0.path());
    let filler = volume.0.path().join("filler");
    let large = "x".repeat(64 << 10);
    let mut rows = 0;
    let refused = loop {
        let key = format!("k{rows}");
        match store.commit(commit(rows + 1, &[(&key, 0)], &[(&key, Some(&large))])).await {
            Ok(()) => rows += 1,
            Err(e) => break e,
        }
        if rows == 100 {
            std::fs::write(&filler, vec![1; 4 << 20]).unwrap();
        }
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
    assert!(rows > 100);
    assert_sound(&store, rows).await;
    std::fs::remove_file(&filler).unwrap();
    put(&store, "again", 10_000).await.unwrap();
    assert_sound(&store, rows + 1).await;

    // Somebody else takes the rest between our look and our write: the engine runs dry itself.
    let _ = std::fs::write(&filler, vec![1; 64 << 20]);
    let full = put(&store, "full", 10_001).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    assert_sound(&store, rows + 1).await;
    drop(store);
    std::fs::remove_file(&filler).unwrap();
    assert_sound(&Embedded::open(volume.0.path()).unwrap(), rows + 1).await;
}
