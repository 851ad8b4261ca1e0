//! Why a backup is not made, not whole, or not put back.
use crate::root_of_trust::RootError;
use crate::store::StoreError;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {what}")]
    Io { path: PathBuf, what: String },
    /// Not a backup, or not as it was written.
    #[error("{path}: {what}")]
    Broken { path: PathBuf, what: String },
    #[error("{path} is there already: a backup is never written over another file")]
    Exists { path: PathBuf },
    #[error("{path} is being written by another process")]
    Busy { path: PathBuf },
    /// Its rows do not open, or are not those that it should have.
    #[error(
        "the store is damaged, and no backup of it was made: {0}. Keep the backups that there are: the newest \
         that `claviger verify` finds whole is what can be restored"
    )]
    Damaged(String),
    /// Nobody waits for it any more.
    #[error("the backup was given up; no file was left")]
    GivenUp,
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Root(#[from] RootError),
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), what: error.to_string() }
    }

    pub(super) fn broken(path: &Path, what: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), what: what.into() }
    }
}
