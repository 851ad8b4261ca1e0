//! Why a command failed, and the exit code that says so.
use crate::audit::AuditError;
use crate::backup::BackupError;
use crate::config::{ConfigError, StoreKind, StoreSettings};
use crate::http::{ListenError, TlsError};
use crate::root_of_trust::RootError;
use crate::store::StoreError;
use claviger_hsm::HsmError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Device(#[from] HsmError),
    #[error("{0}")]
    Root(#[from] RootError),
    /// Another process has the directory open.
    #[error("{path}: is in use by another process")]
    Locked { path: PathBuf },
    #[error("{path}: {what}")]
    Data { path: PathBuf, what: String },
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A database, which may be back soon.
    #[error("store: {0}")]
    Away(StoreError),
    #[error("{0}")]
    Backup(#[from] BackupError),
    #[error("audit log: {0}")]
    Audit(#[from] AuditError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: std::net::SocketAddr, error: String },
    #[error("{0}")]
    Plain(#[from] ListenError),
    /// The configuration cannot be followed: its PIN file, or what it leaves out.
    #[error("{0}")]
    Setup(String),
    /// No device to open.
    #[error("{0}")]
    NoDevice(String),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    /// Whether it opens as soon as a device is back.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Root(error) if error.is_away())
    }

    /// The same of a start with this store: only one that is elsewhere comes back by itself.
    pub(super) fn with(self, store: &StoreSettings) -> Self {
        match (self, store.kind) {
            (
                Self::Store(error @ StoreError::Unavailable(_))
                | Self::Root(RootError::Store(error @ StoreError::Unavailable(_))),
                StoreKind::Postgresql,
            ) => Self::Away(error),
            (other, _) => other,
        }
    }

    /// As `claviger --help` lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Setup(_)
            | Self::Tls(_)
            | Self::Plain(_)
            | Self::Store(StoreError::Settings(_)) => 3,
            Self::Backup(error) => match error {
                BackupError::Broken { .. } | BackupError::Store(_) | BackupError::Root(_) => 5,
                BackupError::Io { .. }
                | BackupError::Exists { .. }
                | BackupError::Busy { .. }
                | BackupError::Damaged(_)
                | BackupError::GivenUp => 1,
            },
            Self::Device(_)
            | Self::NoDevice(_)
            | Self::Root(RootError::Device(_) | RootError::Unreachable { .. }) => 4,
            Self::Root(RootError::Refused(_) | RootError::Recovery(_)) => 1,
            Self::Root(_)
            | Self::Locked { .. }
            | Self::Data { .. }
            | Self::Store(_)
            | Self::Audit(_) => 5,
            Self::Listen { .. } => 6,
            Self::Away(_) => 7,
            Self::Other(_) => 1,
        }
    }
}
