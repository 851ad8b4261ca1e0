//! Disk space made ready before it is needed.
//!
//! An `fdatasync` of bytes that overwrite written zeros needs no metadata, and costs less than half
//! of one that grows the file. So a segment is born as the file `spare`, zeroed and synced by a
//! thread of its own, and takes its name when it is needed. A separate file, because zeroing the tail
//! of the file in use would put its pages and its growing size into every record's sync.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::AuditError;

const SPARE: &str = "spare";
/// Zeros written between two syncs: few, so that a record's sync never waits long behind zeros.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];

/// A zeroed file without a name of its own yet.
pub(super) struct Spare {
    pub(super) file: File,
    pub(super) length: u64,
}

/// Zeroes a new spare file of `length` bytes. With less space than that on the disk the spare is
/// shorter, by whole chunks: the last of the space is better used than refused.
pub(super) fn prepare(dir: &Path, length: u64, chunk: u64) -> Result<Spare, AuditError> {
    prepare_paced(dir, length, chunk, &mut |_| true)
}

/// Asks before each piece, with the length the spare would then have, whether to go on or let it
/// end there.
fn prepare_paced(
    dir: &Path,
    length: u64,
    chunk: u64,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Spare, AuditError> {
    let path = dir.join(SPARE);
    let failed = |error| AuditError::io("preparing", &path, error);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    let mut ready = 0;
    while ready < length {
        let to = (ready + chunk).min(length);
        let reached = match zero_paced(&file, ready, to, go_on).map_err(failed) {
            Ok(reached) => reached,
            Err(error) if ready == 0 || !error.passes() => return Err(error),
            Err(_) => ready,
        };
        ready = reached;
        if reached < to {
            file.set_len(ready).map_err(failed)?;
            break;
        }
    }
    file.sync_all().map_err(failed)?;
    Ok(Spare { file, length: ready })
}

/// Makes a file's bytes from `from` to `to` zero and durable.
pub(super) fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    zero_paced(file, from, to, &mut |_| true).map(|_| ())
}

/// Returns how far it went.
fn zero_paced(
    file: &File,
    from: u64,
    to: u64,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> io::Result<u64> {
    // A full disk is told here at once, not after megabytes of zeros. Not every file system has it.
    match fallocate(file, FallocateFlags::empty(), from, to - from) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let mut at = from;
    while at < to {
        let length = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZEROS.len());
        if !go_on(at + length as u64) {
            break;
        }
        file.write_all_at(ZEROS.get(..length).unwrap_or(&ZEROS), at)?;
        file.sync_data()?;
        at += length as u64;
    }
    Ok(at)
}

/// A left-over spare of an earlier process.
pub(super) fn discard(dir: &Path) -> Result<(), AuditError> {
    let path = dir.join(SPARE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(AuditError::io("removing", &path, error))
        }
        _ => Ok(()),
    }
}

/// Gives the spare its name, durably.
pub(super) fn name(dir: &Path, path: &Path) -> Result<(), AuditError> {
    let failed = |error| AuditError::io("naming", path, error);
    std::fs::rename(dir.join(SPARE), path).map_err(failed)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

/// What the writer tells the thread that zeroes; hanging up means that the spare is needed now.
enum Pace {
    UpTo(u64),
    Stop,
}

/// A spare being prepared on a thread of its own, in step with the filling of the segment in use:
/// in one go it would keep the device from the records for a good part of a second.
pub(super) struct Ahead {
    thread: JoinHandle<Result<Spare, AuditError>>,
    pace: Sender<Pace>,
    length: u64,
    told: u64,
}

impl Ahead {
    /// `retired` is a full segment and its used length: its zeros are cut off first, also off the
    /// hot path. Should that fail, the zeros stay, and every reader takes them for the end.
    pub(super) fn start(
        dir: &Path,
        length: u64,
        chunk: u64,
        retired: Option<(File, u64)>,
    ) -> Result<Self, AuditError> {
        let owned = dir.to_owned();
        let (pace, paces) = channel();
        let job = move || {
            if let Some((file, used)) = retired
                && let Err(error) = file.set_len(used).and_then(|()| file.sync_all())
            {
                tracing::warn!(%error, "a full audit segment keeps its unused space");
            }
            let mut allowed = 0;
            prepare_paced(&owned, length, chunk, &mut |wanted| {
                while allowed < wanted {
                    match paces.recv() {
                        Ok(Pace::UpTo(bytes)) => allowed = bytes,
                        Ok(Pace::Stop) => return false,
                        // Needed now: a chunk is enough to go on with, and nobody waits longer.
                        Err(_) => return wanted <= chunk,
                    }
                }
                true
            })
        };
        let thread = std::thread::Builder::new().name("audit-space".into());
        let failed = |error| AuditError::io("starting a thread in", dir, error);
        Ok(Self { thread: thread.spawn(job).map_err(failed)?, pace, length, told: 0 })
    }

    /// Lets the spare grow to be whole when the segment in use is three quarters full.
    pub(super) fn keep_pace(&mut self, used: u64, of: u64) {
        let wanted = self.length.saturating_mul(used.saturating_mul(4)) / of.max(1) / 3;
        if wanted >= self.told + ZEROS.len() as u64 {
            self.told = wanted;
            _ = self.pace.send(Pace::UpTo(wanted)); // a thread that has ended needs no telling
        }
    }

    pub(super) fn wait(self, dir: &Path) -> Result<Spare, AuditError> {
        drop(self.pace);
        let died = || AuditError::io("preparing in", dir, io::Error::other("the thread panicked"));
        self.thread.join().unwrap_or_else(|_| Err(died()))
    }

    pub(super) fn stop(self) {
        _ = self.pace.send(Pace::Stop);
        _ = self.thread.join(); // the spare is discarded: how it ended no longer matters
    }
}
