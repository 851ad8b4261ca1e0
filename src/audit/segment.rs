//! The format of a segment file, and a reader that checks every byte of one.
//!
//! ```text
//! {"segment":2,"first":7001,"prev":"<mac 7000>","cluster":"<hex>","format":1,"mac":"<header mac>"}
//! {"n":7001,"mac":"<64 hex>","event":{…}}
//! {"n":7002,"mac":"<64 hex>","event":{…}}
//! zeros up to the preallocated length (cut off when the segment is closed)
//! ```
//!
//! The framing has exactly one spelling, so the MAC over the event covers, with it, every bit.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::AuditError;
use super::chain::{Chain, Head, Mac};

/// CloudTrail's own limit for one event.
pub(super) const MAX_EVENT_BYTES: usize = 256 * 1024;
/// An event with its framing: the prefix, a number of at most 20 digits, the MAC.
pub(super) const MAX_LINE_BYTES: usize = MAX_EVENT_BYTES + 128;
/// What one write carries at most; so also what an interrupted one can leave in question.
pub(super) const MAX_BATCH_BYTES: usize = 512 * 1024;
const FORMAT: u32 = 1;
const READ_BYTES: usize = 64 * 1024;

const N: &[u8] = b"{\"n\":";
const MAC: &[u8] = b",\"mac\":\"";
const EVENT: &[u8] = b"\",\"event\":";
const END: &[u8] = b"}\n";

pub(super) fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}.log"))
}

