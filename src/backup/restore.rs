//! From a file to a new store.
use super::BackupError;
use super::read::{Whole, read};
use crate::failpoints::{self, Point};
use crate::store::Loader;
use std::path::Path;

/// Writes the rows of a backup into a new store in `dir`, which is there and empty. The file was checked
/// before; it is read once more, and must be the same: `digest` is what the check answered.
pub fn load(
    path: &Path,
    dir: &Path,
    digest: &str,
    mut progress: impl FnMut(u64),
) -> Result<Whole, BackupError> {
    let loader = Loader::new(dir)?;
    let mut seen = 0;
    let whole = read(path, |rows| {
        failpoints::strike(Point::RestoreRows).map_err(BackupError::io(dir))?;
        loader.load(&rows)?;
        seen += rows.len() as u64;
        progress(seen);
        Ok(())
    })?;
    if whole.digest != digest {
        return Err(BackupError::broken(path, "has changed since it was checked"));
    }
    loader.finish(&whole.state)?;
    Ok(whole)
}
