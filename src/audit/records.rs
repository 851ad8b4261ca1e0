//! Reading a log back, for tools, tests and the replay of the outbox.
//!
//! Reading needs no key and so checks form and numbering only; whether the log is genuine is for
//! `Log::open` (its last segment) and `verify` (all of it) to say.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::AuditError;
use super::segment::{self, SegmentReader, Step};

/// The records of a log from one number on, oldest first, with their events as JSON.
pub struct Records {
    dir: PathBuf,
    from: u64,
    /// Segments still to be read, newest first.
    segments: Vec<u64>,
    reader: Option<SegmentReader>,
}

/// Records `from` and later. Works on a log that is being written: it ends at the last whole line.
pub fn read_from(dir: &Path, from: u64) -> Result<Records, AuditError> {
    let mut wanted = Vec::new();
    for segment in segment::list(dir)?.into_iter().rev() {
        wanted.push(segment);
        if SegmentReader::open(dir, segment, None)?.head().n < from {
            break;
        }
    }
    Ok(Records { dir: dir.to_owned(), from, segments: wanted, reader: None })
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Records {
    fn step(&mut self) -> Result<Option<(u64, Vec<u8>)>, AuditError> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(segment) = self.segments.pop() else { return Ok(None) };
                self.reader = Some(SegmentReader::open(&self.dir, segment, None)?);
                continue;
            };
            match reader.next()? {
                Step::Record(head, event) if head.n >= self.from => {
                    return Ok(Some((head.n, event.to_vec())));
                }
                Step::Record(..) => {}
                Step::End => self.reader = None,
                Step::Broken(broken) if broken.unfinished && self.segments.is_empty() => {
                    self.reader = None;
                }
                Step::Broken(broken) => return Err(reader.tampered(&broken)),
            }
        }
    }
}

impl Iterator for Records {
    type Item = Result<(u64, Vec<u8>), AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.reader = None;
            self.segments.clear();
        }
        step.transpose()
    }
}

/// How far the store had come when the log's last record was written; none in an empty log.
pub fn last_store_revision(dir: &Path, last_n: u64) -> Result<Option<u64>, AuditError> {
    #[derive(Deserialize)]
    struct Anchor {
        #[serde(rename = "storeRevision")]
        store_revision: Option<u64>,
    }
    let mut found = None;
    for record in read_from(dir, last_n)? {
        let (_, event) = record?;
        let anchor: Anchor =
            serde_json::from_slice(&event).map_err(|e| AuditError::Encode(e.into()))?;
        found = found.max(anchor.store_revision);
    }
    Ok(found)
}

/// The event ids of all records after `since`: what an outbox need not write again.
pub fn event_ids_after(dir: &Path, since: u64) -> Result<HashSet<String>, AuditError> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(rename = "eventID")]
        event_id: Option<String>,
    }
    let mut ids = HashSet::new();
    for record in read_from(dir, since.saturating_add(1))? {
        let (_, event) = record?;
        let id: Id = serde_json::from_slice(&event).map_err(|e| AuditError::Encode(e.into()))?;
        ids.extend(id.event_id);
    }
    Ok(ids)
}

/// The event of this id, as JSON: the newest segments are searched first.
pub fn find(dir: &Path, event_id: &str) -> Result<Option<Vec<u8>>, AuditError> {
    #[derive(Deserialize)]
    struct Id<'a> {
        #[serde(rename = "eventID", borrow)]
        event_id: Option<Cow<'a, str>>,
    }
    for segment in segment::list(dir)?.into_iter().rev() {
        let mut reader = SegmentReader::open(dir, segment, None)?;
        while let Step::Record(_, event) = reader.next()? {
            let id: Id<'_> =
                serde_json::from_slice(event).map_err(|e| AuditError::Encode(e.into()))?;
            if id.event_id.as_deref() == Some(event_id) {
                return Ok(Some(event.to_vec()));
            }
        }
    }
    Ok(None)
}

/// The number of the last whole record; none in an empty log.
pub fn last_number(dir: &Path) -> Result<Option<u64>, AuditError> {
    let Some(last) = segment::list(dir)?.pop() else { return Ok(None) };
    let mut reader = SegmentReader::open(dir, last, None)?;
    while let Step::Record(..) = reader.next()? {}
    Ok(Some(reader.head().n))
}
