//! What can go wrong with the audit log. Every variant means the same to a caller: this record is
//! not known to be safe, so its answer must not leave.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cloneable, because one failed write answers every waiter of its batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuditError {
    /// Nothing of the batch was kept; appends work again as soon as there is space.
    #[error("no space for the audit log while {doing} {path}: {source}")]
    NoSpace { doing: &'static str, path: PathBuf, source: Arc<io::Error> },
    #[error("audit log: {doing} {path}: {source}")]
    Io { doing: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// After a failed sync nobody knows what the disk holds, so nothing is accepted until a restart
    /// has read it again.
    #[error("the audit log failed and refuses records until restart; first cause: {cause}")]
    Failed { cause: Arc<AuditError> },
    #[error("the audit log is closed")]
    Closed,
    #[error("audit log {dir} is in use by another process")]
    Locked { dir: PathBuf },
    #[error("audit log {dir} is open to others (mode {mode:o}, must be 700)")]
    Exposed { dir: PathBuf, mode: u32 },
    #[error("audit record of {bytes} bytes is over the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("audit record is not one line of JSON")]
    NotOneLine,
    #[error("audit record cannot be encoded: {0}")]
    Encode(Arc<serde_json::Error>),
    #[error("audit log altered: {file} line {line}, record {n}: {what}")]
    Tampered { file: PathBuf, line: u64, n: u64, what: &'static str },
    #[error("audit log {file} ends in an unfinished record at byte {offset} (line {line})")]
    Torn { file: PathBuf, line: u64, offset: u64 },
    #[error("audit log segment {segment} is missing")]
    MissingSegment { segment: u64 },
    #[error("audit log ends at record {last}, but record {anchored} was anchored")]
    Shortened { last: u64, anchored: u64 },
    #[error("record {n} of the audit log is not the one that was anchored")]
    Replaced { n: u64 },
}

impl AuditError {
    /// Names what was being done to which file, and tells a full disk from a broken one.
    pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let (path, kind, source) = (path.to_owned(), error.kind(), Arc::new(error));
        match kind {
            StorageFull | QuotaExceeded | FileTooLarge => Self::NoSpace { doing, path, source },
            _ => Self::Io { doing, path, source },
        }
    }

    /// Whether appends may be tried again without a restart.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}
