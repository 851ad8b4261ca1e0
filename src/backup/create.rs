//! From a store to a file. Each row is opened on its way out: of a damaged store no backup is made that would
//! pass for a good one.
use super::frame::{FrameWriter, Kind, encode_rows};
use super::header::{End, Header};
use super::name::Unnamed;
use super::{BackupError, Keys, Opener, openers};
use crate::failpoints::{self, Point};
use crate::root_of_trust::RootOfTrust;
use crate::seal::{self, Label};
use crate::store::{Exported, RowCheck, StoreError};
use serde::{Deserialize, Serialize};
use std::io::{BufWriter, Write};
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
    /// Of the deployment: `Deployment::fingerprint`.
    pub fingerprint: String,
    pub openers: Vec<Opener>,
}

/// Writes what was exported to a new file at `path`, with the wraps of the domain keys as `root` has them: its
/// file, read after the export began, must say the same. `before_it_is_named` may still refuse. Blocks, for as
/// long as the store is large.
pub fn create(
    path: &Path,
    mut exported: Exported,
    root: &RootOfTrust,
    created: String,
    watch: &Watch,
    before_it_is_named: impl FnOnce(&Made) -> Result<(), BackupError>,
) -> Result<Made, BackupError> {
    let keys = Keys::of(root)?;
    let header = Header::new(path, root.file()?, created, exported.revision.0)?;
    let wraps = header.deployment(path)?;
    let (unnamed, file) = Unnamed::create(path)?;
    let partial = unnamed.partial.clone();
    let failed = BackupError::io(&partial);
    let json = |e: serde_json::Error| BackupError::broken(path, e.to_string());
    let mut frames = FrameWriter::new(BufWriter::with_capacity(FRAME_BYTES, file), &partial)?;
    frames.write(Kind::Header, &serde_json::to_vec(&header).map_err(json)?)?;
    frames.write(Kind::State, &exported.state)?;
    let (mut rows, mut found) = (0, RowCheck::new(&keys.rows));
    loop {
        let some = exported.rows.next(FRAME_BYTES)?;
        if some.is_empty() {
            break;
        }
        rows += some.len() as u64;
        some.iter().try_for_each(|row| found.row(row)).map_err(damaged)?;
        frames.write(Kind::Rows, &encode_rows(&some))?;
        watch.count(some.len())?;
    }
    found.end(&exported.state).map_err(damaged)?;
    let mac = seal::mac(keys.mac.expose(), Label::BACKUP, &[&frames.digest()]);
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
        fingerprint: wraps.fingerprint(),
        openers: openers(&wraps),
    };
    before_it_is_named(&made)?;
    watch.count(0)?;
    failpoints::reach(Point::BackupName);
    unnamed.publish(&file)?;
    Ok(made)
}

fn damaged(error: StoreError) -> BackupError {
    BackupError::Damaged(error.to_string())
}
