//! Checking a whole log: every bit of every segment, and that the segments are linked.
//!
//! What the files alone cannot show is that their end is missing: a log shortened by whole records
//! is itself a valid log. [`verify_anchored`] sees that too, with a [`Head`] kept elsewhere.

use std::path::Path;

use super::AuditError;
use super::chain::{Chain, Head};
use super::segment::{self, Broken, SegmentReader, Step};

/// A log in which everything verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub segments: u64,
    pub records: u64,
    pub bytes: u64,
    pub head: Head,
}

/// Reads all segments. A log that is being written may show an unfinished last line, which is
/// [`AuditError::Torn`]; try again, or open it first if a crash left it.
pub fn verify(dir: &Path, key: &[u8; 32], cluster: [u8; 16]) -> Result<Report, AuditError> {
    check(dir, key, cluster, None)
}

/// As [`verify`], and the log must contain the anchored record.
pub fn verify_anchored(
    dir: &Path,
    key: &[u8; 32],
    cluster: [u8; 16],
    anchor: &Head,
) -> Result<Report, AuditError> {
    check(dir, key, cluster, Some(anchor))
}

fn check(
    dir: &Path,
    key: &[u8; 32],
    cluster: [u8; 16],
    anchor: Option<&Head>,
) -> Result<Report, AuditError> {
    let chain = Chain::new(key, cluster);
    let numbers = segment::list(dir)?;
    let last = numbers.last().copied();
    let mut report = Report { segments: 0, records: 0, bytes: 0, head: chain.genesis() };
    compare(&report.head, anchor)?;
    for segment in numbers {
        if segment != report.segments + 1 {
            return Err(AuditError::MissingSegment { segment: report.segments + 1 });
        }
        check_segment(dir, &chain, segment, Some(segment) == last, anchor, &mut report)?;
    }
    match (last, anchor) {
        (None, _) => Err(AuditError::MissingSegment { segment: 1 }),
        (_, Some(anchor)) if anchor.n > report.head.n => {
            Err(AuditError::Shortened { last: report.head.n, anchored: anchor.n })
        }
        _ => Ok(report),
    }
}

fn check_segment(
    dir: &Path,
    chain: &Chain,
    segment: u64,
    last: bool,
    anchor: Option<&Head>,
    report: &mut Report,
) -> Result<(), AuditError> {
    let mut reader = SegmentReader::open(dir, segment, Some(chain))?;
    if reader.head() != report.head {
        let what = "does not follow the segment before it";
        let n = report.head.n + 1;
        return Err(AuditError::Tampered { file: reader.path().to_owned(), line: 1, n, what });
    }
    report.segments = segment;
    loop {
        match reader.next()? {
            Step::Record(head, _) => {
                report.head = head;
                report.records += 1;
                compare(&head, anchor)?;
            }
            Step::End => break,
            Step::Broken(Broken { line, offset, unfinished: true, .. }) if last => {
                return Err(AuditError::Torn { file: reader.path().to_owned(), line, offset });
            }
            Step::Broken(broken) => return Err(reader.tampered(&broken)),
        }
    }
    report.bytes += reader.offset();
    Ok(())
}

fn compare(head: &Head, anchor: Option<&Head>) -> Result<(), AuditError> {
    match anchor {
        Some(anchor) if anchor.n == head.n && anchor.mac != head.mac => {
            Err(AuditError::Replaced { n: head.n })
        }
        _ => Ok(()),
    }
}
