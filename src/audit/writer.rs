//! The thread that owns the end of the log: it chains, writes and syncs, a batch at a time.
//!
//! A batch is whatever has queued up while the one before was synced (group commit), and under load
//! what comes within at most two milliseconds more ([`gather`]): a lone caller waits for one sync and
//! many share one. The chain's head moves only when a batch is durable; one that fails leaves no trace
//! but a tail that is zeroed again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::chain::{Chain, Head};
use super::gather::{self, Gather, Wanted};
use super::recover::{self, Active, Opened};
use super::segment::{self, MAX_BATCH_BYTES, MAX_EVENT_BYTES, MAX_LINE_BYTES};
use super::space::{self, Ahead};
use super::{AuditError, Durability, Options};
use crate::failpoints::{self, Point};

/// Records taken from the queue at once.
const MAX_BATCH_RECORDS: usize = 1024;

/// What a waiter hears: its record's number, and one of each batch the rest of the batch with it.
pub(super) struct Answer {
    pub(super) result: Result<u64, AuditError>,
    _others: Option<Batch>,
}

/// Waiters that are answered when this is dropped.
///
/// The writer hands it to the first of them, who wakes the others from within its runtime: measured
/// at 1.1 µs of CPU a record, against 1.7 for waking each from the writer's thread (a lock and often
/// a system call each) and 2.0 for a shared `watch`. Dropped unread, it answers all the same.
struct Batch {
    result: Result<(), AuditError>,
    waiters: Vec<Waiter>,
}

struct Waiter {
    n: u64,
    done: oneshot::Sender<Answer>,
}

impl Waiter {
    fn answer(self, result: &Result<(), AuditError>, others: Option<Batch>) {
        let result = result.clone().map(|()| self.n);
        // Refused if the caller has gone away: then the answer, and a batch in it, drops here.
        _ = self.done.send(Answer { result, _others: others });
    }
}

impl Batch {
    fn hand_over(result: Result<(), AuditError>, mut waiters: Vec<Waiter>) {
        if let Some(spokesman) = waiters.pop() {
            let others = Self { result: result.clone(), waiters };
            spokesman.answer(&result, Some(others));
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for waiter in self.waiters.drain(..) {
            waiter.answer(&self.result, None);
        }
    }
}

pub(super) enum Request {
    Append {
        event: Vec<u8>,
        done: oneshot::Sender<Answer>,
    },
    Close(oneshot::Sender<Result<(), AuditError>>),
    /// Lets a test swap the file for one that cannot be written.
    #[cfg(test)]
    Sabotage(File),
}

pub(super) struct Writer {
    dir: PathBuf,
    chain: Chain,
    options: Options,
    queue: mpsc::Receiver<Request>,
    /// The last durable record, shared with `Log::head`.
    durable: Arc<Mutex<Head>>,
    /// The last record in `lines`; equal to the durable head between batches.
    head: Head,
    active: Active,
    ahead: Option<Ahead>,
    lines: Vec<u8>,
    waiters: Vec<Waiter>,
    failed: Option<AuditError>,
    gather: Gather,
    /// Shared with `Log::send`.
    wanted: Arc<Wanted>,
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        dir: PathBuf,
        chain: Chain,
        options: Options,
        queue: mpsc::Receiver<Request>,
        opened: Opened,
    ) -> Self {
        let Opened { active, head, lock, .. } = opened;
        Self {
            dir,
            chain,
            options,
            queue,
            durable: Arc::new(Mutex::new(head)),
            head,
            active,
            ahead: None,
            lines: Vec::with_capacity(MAX_BATCH_BYTES + MAX_LINE_BYTES),
            waiters: Vec::new(),
            failed: None,
            gather: Gather::default(),
            wanted: Arc::default(),
            _lock: lock,
        }
    }

    pub(super) fn durable(&self) -> Arc<Mutex<Head>> {
        Arc::clone(&self.durable)
    }

