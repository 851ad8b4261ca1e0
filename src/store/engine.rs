//! redb behind the few operations the embedded store needs: no engine error or panic gets past it.
//!
//! Row: key → revision (u64, big endian) ‖ value. The state row lives in a table of its own, so
//! that no row key can reach it.
use super::backend::{Revision, StoreError};
use super::export::Export;
use super::file::{self, Health, StoreFile};
use super::sum::Rows;
use bytes::Bytes;
use redb::{Database, Error, ReadableDatabase, TableDefinition, WriteTransaction};
use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::time::Duration;

pub(super) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
pub(super) const STATE: TableDefinition<'static, (), &[u8]> = TableDefinition::new("state");

const FILE_NAME: &str = "store.redb";
/// A store being created. The engine cannot open a file whose creation was cut short, so a store
/// gets its name only when it is complete.
const NEW_FILE_NAME: &str = "store.redb.new";
const LOCK_NAME: &str = "store.lock";

/// The cache holds only pages that were used, so a small store stays small; a large one finds
/// what falls out of it in the page cache of the kernel, for a microsecond more.
const CACHE_BYTES: usize = 64 << 20;

const QUIET: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct Options {
    pub cache_bytes: usize,
    /// Check every page's checksum before the first read. Reads the whole file.
    pub verify_on_open: bool,
    /// A pause after which the engine records which pages are in use, so that a start after a kill in a quiet
    /// moment need not read the whole file. With every commit it would cost another sync, and time by the
    /// size of the file.
    pub quiet: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: CACHE_BYTES, verify_on_open: false, quiet: QUIET }
    }
}

pub(super) type Row = (Revision, Bytes);

#[derive(Debug)]
pub(super) struct Engine {
    path: PathBuf,
    pub(super) options: Options,
    _lock: File,
    pub(super) health: Arc<Health>,
    /// Only `reopen` and `close` take it for writing; readers never wait for a commit.
    database: RwLock<Option<Database>>,
}

impl Engine {
    pub(super) fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let lock = file::lock(&dir.join(LOCK_NAME))?;
        let path = dir.join(FILE_NAME);
        if matches!(path.try_exists(), Ok(false)) {
            let new = dir.join(NEW_FILE_NAME);
            create(StoreFile::create(&new)?)?;
            file::publish(&new, &path)?;
        }
        let health = Arc::new(Health::default());
        let database = RwLock::new(Some(open_database(&path, &options, &health)?));
        Ok(Self { path, options, _lock: lock, health, database })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.with(|database| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            rows.get(key)?.map(|row| parse(row.value())).transpose()
        })
    }

    pub(super) fn scan(
        &self,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        self.with(|database| {
            let rows = database.begin_read()?.open_table(ROWS)?;
            let mut found = Vec::new();
            for row in rows.range(start..end)?.take(limit) {
                let (key, row) = row?;
                let (revision, value) = parse(row.value())?;
                found.push((Bytes::copy_from_slice(key.value()), revision, value));
            }
            Ok(found)
        })
    }

    pub(super) fn state(&self) -> Result<Option<Bytes>, StoreError> {
        self.with(|database| {
            let state = database.begin_read()?.open_table(STATE)?;
            Ok(state.get(())?.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        })
    }

    /// The rows as of now, and the state beside them.
    pub(super) fn snapshot(&self) -> Result<(Rows, Option<Bytes>), StoreError> {
        self.with(|database| {
            let reading = database.begin_read()?;
            let state = reading.open_table(STATE)?;
            let state = state.get(())?.map(|bytes| Bytes::copy_from_slice(bytes.value()));
            Ok((reading.open_table(ROWS)?, state))
        })
    }

    /// The rows and the state as of now, with the values.
    pub(super) fn export(&self) -> Result<Walk, StoreError> {
        let (rows, state) = self.snapshot()?;
        Ok(Walk { rows, after: None, state })
    }

    /// Runs `change` in one engine transaction; durable on `Ok` if `change` says `true`, without
    /// any effect if it says `false`. After an error the outcome is unknown.
    pub(super) fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<bool, Error>,
    ) -> Result<(), StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            if change(&transaction)? {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(())
        })
    }

    /// How much a record of them needs: by the size of the file.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |file| file.len() / 1024)
    }

    /// Records, durably, which pages are in use. Whoever opens the file after this commit has nothing to repair;
    /// after any other he reads the whole file.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_quick_repair(true);
            Ok(transaction.commit()?)
        })
    }

    /// Refuses a write that might fill the disk half-way: an engine that ran out of space in the
    /// middle can no longer read either, until it is reopened.
    pub(super) fn require_room(&self, bytes: u64) -> Result<(), StoreError> {
        if crate::failpoints::store_is_full() {
            return Err(StoreError::Full("the torture says so".into()));
        }
        // Where the question has no answer, the write itself will find out.
        let Ok(volume) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let free = volume.f_bavail.saturating_mul(volume.f_frsize);
        if free >= bytes {
            return Ok(());
        }
        Err(StoreError::Full(format!("{free} bytes free on the volume, {bytes} wanted")))
    }

    /// Closes and opens the file, which clears the engine's refusal to go on after an I/O error.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop_quietly(database.take());
        *database = Some(open_database(&self.path, &self.options, &self.health)?);
        Ok(())
    }

    pub(super) fn close(&self) {
        drop_quietly(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, StoreError> {
        let database = match self.database.try_read() {
            Ok(database) => database,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Waiting would block an async thread for as long as a repair takes.
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Unavailable("being reopened after an error".into()));
            }
        };
        let Some(database) = database.as_ref() else {
            return Err(StoreError::Unavailable("closed after an error".into()));
        };
        guarded(|| work(database))
    }
}

