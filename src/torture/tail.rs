//! Reads the audit log as anybody could: lines of JSON in numbered files, then zeros.
#![expect(clippy::indexing_slicing, reason = "a member that JSON lacks reads as null")]
use super::{Trouble, promise};
use serde_json::Value;
use std::path::Path;

/// Remembers how far it has read.
#[derive(Debug, Default)]
pub(super) struct Tail {
    segment: u64,
    offset: usize,
    last: u64,
}

impl Tail {
    /// The events that were logged since the last call. Every whole line must parse, and the numbers must
    /// have no gap.
    pub(super) fn read(&mut self, audit: &Path) -> Result<Vec<Value>, Trouble> {
        let mut events = Vec::new();
        self.segment = self.segment.max(1);
        loop {
            let path = audit.join(format!("{:08}.log", self.segment));
            let bytes = std::fs::read(&path).map_err(Trouble::setup(path.display()))?;
            let rest = bytes.get(self.offset..).unwrap_or_default();
            let rest = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            for line in rest.split_inclusive(|byte| *byte == b'\n') {
                if line.last() != Some(&b'\n') {
                    break;
                }
                self.offset += line.len();
                events.extend(self.event(line)?);
            }
            if !audit.join(format!("{:08}.log", self.segment + 1)).exists() {
                return Ok(events);
            }
            self.segment += 1;
            self.offset = 0;
        }
    }

    /// The event of a line; none for a segment's head.
    fn event(&mut self, line: &[u8]) -> Result<Option<Value>, Trouble> {
        let mut line: Value = serde_json::from_slice(line).map_err(|e| {
            Trouble::Violation(format!("audit log: {e}: {}", String::from_utf8_lossy(line)))
        })?;
        if line.get("segment").is_some() {
            return Ok(None);
        }
        self.last += 1;
        promise(line["n"].as_u64() == Some(self.last), || {
            format!("audit log: {} was to come: {line}", self.last)
        })?;
        Ok(Some(line["event"].take()))
    }
}