    pub(super) fn wanted(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted)
    }

    /// Runs until the log is closed or dropped.
    pub(super) fn run(mut self) {
        let mut requests = Vec::with_capacity(MAX_BATCH_RECORDS);
        loop {
            // Whoever is there already came while the batch before was synced.
            let in_company = !self.queue.is_empty();
            if self.queue.blocking_recv_many(&mut requests, MAX_BATCH_RECORDS) == 0 {
                break;
            }
            if let Some(enough) = self.gather.waits(requests.len(), in_company) {
                let in_time = self.wait_for_company(enough.saturating_sub(requests.len()));
                while requests.len() < MAX_BATCH_RECORDS
                    && let Ok(request) = self.queue.try_recv()
                {
                    requests.push(request);
                }
                if in_time {
                    self.gather.learn(requests.len());
                }
            }
            for request in requests.drain(..) {
                match request {
                    Request::Append { event, done } => self.add(&event, done),
                    Request::Close(done) => {
                        self.flush();
                        let closed = self.close();
                        // The lock goes first: whoever hears of the close may open at once.
                        drop(self);
                        _ = done.send(closed);
                        return;
                    }
                    #[cfg(test)]
                    Request::Sabotage(file) => self.active.file = file,
                }
            }
            self.flush();
        }
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the audit log was not closed cleanly");
        }
    }

    /// Sleeps until the queue has so many records, or for as long as a batch waits at most. False if it slept longer:
    /// a processor that was away tells nothing of how many callers there are.
    #[expect(clippy::disallowed_methods, reason = "elapsed time, not a moment")]
    fn wait_for_company(&self, missing: usize) -> bool {
        let began = Instant::now();
        self.wanted.set(missing);
        while self.queue.len() < missing
            && let Some(left) = gather::LONGEST.checked_sub(began.elapsed())
        {
            // Woken by whoever adds the last one that is missing; or for nothing, and then once more.
            std::thread::park_timeout(left);
        }
        self.wanted.clear();
        began.elapsed() < gather::OVERSLEPT
    }

    fn add(&mut self, event: &[u8], done: oneshot::Sender<Answer>) {
        if self.lines.len() + event.len() + (MAX_LINE_BYTES - MAX_EVENT_BYTES) > MAX_BATCH_BYTES {
            self.flush();
        }
        self.head = self.chain.next(&self.head, event);
        segment::render(&mut self.lines, &self.head, event);
        self.waiters.push(Waiter { n: self.head.n, done });
    }

    /// Makes the batch durable and answers its waiters, all alike.
    fn flush(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.commit(),
        };
        self.lines.clear();
        match result {
            Ok(()) => self.settle(),
            Err(error) => {
                self.head = self.durable_head();
                Batch::hand_over(Err(error), std::mem::take(&mut self.waiters));
            }
        }
    }

    fn commit(&mut self) -> Result<(), AuditError> {
        let outcome = self.write();
        let Err(error) = outcome else { return Ok(()) };
        if error.passes() {
            tracing::warn!(%error, "audit records refused for want of space");
            return Err(error);
        }
        tracing::error!(%error, "the audit log failed; every call is refused until restart");
        let failed = AuditError::Failed { cause: error.into() };
        self.failed = Some(failed.clone());
        Err(failed)
    }

    fn write(&mut self) -> Result<(), AuditError> {
        let end = self.active.used + self.lines.len() as u64;
        if end > self.active.length {
            self.roll()?;
        }
        let at = self.active.used;
        if let Err(error) = self.write_lines(at) {
            let error = AuditError::io("writing", &self.active.path, error);
            return Err(if error.passes() { self.rewind().err().unwrap_or(error) } else { error });
        }
        if self.options.durability == Durability::Written {
            self.settle();
        }
        // Never retried, full disk or not: after one failed sync the kernel may call pages clean
        // that it could not write, and the next sync would succeed over a hole.
        let synced =
            failpoints::strike(Point::AuditSync).and_then(|()| self.active.file.sync_data());
        synced.map_err(|error| AuditError::Io {
            doing: "syncing",
            path: self.active.path.clone(),
            source: error.into(),
        })?;
        failpoints::reach(Point::AuditSynced);
        self.active.used = at + self.lines.len() as u64;
        if self.ahead.is_none() {
            self.prepare_ahead(None);
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.keep_pace(
                self.active.used - self.active.start,
                self.active.length - self.active.start,
            );
        }
        Ok(())
    }

    fn write_lines(&self, at: u64) -> io::Result<()> {
        failpoints::strike(Point::AuditWrite)?;
        if failpoints::tears(Point::AuditTorn) {
            let (half, _) = self.lines.split_at(self.lines.len() / 2);
            self.active.file.write_all_at(half, at)?;
            failpoints::reach(Point::AuditTorn);
        }
        self.active.file.write_all_at(&self.lines, at)
    }

    /// The batch is safe: moves the head and wakes whoever waits.
    fn settle(&mut self) {
        *self.durable.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = self.head;
        Batch::hand_over(Ok(()), std::mem::take(&mut self.waiters));
    }

    /// Undoes a write that ran out of space: zeros over what it left, or the file cut there.
    fn rewind(&mut self) -> Result<(), AuditError> {
        let Active { file, path, used, length, .. } = &mut self.active;
        let end = *used + self.lines.len() as u64;
        let undone = space::zero(file, *used, end).or_else(|_| {
            *length = *used;
            file.set_len(*used).and_then(|()| file.sync_all())
        });
        undone.map_err(|error| AuditError::Io {
            doing: "undoing a write to",
            path: path.clone(),
            source: error.into(),
        })
    }

    /// Goes on in the next segment. Waits for its space only if appends outran the zeroing.
    fn roll(&mut self) -> Result<(), AuditError> {
        let chunk_bytes = self.options.chunk_bytes;
        let spare = match self.ahead.take() {
            Some(ahead) => ahead.wait(&self.dir).ok(),
            None => None,
        };
        // What failed ahead may be long past, a disk that was full: now it counts. Only a chunk,
        // because callers wait for it.
        let spare = match spare {
            Some(spare) => spare,
            None => space::prepare(&self.dir, chunk_bytes, chunk_bytes)?,
        };
        let durable = self.durable_head();
        let segment = self.active.segment + 1;
        let next = recover::begin(&self.dir, &self.chain, segment, &durable, spare)?;
        let full = std::mem::replace(&mut self.active, next);
        self.prepare_ahead(Some((full.file, full.used)));
        Ok(())
    }

    fn prepare_ahead(&mut self, retired: Option<(File, u64)>) {
        let Options { segment_bytes, chunk_bytes, .. } = self.options;
        match Ahead::start(&self.dir, segment_bytes, chunk_bytes, retired) {
            Ok(ahead) => self.ahead = Some(ahead),
            // Not a reason to refuse records: `roll` then makes the space itself.
            Err(error) => tracing::warn!(%error, "no audit segment is prepared ahead"),
        }
    }

    fn durable_head(&self) -> Head {
        *self.durable.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Cuts the unused space off. After a failure the file is left as it is, for the next start to
    /// judge.
    fn close(&mut self) -> Result<(), AuditError> {
        if let Some(ahead) = self.ahead.take() {
            ahead.stop();
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        space::discard(&self.dir)?;
        let Active { file, path, used, .. } = &self.active;
        file.set_len(*used)
            .and_then(|()| file.sync_all())
            .map_err(|error| AuditError::io("closing", path, error))
    }
}
