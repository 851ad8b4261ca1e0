//! The name of a backup: it has it when it is whole and on disk, and not before; until then it is called
//! `FILE.partial`.
use super::BackupError;
use rustix::fs::{AtFlags, CWD, RenameFlags, linkat, renameat_with};
use rustix::io::Errno;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file that is being written. Dropped before it has its name, it is no more.
#[derive(Debug)]
pub(super) struct Unnamed {
    pub(super) partial: PathBuf,
    path: PathBuf,
    named: bool,
}

impl Unnamed {
    /// A new file, for its owner alone, that no other process takes for one which a killed process left.
    pub(super) fn create(path: &Path) -> Result<(Self, File), BackupError> {
        match path.symlink_metadata() {
            Ok(there) if there.is_dir() => {
                let what = "is a directory: name the file that is to be made in it".into();
                return Err(BackupError::Io { path: path.to_owned(), what });
            }
            Ok(_) => return Err(BackupError::Exists { path: path.to_owned() }),
            // What is wrong with the directory the next step says.
            Err(_) => {}
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        discard(&partial)?;
        let busy = || BackupError::Busy { path: partial.clone() };
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
        let file = match created {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(busy()),
            created => created.map_err(BackupError::io(&partial))?,
        };
        lock(&file, &partial)?;
        // Before it was locked, another one may have taken it for left.
        let at = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let there = partial.symlink_metadata().map(at);
        if !there.is_ok_and(|there| file.metadata().map(at).is_ok_and(|ours| ours == there)) {
            return Err(busy());
        }
        Ok((Self { partial, path: path.to_owned(), named: false }, file))
    }

    /// Gives it its name, durably, unless another file has it by now.
    pub(super) fn publish(mut self, file: &File) -> Result<(), BackupError> {
        let failed = BackupError::io(&self.path);
        // This file, whatever has its temporary name by now. A link does not replace what is there, as a
        // rename would.
        let ours = format!("/proc/self/fd/{}", file.as_raw_fd());
        let named = match linkat(CWD, ours, CWD, &self.path, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => std::fs::remove_file(&self.partial),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            // A file system without links.
            Err(_) => renameat_with(CWD, &self.partial, CWD, &self.path, RenameFlags::NOREPLACE)
                .map_err(io::Error::from),
        };
        match named {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists { path: self.path.clone() });
            }
            named => named.map_err(&failed)?,
        }
        self.named = true;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = File::open(dir.unwrap_or(Path::new(".")));
        dir.and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.named {
            // Nobody takes a file of this name for a backup.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Takes away what a killed process left under the temporary name. It is not written to: it may be readable
/// for others, or have another name besides.
fn discard(partial: &Path) -> Result<(), BackupError> {
    let failed = BackupError::io(partial);
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let left = match partial.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.is_file() => {
            let what = "is no file, and in the way; it was left alone".into();
            return Err(BackupError::Io { path: partial.to_owned(), what });
        }
        Ok(_) => OpenOptions::new().write(true).custom_flags(flags).open(partial),
    };
    lock(&left.map_err(&failed)?, partial)?;
    std::fs::remove_file(partial).map_err(&failed)
}

fn lock(file: &File, path: &Path) -> Result<(), BackupError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(BackupError::io(path)(error)),
    }
}
