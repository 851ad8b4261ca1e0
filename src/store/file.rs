//! The engine's file: readable by its owner only, and it remembers a failed sync.
//!
//! The engine answers every I/O failure alike. A failed write is as harmless as a crash at that
//! moment; a failed sync is not, because the kernel may have dropped the pages and will call the
//! next sync a success. So this layer tells the writer which of the two it was.
use super::backend::StoreError;
use crate::failpoints::{self, Point};
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::{Advice, fadvise};
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const OWNER_ONLY: u32 = 0o600;

/// What became of the file's writes, across all its openings by this process.
#[derive(Debug, Default)]
pub(super) struct Health {
    sync_failed: AtomicBool,
    was_repaired: AtomicBool,
    #[cfg(test)]
    pub(super) faults: super::fault_tests::Faults,
}

impl Health {
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }

    /// The engine begins a repair, which takes seconds for every million rows.
    pub(super) fn note_repair(&self) {
        tracing::info!("the store was not closed in order: all of it is read before it is opened");
        self.was_repaired.store(true, Ordering::Release);
    }

    /// Whether it has repaired the file since this was asked last: it would at the next start, too.
    pub(super) fn take_repaired(&self) -> bool {
        self.was_repaired.swap(false, Ordering::AcqRel)
    }
}

#[derive(Debug)]
pub(super) struct StoreFile {
    file: FileBackend,
    health: Arc<Health>,
}

impl StoreFile {
    /// An existing store. One that vanished or was emptied must not come back as a new one.
    pub(super) fn open(path: &Path, health: Arc<Health>) -> Result<Self, StoreError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(at(path))?;
        // A file restored from a backup may have come back with wider permissions.
        file.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(at(path))?;
        let bytes = file.metadata().map_err(at(path))?.len();
        if bytes == 0 {
            return Err(StoreError::Corrupt(format!("{} is empty", path.display())));
        }
        read_ahead(path, bytes);
        Self::new(file, health)
    }

    /// A new, empty file in place of whatever was left there.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(path)(e)),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(OWNER_ONLY)
            .open(path)
            .map_err(at(path))?;
        Self::new(file, Arc::default())
    }

    fn new(file: File, health: Arc<Health>) -> Result<Self, StoreError> {
        let file = FileBackend::new(file).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Self { file, health })
    }
}

/// Asks the kernel for the whole file, in its order, if there is memory for it. A start reads all of it anyway, page
/// by page in the order of the keys: from a disk that takes many times as long. Small files need no help.
fn read_ahead(path: &Path, bytes: u64) {
    const SMALL: u64 = 64 << 20;
    /// Of a longer piece the kernel reads no more than its own readahead, which is at least this.
    const STEP: NonZeroU64 = NonZeroU64::new(128 << 10).unwrap();
    if bytes < SMALL || memory_available().is_none_or(|available| bytes > available / 2) {
        return;
    }
    // A handle of its own: the lock belongs to the engine's. Whatever fails here, it only takes longer.
    let Ok(file) = File::open(path) else { return };
    let ask = move || {
        let mut from = 0;
        while from < bytes && fadvise(&file, from, Some(STEP), Advice::WillNeed).is_ok() {
            from += STEP.get();
        }
    };
    _ = std::thread::Builder::new().name("store-ahead".into()).spawn(ask);
}

/// Bytes that can be had without swapping (proc_meminfo(5)).
fn memory_available() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = all.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// Locks the directory for as long as the file is held: creating a store takes several steps.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY)
        .open(path)
        .map_err(at(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Unavailable("another process has the store open".into()))
        }
        Err(TryLockError::Error(e)) => Err(at(path)(e)),
    }
}

/// Gives a finished file its name, durably.
pub(super) fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(at(from))?;
    let dir = to.parent().unwrap_or(to);
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

fn at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |e| StoreError::Unavailable(format!("{}: {e}", path.display()))
}

impl StorageBackend for StoreFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        #[cfg(test)]
        self.health.faults.on_read()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        let synced = self.health.faults.on_sync().and_then(|()| self.file.sync_data());
        #[cfg(not(test))]
        let synced = failpoints::strike(Point::StoreSync).and_then(|()| self.file.sync_data());
        failpoints::reach(Point::StoreSynced);
        if synced.is_err() {
            self.health.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.health.faults.on_write()?;
        failpoints::strike(Point::StoreWrite)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
