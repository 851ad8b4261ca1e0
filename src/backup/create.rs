//! From a store to a file. The file has its name when it is whole and on disk, and not before.
use super::frame::{FrameWriter, Kind, encode_rows};
use super::header::{End, Header};
use super::{BackupError, Opener, openers};
use crate::failpoints::{self, Point};
use crate::seal::{self, Key32, Label};
use crate::store::Exported;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Rows are gathered into frames of about this size.
const FRAME_BYTES: usize = 1 << 20;

/// How far a backup has come, and whether anybody still wants it.
#[derive(Debug, Default)]
pub struct Watch {
    rows: AtomicU64,
    given_up: AtomicBool,
}

impl Watch {
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
    /// The backup ends soon, and leaves nothing.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
    pub(super) fn count(&self, rows: usize) -> Result<(), BackupError> {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        match self.given_up.load(Ordering::Relaxed) {
            true => Err(BackupError::GivenUp),
            false => Ok(()),
        }
    }
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    pub file: PathBuf,
    /// The deployment's id.
    pub cluster: String,
    pub rows: u64,
    pub bytes: u64,
    /// The highest revision that the store had acknowledged.
    pub revision: u64,
    /// The digest of the last frame, in hexadecimal digits: `claviger verify` says it, too.
    pub digest: String,
    pub openers: Vec<Opener>,
}

/// A file that is being written. Dropped before it has its name, it is no more.
struct Unnamed {
    partial: PathBuf,
    path: PathBuf,
    named: bool,
}

impl Unnamed {
    /// What a killed process left under the temporary name is written over.
    fn create(path: &Path) -> Result<(Self, File), BackupError> {
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists { path: path.to_owned() });
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&partial)
            .map_err(BackupError::io(&partial))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy { path: partial }),
            Err(TryLockError::Error(error)) => return Err(BackupError::io(&partial)(error)),
        }
        let unnamed = Self { partial, path: path.to_owned(), named: false };
        file.set_len(0).map_err(BackupError::io(&unnamed.partial))?;
        Ok((unnamed, file))
    }

    /// Gives it its name, durably, unless another file has it by now.
    fn publish(mut self) -> Result<(), BackupError> {
        let failed = BackupError::io(&self.path);
        // A link does not replace what is there, as a rename would.
        match std::fs::hard_link(&self.partial, &self.path) {
            Ok(()) => std::fs::remove_file(&self.partial).map_err(&failed)?,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists { path: self.path.clone() });
            }
            // A file system without links.
            Err(_) => std::fs::rename(&self.partial, &self.path).map_err(&failed)?,
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

/// Writes what was exported to a new file at `path`. `deployment` is the file that holds the wraps, read
/// after the export began; `before_it_is_named` may still refuse. Blocks, for as long as the store is large.
pub fn create(
    path: &Path,
    mut exported: Exported,
    deployment: &Path,
    created: String,
    key: &Key32,
    watch: &Watch,
    before_it_is_named: impl FnOnce(&Made) -> Result<(), BackupError>,
) -> Result<Made, BackupError> {
    let text = std::fs::read_to_string(deployment).map_err(BackupError::io(deployment))?;
    let header = Header::new(deployment, text, created, exported.revision.0)?;
    let openers = openers(&header.deployment(deployment)?);
    let (unnamed, file) = Unnamed::create(path)?;
    let partial = unnamed.partial.clone();
    let failed = BackupError::io(&partial);
    let json = |e: serde_json::Error| BackupError::broken(path, e.to_string());
    let mut frames = FrameWriter::new(BufWriter::with_capacity(FRAME_BYTES, file), &partial)?;
    frames.write(Kind::Header, &serde_json::to_vec(&header).map_err(json)?)?;
    frames.write(Kind::State, &exported.state)?;
    let mut rows = 0;
    loop {
        let some = exported.rows.next(FRAME_BYTES)?;
        if some.is_empty() {
            break;
        }
        rows += some.len() as u64;
        frames.write(Kind::Rows, &encode_rows(&some))?;
        watch.count(some.len())?;
    }
    let mac = seal::mac(key.expose(), Label::BACKUP, &[&frames.digest()]);
    let end = End { rows, mac: hex::encode(mac) };
    frames.write(Kind::End, &serde_json::to_vec(&end).map_err(json)?)?;
    let digest = hex::encode(frames.digest());
    let mut out = frames.into_inner();
    out.flush().map_err(&failed)?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(&failed)?;
    let made = Made {
        file: path.to_owned(),
        cluster: header.cluster.to_string(),
        rows,
        bytes: file.metadata().map_err(&failed)?.len(),
        revision: header.revision,
        digest,
        openers,
    };
    before_it_is_named(&made)?;
    watch.count(0)?;
    failpoints::reach(Point::BackupName);
    unnamed.publish()?;
    Ok(made)
}
