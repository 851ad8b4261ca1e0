//! A store in memory, for tests and for `--store memory`.
use super::backend::{Backend, Commit, Digest, Mark, Revision, StoreError, Sum, Witness};
use super::ledger::Ledger;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Memory(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    rows: BTreeMap<Bytes, (Revision, Bytes)>,
    ledger: Option<Ledger>,
    state: Option<Bytes>,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing below can panic between two related changes but the witness, which runs last.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn unchanged(&self, read: &BTreeMap<Bytes, Revision>) -> bool {
        read.iter().all(|(key, seen)| {
            self.rows.get(key).map_or(Revision::default(), |(now, _)| *now) == *seen
        })
    }

    fn apply(&mut self, commit: Commit) {
        self.keep(self.ledger.as_ref().map(|ledger| ledger.after([&commit])));
        for (key, value) in commit.write {
            match value {
                Some(value) => self.rows.insert(key, (commit.revision, value)),
                None => self.rows.remove(&key),
            };
        }
    }

    fn keep(&mut self, ledger: Option<Ledger>) {
        self.state = ledger.as_ref().map(Ledger::seal).or(self.state.take());
        self.ledger = ledger;
    }
}

#[async_trait::async_trait]
impl Backend for Memory {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
        Ok(self.contents().rows.get(key).cloned())
    }

    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        // BTreeMap panics on a range that ends before it starts.
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let contents = self.contents();
        let rows = contents.rows.range(range).take(limit);
        Ok(rows.map(|(key, (revision, value))| (key.clone(), *revision, value.clone())).collect())
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if !contents.unchanged(&commit.read) {
            return Err(StoreError::Conflict);
        }
        contents.apply(commit);
        Ok(())
    }

    async fn state(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.contents().state.clone())
    }

    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
        self.contents().ledger = Some(Ledger::new(witness, start, last));
    }

    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
        let contents = self.contents();
        let mut digest = Digest::default();
        for (key, (revision, _)) in &contents.rows {
            digest += mark(key, *revision);
        }
        Ok(Sum { digest, rows: contents.rows.len() as u64, state: contents.state.clone() })
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let mut contents = self.contents();
        contents.rows.clear();
        contents.state = None;
        let ledger = contents.ledger.as_ref().map(Ledger::cleared);
        contents.keep(ledger);
        Ok(())
    }
}
