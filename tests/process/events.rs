//! Reads the audit log as anybody could: lines of JSON in numbered files, then zeros.
use serde_json::Value;
use std::path::Path;

/// The events of all whole lines after `from` bytes of each segment's… of the whole log, in order.
/// Every line must parse and the numbers must have no gap.
pub fn read(audit: &Path) -> Vec<Value> {
    let mut tail = Tail::default();
    tail.read(audit)
}

/// Remembers how far it has read.
#[derive(Debug, Default)]
pub struct Tail {
    segment: u64,
    offset: usize,
    last: u64,
}

impl Tail {
    /// What was logged since the last call.
    pub fn read(&mut self, audit: &Path) -> Vec<Value> {
        let mut events = Vec::new();
        self.segment = self.segment.max(1);
        loop {
            let bytes = std::fs::read(audit.join(format!("{:08}.log", self.segment))).unwrap();
            let rest = bytes.get(self.offset..).unwrap();
            let used = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            for line in rest[..used].split_inclusive(|byte| *byte == b'\n') {
                if line.last() != Some(&b'\n') {
                    break;
                }
                self.offset += line.len();
                let mut line: Value = serde_json::from_slice(line)
                    .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
                if line.get("segment").is_some() {
                    continue;
                }
                self.last += 1;
                assert_eq!(line["n"].as_u64(), Some(self.last), "{line}");
                assert_eq!(line["mac"].as_str().map(str::len), Some(64), "{line}");
                events.push(line["event"].take());
            }
            if !audit.join(format!("{:08}.log", self.segment + 1)).exists() {
                return events;
            }
            self.segment += 1;
            self.offset = 0;
        }
    }
}
