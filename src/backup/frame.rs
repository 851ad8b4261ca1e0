//! Frames, one after the other, each with the digest of everything before it and of itself.
use super::BackupError;
use crate::failpoints::{self, Point};
use crate::store::{Revision, SealedRow};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"CLVRBKUP";
pub(super) const FORMAT: u8 = 1;
/// More than any frame has: rows are gathered up to a megabyte, and no row is as large as the rest, as no request
/// is. Whoever reads a file that somebody made up holds some times as much, for rows of a few bytes.
const MAX_PAYLOAD_BYTES: u32 = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    State = 2,
    Rows = 3,
    End = 4,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Header, Self::State, Self::Rows, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

type Chain = [u8; 32];

fn start() -> Chain {
    Sha256::new().chain_update(MAGIC).chain_update([FORMAT]).finalize().into()
}

fn next(chain: &Chain, kind: u8, length: [u8; 4], payload: &[u8]) -> Chain {
    let hash = Sha256::new().chain_update(chain).chain_update([kind]).chain_update(length);
    hash.chain_update(payload).finalize().into()
}

#[derive(Debug)]
pub(super) struct FrameWriter<W> {
    out: W,
    path: PathBuf,
    chain: Chain,
}

impl<W: Write> FrameWriter<W> {
    /// `path` is for messages.
    pub(super) fn new(mut out: W, path: &Path) -> Result<Self, BackupError> {
        let written = out.write_all(MAGIC).and_then(|()| out.write_all(&[FORMAT]));
        written.map_err(BackupError::io(path))?;
        Ok(Self { out, path: path.to_owned(), chain: start() })
    }

    pub(super) fn write(&mut self, kind: Kind, payload: &[u8]) -> Result<(), BackupError> {
        let length = u32::try_from(payload.len()).ok().filter(|l| *l <= MAX_PAYLOAD_BYTES);
        let length = length.ok_or_else(|| BackupError::Io {
            path: self.path.clone(),
            what: format!("{} bytes are more than a frame may have", payload.len()),
        })?;
        let length = length.to_be_bytes();
        let kind = kind as u8;
        self.chain = next(&self.chain, kind, length, payload);
        let mut write = || {
            failpoints::strike(Point::BackupFrame)?;
            self.out.write_all(&[kind])?;
            self.out.write_all(&length)?;
            self.out.write_all(payload)?;
            self.out.write_all(&self.chain)
        };
        write().map_err(BackupError::io(&self.path))
    }

    /// The digest of all that was written.
    pub(super) fn digest(&self) -> Chain {
        self.chain
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

#[derive(Debug)]
pub(super) struct FrameReader<R> {
    input: R,
    path: PathBuf,
    chain: Chain,
    /// Where the next frame begins.
    offset: u64,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(mut input: R, path: &Path) -> Result<Self, BackupError> {
        let mut head = [0; 9];
        read_exact(&mut input, &mut head, path, 0)?;
        let [magic @ .., format] = &head;
        if magic != MAGIC {
            return Err(BackupError::broken(path, "is no backup of claviger"));
        }
        if *format != FORMAT {
            let what = format!("has format {format}, and this version reads {FORMAT}");
            return Err(BackupError::broken(path, what));
        }
        Ok(Self { input, path: path.to_owned(), chain: start(), offset: head.len() as u64 })
    }

    pub(super) fn next(&mut self) -> Result<(Kind, Vec<u8>), BackupError> {
        let at = self.offset;
        let damaged = |what: &str| {
            BackupError::broken(&self.path, format!("is damaged: the frame at byte {at} {what}"))
        };
        let mut head = [0; 5];
        read_exact(&mut self.input, &mut head, &self.path, at)?;
        let [kind, length @ ..] = head;
        let size = u32::from_be_bytes(length);
        if size > MAX_PAYLOAD_BYTES {
            return Err(damaged("says that it is longer than any"));
        }
        // Grows with what is there, so that a length alone costs nothing.
        let mut payload = Vec::new();
        let limited = self.input.by_ref().take(u64::from(size)).read_to_end(&mut payload);
        limited.map_err(BackupError::io(&self.path))?;
        if payload.len() as u64 != u64::from(size) {
            return Err(ends_early(&self.path, at));
        }
        let mut digest = [0; 32];
        read_exact(&mut self.input, &mut digest, &self.path, at)?;
        self.chain = next(&self.chain, kind, length, &payload);
        if self.chain != digest {
            return Err(damaged("has another digest than it was written with"));
        }
        let kind =
            Kind::of(kind).ok_or_else(|| damaged("is of a kind that this version has not"))?;
        self.offset += (head.len() + payload.len() + digest.len()) as u64;
        Ok((kind, payload))
    }

    /// The digest of all that was read.
    pub(super) fn digest(&self) -> Chain {
        self.chain
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Refuses what stands behind the last frame.
    pub(super) fn end(&mut self) -> Result<(), BackupError> {
        let more = self.input.read(&mut [0]).map_err(BackupError::io(&self.path))?;
        match more {
            0 => Ok(()),
            _ => Err(BackupError::broken(&self.path, "has something behind its end")),
        }
    }
}

fn read_exact(
    input: &mut impl Read,
    out: &mut [u8],
    path: &Path,
    at: u64,
) -> Result<(), BackupError> {
    input.read_exact(out).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => ends_early(path, at),
        _ => BackupError::io(path)(error),
    })
}

fn ends_early(path: &Path, at: u64) -> BackupError {
    let what = format!("is not whole: it ends in what begins at byte {at}");
    BackupError::broken(path, what)
}

/// The payload of a frame of rows.
pub(super) fn encode_rows(rows: &[SealedRow]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (key, revision, value) in rows {
        // Both are far below 4 GB: a frame of more is not written.
        payload.extend_from_slice(&(key.len() as u32).to_be_bytes());
        payload.extend_from_slice(key);
        payload.extend_from_slice(&revision.0.to_be_bytes());
        payload.extend_from_slice(&(value.len() as u32).to_be_bytes());
        payload.extend_from_slice(value);
    }
    payload
}

/// None if it is not the payload of a frame of rows.
pub(super) fn decode_rows(payload: Vec<u8>) -> Option<Vec<SealedRow>> {
    let mut rest = Bytes::from(payload);
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let key = take_sized(&mut rest)?;
        let revision = u64::from_be_bytes(*take(&mut rest, 8)?.first_chunk()?);
        let value = take_sized(&mut rest)?;
        rows.push((key, Revision(revision), value));
    }
    Some(rows)
}

fn take(rest: &mut Bytes, count: usize) -> Option<Bytes> {
    (count <= rest.len()).then(|| rest.split_to(count))
}

fn take_sized(rest: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(*take(rest, 4)?.first_chunk()?);
    take(rest, usize::try_from(length).ok()?)
}
