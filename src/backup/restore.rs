//! From a file to a new store.
use super::BackupError;
use super::read::{Whole, read};
use crate::failpoints::{self, Point};
use crate::store::{Loader, StoreError};
use std::path::Path;

/// Writes the rows of a backup into a new store in `dir`, which is there and empty. The file was checked
/// before; it is read once more, and must be the same: `digest` is what the check answered.
pub fn load(
    path: &Path,
    dir: &Path,
    digest: &str,
    mut progress: impl FnMut(u64),
) -> Result<Whole, BackupError> {
    // Such as a full disk: nothing is wrong with the backup.
    let failed =
        |error: StoreError| BackupError::Io { path: dir.to_owned(), what: error.to_string() };
    let loader = Loader::new(dir).map_err(failed)?;
    let mut seen = 0;
    let whole = read(path, |rows| {
        failpoints::strike(Point::RestoreRows).map_err(BackupError::io(dir))?;
        loader.load(&rows).map_err(failed)?;
        seen += rows.len() as u64;
        progress(seen);
        Ok(())
    })?;
    if whole.digest != digest {
        return Err(BackupError::broken(path, "has changed since it was checked"));
    }
    loader.finish(&whole.state).map_err(failed)?;
    Ok(whole)
}
