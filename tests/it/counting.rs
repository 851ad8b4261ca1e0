//! A store in memory that counts what is read of it behind the cache, and fails to commit when it is
//! told to.
use bytes::Bytes;
use claviger::store::{Backend, Commit, Digest, Mark, Memory, Revision, StoreError, Sum, Witness};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::RwLock;

#[derive(Debug, Default)]
pub struct Counting {
    store: Memory,
    /// How often it was asked.
    pub read: AtomicUsize,
    /// How often for a row of each table.
    pub tables: Mutex<HashMap<Vec<u8>, usize>>,
    /// How long it takes for a row.
    pub takes: Mutex<Duration>,
    /// How many rows it answered.
    pub rows: AtomicUsize,
    /// What commits answer, and whether they are made all the same.
    pub commits: Mutex<Option<(StoreError, bool)>>,
    /// While a test holds this for itself, commits wait.
    pub gate: RwLock<()>,
    /// While a test holds this for itself, whoever asks for a row waits.
    pub reads: RwLock<()>,
}

#[async_trait::async_trait]
impl Backend for Counting {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
        let _open = self.reads.read().await;
        self.read.fetch_add(1, Ordering::SeqCst);
        self.rows.fetch_add(1, Ordering::SeqCst);
        let table = key.split(|byte| *byte == 0).next().unwrap_or_default();
        *self.tables.lock().unwrap().entry(table.to_vec()).or_default() += 1;
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.store.get(key).await
    }
    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        let rows = self.store.scan(range, limit).await?;
        self.rows.fetch_add(rows.len(), Ordering::SeqCst);
        Ok(rows)
    }
    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let _open = self.gate.read().await;
        let told = self.commits.lock().unwrap().clone();
        let made = told.as_ref().is_none_or(|(_, made)| *made);
        if made {
            self.store.commit(commit).await?;
        }
        told.map_or(Ok(()), |(error, _)| Err(error))
    }
    async fn state(&self) -> Result<Option<Bytes>, StoreError> {
        self.store.state().await
    }
    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
        self.store.install(witness, start, last);
    }
    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
        self.store.sum(mark).await
    }
    async fn clear(&self) -> Result<(), StoreError> {
        self.store.clear().await
    }
}