/// The numbers of the segments in a directory, ascending.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, AuditError> {
    let failed = |error| AuditError::io("listing", dir, error);
    let mut numbers = Vec::new();
    for entry in dir.read_dir().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        // Only our own spelling: a copy named 1.log is not the segment 00000001.log.
        numbers.extend(number.filter(|&k| Some(name.as_os_str()) == path(dir, k).file_name()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    segment: u64,
    first: u64,
    prev: String,
    cluster: String,
    format: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

/// The header line of a segment that begins after `previous`.
pub(super) fn header(chain: &Chain, segment: u64, previous: &Head) -> Result<Vec<u8>, AuditError> {
    let encode = |line: &HeaderLine| {
        serde_json::to_vec(line).map_err(|error| AuditError::Encode(error.into()))
    };
    let mut line = HeaderLine {
        segment,
        first: previous.n + 1,
        prev: previous.mac.to_string(),
        cluster: hex::encode(chain.cluster()),
        format: FORMAT,
        mac: None,
    };
    line.mac = Some(chain.header(&encode(&line)?).to_string());
    let mut bytes = encode(&line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Appends one record's line to a buffer.
pub(super) fn render(into: &mut Vec<u8>, head: &Head, event: &[u8]) {
    into.extend_from_slice(N);
    // Writing to a Vec does not fail.
    _ = write!(into, "{}", head.n);
    into.extend_from_slice(MAC);
    into.extend_from_slice(&head.mac.hex());
    into.extend_from_slice(EVENT);
    into.extend_from_slice(event);
    into.extend_from_slice(END);
}

fn parse(line: &[u8]) -> Option<(Head, &[u8])> {
    let rest = line.strip_prefix(N)?;
    let (digits, rest) = rest.split_at_checked(rest.iter().position(|&byte| byte == b',')?)?;
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    if n.to_string().as_bytes() != digits {
        return None; // a leading zero or a sign
    }
    let (mac, rest) = rest.strip_prefix(MAC)?.split_at_checked(64)?;
    let event = rest.strip_prefix(EVENT)?.strip_suffix(END)?;
    Some((Head { n, mac: Mac::parse(mac)? }, event))
}

/// One step of reading a segment.
pub(super) enum Step<'a> {
    Record(Head, &'a [u8]),
    /// The end of the file, or nothing but zeros up to it.
    End,
    Broken(Broken),
}

/// The first line that is not what it must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broken {
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) n: u64,
    pub(super) what: &'static str,
    /// It has a hole of zeros or no end: a write that did not finish can leave that.
    pub(super) unfinished: bool,
}

/// Reads one segment from its header on. With a chain it accepts only what the key has signed;
/// without, it checks form and numbering.
pub(super) struct SegmentReader {
    path: PathBuf,
    reader: BufReader<File>,
    chain: Option<Chain>,
    line: Vec<u8>,
    line_number: u64,
    offset: u64,
    head: Head,
}

impl SegmentReader {
    pub(super) fn open(
        dir: &Path,
        segment: u64,
        chain: Option<&Chain>,
    ) -> Result<Self, AuditError> {
        let path = path(dir, segment);
        let file = File::open(&path).map_err(|error| AuditError::io("opening", &path, error))?;
        let mut reader = Self {
            path,
            reader: BufReader::with_capacity(READ_BYTES, file),
            chain: chain.cloned(),
            line: Vec::new(),
            line_number: 0,
            offset: 0,
            head: Head { n: 0, mac: Mac([0; 32]) },
        };
        reader.read_header(segment)?;
        Ok(reader)
    }

    /// The last record read; before the first, what the header says it follows.
    pub(super) fn head(&self) -> Head {
        self.head
    }

    /// Where the last good line ends.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn tampered(&self, broken: &Broken) -> AuditError {
        let Broken { line, n, what, .. } = *broken;
        AuditError::Tampered { file: self.path.clone(), line, n, what }
    }

    fn read_header(&mut self, segment: u64) -> Result<(), AuditError> {
        self.read_line().map_err(|error| AuditError::io("reading", &self.path, error))?;
        let bad = |what| AuditError::Tampered { file: self.path.clone(), line: 1, n: 0, what };
        let header: HeaderLine =
            serde_json::from_slice(&self.line).map_err(|_| bad("not a segment header"))?;
        let previous = Mac::parse(header.prev.as_bytes()).zip(header.first.checked_sub(1));
        let (mac, n) = previous.ok_or_else(|| bad("not a segment header"))?;
        self.head = Head { n, mac };
        if header.segment != segment || header.format != FORMAT {
            return Err(bad("header of another segment or format"));
        }
        if let Some(chain) = &self.chain {
            if header.cluster != hex::encode(chain.cluster()) {
                return Err(bad("header of another cluster"));
            }
            if self.line != self::header(chain, segment, &self.head)? {
                return Err(bad("header altered, or the key is not this log's"));
            }
        }
        self.line_number = 1;
        self.offset = self.line.len() as u64;
        Ok(())
    }

    pub(super) fn next(&mut self) -> Result<Step<'_>, AuditError> {
        let ended = self.step_over().map_err(|e| AuditError::io("reading", &self.path, e))?;
        if ended {
            return Ok(Step::End);
        }
        let broken = |what, unfinished| {
            let (line, n) = (self.line_number + 1, self.head.n + 1);
            Ok(Step::Broken(Broken { line, offset: self.offset, n, what, unfinished }))
        };
        let hole = self.line.contains(&0);
        if self.line.last() != Some(&b'\n') {
            return broken("no end of line", hole || self.line.len() < MAX_LINE_BYTES);
        }
        let Some((head, event)) = parse(&self.line) else {
            return broken("not a record", hole);
        };
        if head.n != self.head.n + 1 {
            return broken("out of sequence", hole);
        }
        if self.chain.as_ref().is_some_and(|chain| !chain.follows(&self.head, event, &head)) {
            return broken("the MAC does not match", hole);
        }
        self.head = head;
        self.line_number += 1;
        self.offset += self.line.len() as u64;
        Ok(Step::Record(head, event))
    }

    /// Reads a line; true at the end of what is written. A line that begins with a zero is the
    /// preallocated rest, unless something follows the zeros: then it is left as a broken line.
    fn step_over(&mut self) -> io::Result<bool> {
        self.read_line()?;
        if self.line.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        loop {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                return Ok(true);
            }
            if block.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            let length = block.len();
            self.reader.consume(length);
        }
    }

    fn read_line(&mut self) -> io::Result<()> {
        self.line.clear();
        let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES as u64);
        limited.read_until(b'\n', &mut self.line).map(|_| ())
    }
}
