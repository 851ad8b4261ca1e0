//! The verifiable log: many callers append, one thread writes, a record is answered when durable.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::chain::{Chain, Head};
use super::gather::Wanted;
use super::recover::{self, Recovery};
use super::segment::{MAX_BATCH_BYTES, MAX_EVENT_BYTES};
use super::writer::{Request, Writer};
use super::{AuditError, Event};

/// A new segment is begun before a file grows over this.
const SEGMENT_BYTES: u64 = 64 << 20;
/// What is zeroed at start, before the first append: some 8000 records, a few milliseconds.
const CHUNK_BYTES: u64 = 8 << 20;
/// Appends that may wait for the writer; further callers wait for a place.
const QUEUE_RECORDS: usize = 1024;
/// A batch and a header must fit into a segment.
const MIN_SEGMENT_BYTES: u64 = 2 * MAX_BATCH_BYTES as u64;

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the record is on disk: it survives a power failure.
    #[default]
    Strict,
    /// When the operating system has it: it survives a crash of the server, and the sync follows.
    Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub durability: Durability,
    pub segment_bytes: u64,
    pub chunk_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Strict,
            segment_bytes: SEGMENT_BYTES,
            chunk_bytes: CHUNK_BYTES,
        }
    }
}

/// An open log. Dropping it waits for the writer to finish; prefer [`Log::close`], which says how
/// that went and does not block the runtime.
pub struct Log {
    dir: PathBuf,
    durable: Arc<Mutex<Head>>,
    /// Taken on drop, to end the writer.
    queue: Option<mpsc::Sender<Request>>,
    /// When the writer, which waits for more records, is to be woken.
    wanted: Arc<Wanted>,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// Opens or begins the log in a directory. Blocks: it reads the last segment.
    pub fn open(
        dir: &Path,
        key: &[u8; 32],
        cluster: [u8; 16],
    ) -> Result<(Self, Recovery), AuditError> {
        Self::open_with(dir, key, cluster, Options::default())
    }

    pub fn open_with(
        dir: &Path,
        key: &[u8; 32],
        cluster: [u8; 16],
        mut options: Options,
    ) -> Result<(Self, Recovery), AuditError> {
        options.segment_bytes = options.segment_bytes.max(MIN_SEGMENT_BYTES);
        options.chunk_bytes = options.chunk_bytes.clamp(MIN_SEGMENT_BYTES, options.segment_bytes);
        let chain = Chain::new(key, cluster);
        let opened = recover::open(dir, &chain, &options)?;
        let recovery = opened.recovery;
        let (queue, requests) = mpsc::channel(QUEUE_RECORDS);
        let writer = Writer::new(dir.to_owned(), chain, options, requests, opened);
        let (durable, wanted) = (writer.durable(), writer.wanted());
        let thread = std::thread::Builder::new().name("audit-writer".into());
        let writer = thread
            .spawn(move || writer.run())
            .map_err(|error| AuditError::io("starting a thread for", dir, error))?;
        let (dir, queue, writer) = (dir.to_owned(), Some(queue), Some(writer));
        Ok((Self { dir, durable, queue, wanted, writer }, recovery))
    }

    /// Appends one event and returns its number once it is durable. If the caller goes away in the
    /// meantime the record is written all the same.
    ///
    /// To be polled to its end or dropped: others' answers may lie in it.
    pub async fn append(&self, event: &Event) -> Result<u64, AuditError> {
        self.append_json(event.to_json()?).await
    }

    /// Appends an event that is already one line of JSON.
    pub async fn append_json(&self, event: Vec<u8>) -> Result<u64, AuditError> {
        if event.len() > MAX_EVENT_BYTES {
            return Err(AuditError::TooLarge { bytes: event.len(), limit: MAX_EVENT_BYTES });
        }
        // JSON escapes both inside strings; raw, they would be taken for the end of a line or file.
        if event.is_empty() || memchr::memchr2(b'\n', 0, &event).is_some() {
            return Err(AuditError::NotOneLine);
        }
        let (done, answer) = oneshot::channel();
        self.send(Request::Append { event, done }).await?;
        answer.await.map_err(|_| AuditError::Closed)?.result
    }

    /// The last durable record: keep it elsewhere, and [`verify_anchored`](super::verify_anchored)
    /// sees a log whose end was taken away.
    pub fn head(&self) -> Head {
        *self.durable.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes what is queued, cuts off the preallocated rest and unlocks the directory. Appends
    /// after this are refused.
    pub async fn close(&self) -> Result<(), AuditError> {
        let (done, closed) = oneshot::channel();
        self.send(Request::Close(done)).await?;
        closed.await.unwrap_or(Err(AuditError::Closed))
    }

    async fn send(&self, request: Request) -> Result<(), AuditError> {
        let queue = self.queue.as_ref().ok_or(AuditError::Closed)?;
        queue.send(request).await.map_err(|_| AuditError::Closed)?;
        let queued = queue.max_capacity() - queue.capacity();
        if let Some(writer) = self.writer.as_ref().filter(|_| self.wanted.are_there(queued)) {
            writer.thread().unpark();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) async fn sabotage(&self, file: std::fs::File) {
        self.send(Request::Sabotage(file)).await.unwrap();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.queue.take());
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the audit writer panicked");
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.dir).field("head", &self.head()).finish()
    }
}
