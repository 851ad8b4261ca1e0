//! From a file to rows. Whoever reads a backup reads it to its end, or has not read it.
use super::BackupError;
use super::frame::{FrameReader, Kind, decode_rows};
use super::header::{End, Header};
use crate::store::SealedRow;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const BUFFER_BYTES: usize = 1 << 20;

/// A backup that was read to its end and is as it was written.
#[derive(Debug)]
pub struct Whole {
    pub header: Header,
    pub rows: u64,
    pub bytes: u64,
    /// Of the last frame, in hexadecimal digits.
    pub digest: String,
    pub(super) state: Vec<u8>,
    /// Of the frame before the last: what the MAC is over.
    pub(super) vouched: [u8; 32],
    pub(super) mac: String,
}

type Frames = FrameReader<BufReader<File>>;

fn open(path: &Path) -> Result<(Frames, Header), BackupError> {
    let file = File::open(path).map_err(BackupError::io(path))?;
    if !file.metadata().map_err(BackupError::io(path))?.is_file() {
        return Err(BackupError::broken(path, "is no file"));
    }
    let mut frames = FrameReader::new(BufReader::with_capacity(BUFFER_BYTES, file), path)?;
    let header: Header = match frames.next()? {
        (Kind::Header, json) => serde_json::from_slice(&json)
            .map_err(|e| BackupError::broken(path, format!("has no header: {e}")))?,
        _ => return Err(BackupError::broken(path, "does not begin with its header")),
    };
    header.check_text(path)?;
    Ok((frames, header))
}

/// What a backup says of itself, of which the first frame only was looked at.
pub fn read_header(path: &Path) -> Result<Header, BackupError> {
    Ok(open(path)?.1)
}

/// Reads a backup to its end and gives `visit` its rows, in key order. What it was given counts only once
/// this has answered.
pub(super) fn read(
    path: &Path,
    mut visit: impl FnMut(Vec<SealedRow>) -> Result<(), BackupError>,
) -> Result<Whole, BackupError> {
    let broken = |what: &str| BackupError::broken(path, what);
    let (mut frames, header) = open(path)?;
    let (Kind::State, state) = frames.next()? else {
        return Err(broken("has no state behind its header"));
    };
    let (mut rows, mut last) = (0, None);
    loop {
        let vouched = frames.digest();
        match frames.next()? {
            (Kind::Rows, payload) => {
                let some = decode_rows(payload).ok_or_else(|| broken("has rows that are none"))?;
                for (key, ..) in &some {
                    if last.as_ref().is_some_and(|last| last >= key) {
                        return Err(broken("has rows that are out of order"));
                    }
                    last = Some(key.clone());
                }
                rows += some.len() as u64;
                visit(some)?;
            }
            (Kind::End, json) => {
                frames.end()?;
                let end: End = serde_json::from_slice(&json)
                    .map_err(|e| broken(&format!("has no end: {e}")))?;
                if end.rows != rows {
                    return Err(broken("has not as many rows as it says"));
                }
                return Ok(Whole {
                    header,
                    rows,
                    bytes: frames.offset(),
                    digest: hex::encode(frames.digest()),
                    state,
                    vouched,
                    mac: end.mac,
                });
            }
            _ => return Err(broken("has frames in another order")),
        }
    }
}

/// Whether the file is whole and as it was written. Needs no key, and so says nothing of who wrote it.
/// `progress` is told how many rows were read, from time to time.
pub fn verify(path: &Path, mut progress: impl FnMut(u64)) -> Result<Whole, BackupError> {
    let mut seen = 0;
    read(path, |rows| {
        seen += rows.len() as u64;
        progress(seen);
        Ok(())
    })
}
