//! Opening a log: find its end, cut off what a crash left unfinished, refuse what was altered.
//!
//! Only the last segment is read; `verify` reads all. A write is acknowledged after its sync, and
//! the next is not begun before, so a crash can leave at most one batch unfinished: lines with
//! holes of zeros or without an end, in the last `MAX_BATCH_BYTES`. Such a tail was never
//! acknowledged and is cut. Anything else that does not verify was done by a hand.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::chain::{Chain, Head, Mac};
use super::segment::{self, Broken, MAX_BATCH_BYTES, SegmentReader, Step};
use super::space;
use super::{AuditError, Options};

const LOCK: &str = "lock";

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Records in the last segment, the one that was read.
    pub records: u64,
    /// Bytes of an unfinished batch that were cut off. Never part of an acknowledged record.
    pub torn_bytes: u64,
    pub last_n: u64,
    pub last_mac: Mac,
}

/// The segment that is written to.
pub(super) struct Active {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) segment: u64,
    /// What was used when this process began to write to it.
    pub(super) start: u64,
    /// Bytes that hold durable lines.
    pub(super) used: u64,
    /// Bytes that are on disk, zero beyond `used`.
    pub(super) length: u64,
}

pub(super) struct Opened {
    pub(super) active: Active,
    pub(super) head: Head,
    pub(super) recovery: Recovery,
    /// Held as long as the log is open.
    pub(super) lock: File,
}

pub(super) fn open(dir: &Path, chain: &Chain, options: &Options) -> Result<Opened, AuditError> {
    let lock = own(dir)?;
    space::discard(dir)?;
    let last = segment::list(dir)?.last().copied();
    let (active, head, records, torn_bytes) = match last {
        None => {
            let spare = space::prepare(dir, options.chunk_bytes, options.chunk_bytes)?;
            let head = chain.genesis();
            (begin(dir, chain, 1, &head, spare)?, head, 0, 0)
        }
        Some(segment) => resume(dir, chain, segment, options)?,
    };
    let recovery = Recovery { records, torn_bytes, last_n: head.n, last_mac: head.mac };
    Ok(Opened { active, head, recovery, lock })
}

/// Turns a spare into the segment that follows `head`. The header is on disk before the file has
/// its name, so a named segment without a good header is never a crash's doing.
pub(super) fn begin(
    dir: &Path,
    chain: &Chain,
    segment: u64,
    head: &Head,
    spare: space::Spare,
) -> Result<Active, AuditError> {
    let path = segment::path(dir, segment);
    let header = segment::header(chain, segment, head)?;
    let space::Spare { file, length } = spare;
    let written = file.write_all_at(&header, 0).and_then(|()| file.sync_data());
    written.map_err(|error| AuditError::io("writing the header of", &path, error))?;
    space::name(dir, &path)?;
    let used = header.len() as u64;
    Ok(Active { file, path, segment, start: used, used, length })
}

/// The directory, made if need be, closed to others and locked.
fn own(dir: &Path) -> Result<File, AuditError> {
    let failed = |error| AuditError::io("opening", dir, error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = dir.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AuditError::Exposed { dir: dir.to_owned(), mode });
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(dir.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn resume(
    dir: &Path,
    chain: &Chain,
    segment: u64,
    options: &Options,
) -> Result<(Active, Head, u64, u64), AuditError> {
    let mut reader = SegmentReader::open(dir, segment, Some(chain))?;
    let path = reader.path().to_owned();
    let mut records = 0;
    let torn = loop {
        match reader.next()? {
            Step::Record(..) => records += 1,
            Step::End => break None,
            Step::Broken(broken) => break Some(broken),
        }
    };
    let failed = |error| AuditError::io("recovering", &path, error);
    let mut torn_bytes = 0;
    if let Some(broken) = torn {
        torn_bytes =
            torn_length(&path, &broken).map_err(failed)?.ok_or_else(|| reader.tampered(&broken))?;
        tracing::warn!(file = %path.display(), torn_bytes, n = broken.n, what = broken.what,
            "cut off an unfinished batch at the end of the audit log");
    }
    let (used, head) = (reader.offset(), reader.head());
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
    // To the used length first: zeros over it come from the file system, not from our writes.
    file.set_len(used).and_then(|()| file.sync_all()).map_err(failed)?;
    let mut length = (used + options.chunk_bytes).min(options.segment_bytes.max(used));
    if let Err(error) = space::zero(&file, used, length).and_then(|()| file.sync_all()) {
        let error = failed(error);
        if !error.passes() {
            return Err(error);
        }
        // Starting is possible; appends say that the disk is full until it is not.
        tracing::warn!(%error, "the audit log starts without space");
        length = used;
    }
    Ok((Active { file, path, segment, start: used, used, length }, head, records, torn_bytes))
}

/// The length of an unfinished tail, or `None` if no crash can have left this.
fn torn_length(path: &Path, broken: &Broken) -> std::io::Result<Option<u64>> {
    let file = File::open(path)?;
    let mut rest = vec![0; usize::try_from(file.metadata()?.len() - broken.offset).unwrap_or(0)];
    file.read_exact_at(&mut rest, broken.offset)?;
    let end = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    // A whole line that does not verify is excused only as the very last thing in the log: whoever
    // could write it there could as well have cut it off, so nothing is gained by refusing to start.
    let last = rest.iter().position(|&byte| byte == b'\n').is_none_or(|newline| newline + 1 == end);
    let torn = end <= MAX_BATCH_BYTES && (broken.unfinished || last);
    Ok(torn.then_some(end as u64))
}