/// One consistent view of the rows with their values, and of the state.
pub(super) struct Walk {
    rows: Rows,
    after: Option<Vec<u8>>,
    state: Option<Bytes>,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}

impl Export for Walk {
    fn state(&self) -> Option<&Bytes> {
        self.state.as_ref()
    }

    fn next(&mut self, bytes: usize) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        let Self { rows, after, .. } = self;
        let (mut found, mut size) = (Vec::new(), 0);
        guarded(|| {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            for row in rows.range::<&[u8]>((from, Bound::Unbounded))? {
                let (key, row) = row?;
                let (revision, value) = parse(row.value())?;
                size += key.value().len() + value.len();
                found.push((Bytes::copy_from_slice(key.value()), revision, value));
                if size >= bytes {
                    break;
                }
            }
            Ok(())
        })?;
        if let Some((last, ..)) = found.last() {
            // An engine that walks in circles over a damaged file must not fill a disk.
            if after.as_ref().is_some_and(|after| after[..] >= last[..]) {
                return Err(StoreError::Corrupt("rows are out of order".into()));
            }
            *after = Some(last.to_vec());
        }
        Ok(found)
    }
}

/// The bytes of a row as the engine keeps them.
pub(super) fn encode(revision: Revision, value: &[u8]) -> Vec<u8> {
    [&revision.0.to_be_bytes(), value].concat()
}

pub(super) fn revision(row: &[u8]) -> Result<Revision, Error> {
    Ok(split(row)?.0)
}

fn parse(row: &[u8]) -> Result<Row, Error> {
    let (revision, value) = split(row)?;
    Ok((revision, Bytes::copy_from_slice(value)))
}

pub(super) fn split(row: &[u8]) -> Result<(Revision, &[u8]), Error> {
    let (revision, value) =
        row.split_first_chunk().ok_or_else(|| Error::Corrupted("row without revision".into()))?;
    Ok((Revision(u64::from_be_bytes(*revision)), value))
}

/// Writes an empty store. Readers cannot create a table, so both exist from the start.
fn create(file: StoreFile) -> Result<(), StoreError> {
    guarded(|| {
        let database = Database::builder().create_with_backend(file)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ROWS)?;
        transaction.open_table(STATE)?;
        transaction.commit()?;
        Ok(database.close()?)
    })
}

fn open_database(
    path: &Path,
    options: &Options,
    health: &Arc<Health>,
) -> Result<Database, StoreError> {
    let file = StoreFile::open(path, health.clone())?;
    let noted = health.clone();
    guarded(|| {
        Ok(Database::builder()
            .set_cache_size(options.cache_bytes)
            .set_check_integrity_on_open(options.verify_on_open)
            .set_repair_callback(move |repair| {
                if repair.progress() == 0.0 {
                    noted.note_repair();
                }
            })
            .create_with_backend(file)?)
    })
}

/// Closing writes to the file, and may therefore break over it like anything else.
fn drop_quietly(database: Option<Database>) {
    let _ = guarded(|| {
        drop(database);
        Ok(())
    });
}

/// The engine asserts what it finds in its file, so damage to it surfaces as a panic.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, StoreError> {
    // The engine poisons or rolls back what a panic leaves behind, and says so when used again.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(store_error),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(StoreError::Corrupt(format!("engine panicked: {text}")))
        }
    }
}

fn store_error(error: Error) -> StoreError {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, UnexpectedEof};
    match error {
        Error::Corrupted(text) => StoreError::Corrupt(text),
        Error::LockPoisoned(_) => StoreError::Corrupt("engine panicked before".into()),
        Error::DatabaseAlreadyOpen => {
            StoreError::Unavailable("another process has the store open".into())
        }
        Error::Io(e) if matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
            StoreError::Full(e.to_string())
        }
        Error::Io(e) if e.kind() == UnexpectedEof => StoreError::Corrupt("file too short".into()),
        other => StoreError::Unavailable(other.to_string()),
    }
}
