//! The embedded store: one file, one writing thread, readers that never wait for it.
use super::backend::{Backend, Commit, Digest, Mark, Revision, StoreError, Sum, Witness};
use super::engine::{Engine, Options};
use super::export::Export;
use super::ledger::Ledger;
use super::sum::sum;
use super::writer::{Answer, Installed, Job, Stopped, Writer};
use bytes::Bytes;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

/// Commits that may wait for the writer before their callers wait to hand them over.
const QUEUE_COMMITS: usize = 4096;

/// A scan of more rows than this leaves the async thread. A point read is about 2 µs and a
/// change of threads 10, so short scans stay.
const INLINE_SCAN_ROWS: usize = 64;

#[derive(Debug)]
pub struct Embedded {
    engine: Arc<Engine>,
    installed: Installed,
    stopped: Stopped,
    /// `None` only while dropping: the writer ends when the last sender is gone.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store in `dir`, creating its file. Blocks, for as long as a repair if the last
    /// process was killed. Fails if another process has it open.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, Options::default())
    }

    pub fn open_with(dir: &Path, options: Options) -> Result<Self, StoreError> {
        let engine = Arc::new(Engine::open(dir, options)?);
        let (installed, stopped) = (Installed::default(), Stopped::default());
        let (jobs, receiver) = mpsc::channel(QUEUE_COMMITS);
        let state = engine.state()?;
        let none = |e| StoreError::Unavailable(format!("no thread for the writer: {e}"));
        let writer =
            Writer::new(engine.clone(), receiver, installed.clone(), state, stopped.clone());
        let writer = writer.map_err(none)?;
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(none)?;
        Ok(Self { engine, installed, stopped, jobs: Some(jobs), writer: Some(writer) })
    }

    async fn send(&self, job: impl FnOnce(Answer) -> Job) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the writer has stopped".into());
        let (answer, outcome) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job(answer)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    /// Passes on what a read found. After one I/O error the engine refuses to read as well, so a
    /// store that is only read would never recover if nobody told the writer.
    fn noticed<T>(&self, found: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Err(StoreError::Unavailable(_) | StoreError::Full(_)), Some(jobs)) =
            (&found, &self.jobs)
        {
            // A full queue has writes in it, and they notice too.
            let _ = jobs.try_send(Job::Heal);
        }
        found
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &super::fault_tests::Faults {
        &self.engine.health.faults
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.map_err(|e| StoreError::Unavailable(e.to_string()))?
}

#[async_trait::async_trait]
impl Backend for Embedded {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
        self.noticed(self.engine.get(key))
    }

    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        if limit <= INLINE_SCAN_ROWS {
            return self.noticed(self.engine.scan(&range.start, &range.end, limit));
        }
        let engine = self.engine.clone();
        self.noticed(blocking(move || engine.scan(&range.start, &range.end, limit)).await)
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.send(|answer| Job::Commit(commit, answer)).await
    }

    async fn state(&self) -> Result<Option<Bytes>, StoreError> {
        self.noticed(self.engine.state())
    }

    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Ledger::new(witness, start, last));
    }

    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
        let (rows, state) = self.noticed(self.engine.snapshot())?;
        let summed = blocking(move || sum(&rows, &mark)).await;
        let (digest, rows) = self.noticed(summed)?;
        Ok(Sum { digest, rows, state })
    }

    fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        Ok(Box::new(self.noticed(self.engine.export())?))
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.send(Job::Clear).await
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        if self.jobs.as_ref().is_none_or(mpsc::Sender::is_closed) {
            return Err(StoreError::ReadOnly("the writer has stopped".into()));
        }
        self.stopped.get().map_or(Ok(()), |cause| Err(cause.clone()))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has already failed its callers.
            let _ = writer.join();
        }
        self.engine.close();
    }
}
