//! What the rows of a backup are opened with, and what vouches for all of it.
use super::BackupError;
use crate::root_of_trust::RootOfTrust;
use crate::seal::Key32;
use crate::store::RowKeys;

/// Of the domain keys of one open deployment.
#[derive(Debug)]
pub struct Keys {
    pub(super) rows: RowKeys,
    pub(super) mac: Key32,
}

impl Keys {
    pub fn of(root: &RootOfTrust) -> Result<Self, BackupError> {
        Ok(Self { rows: root.row_keys()?, mac: root.backup_key() })
    }
}
