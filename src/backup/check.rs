//! Whether a backup is this deployment's: written by it, every row of it opens, and these are all rows that
//! the store had and no others.
use super::read::{Whole, read};
use super::{BackupError, Keys};
use crate::seal::{self, Key32, Label};
use crate::store::RowCheck;
use std::path::Path;

/// Reads the whole file.
pub fn check(
    path: &Path,
    keys: &Keys,
    mut progress: impl FnMut(u64),
) -> Result<Whole, BackupError> {
    let mut rows = RowCheck::new(&keys.rows);
    let mut seen = 0;
    // The MAC is over what comes after the rows: opening them first believes nothing of them.
    let whole = read(path, |some| {
        some.iter().try_for_each(|row| rows.row(row)).map_err(|e| {
            BackupError::broken(path, format!("is not what this deployment wrote: {e}"))
        })?;
        seen += some.len() as u64;
        progress(seen);
        Ok(())
    })?;
    vouched_for(path, &whole, &keys.mac)?;
    let wrong = |e| BackupError::broken(path, format!("is not what this deployment wrote: {e}"));
    let revision = rows.end(&whole.state).map_err(wrong)?;
    if revision.0 != whole.header.revision {
        let what = format!(
            "says that it is of revision {}, and its state says {}",
            whole.header.revision, revision.0
        );
        return Err(BackupError::broken(path, what));
    }
    Ok(whole)
}

fn vouched_for(path: &Path, whole: &Whole, backup_key: &Key32) -> Result<(), BackupError> {
    let mac = hex::decode(&whole.mac).unwrap_or_default();
    match seal::mac_matches(backup_key.expose(), Label::BACKUP, &[&whole.vouched], &mac) {
        true => Ok(()),
        false => Err(BackupError::broken(
            path,
            "was not written by this deployment, or was changed: its MAC by the oldest domain key is wrong",
        )),
    }
}
