//! The one thread that writes: it makes whatever is waiting durable together.
//!
//! A sync costs the same for one commit as for a hundred, so the writer takes all that has
//! arrived, applies it in order in one engine transaction, syncs once and answers everyone.
use super::backend::{Commit, StoreError};
use super::engine::{self, Engine, ROWS, STATE};
use super::ledger::Ledger;
use crate::failpoints::{self, Point};
use bytes::Bytes;
use redb::{Error, ReadableTable, Table, WriteTransaction};
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// Bounds how long the first commit of a group waits for the last, and the engine's dirty pages.
const GROUP_COMMITS: usize = 1024;
const GROUP_BYTES: u64 = 4 << 20;

/// Free space a group needs to start: its copied pages, the engine's books, and the slack that
/// lets an operator still log in.
const ROOM_BYTES: u64 = 8 << 20;
/// A row rewrites its page and, at worst, the path to it.
const ROOM_PER_ROW_BYTES: u64 = 16 << 10;

/// A reopening may repair the whole file; do not do that on every request.
const REOPEN_INTERVAL: Duration = Duration::from_secs(1);

pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;

#[derive(Debug)]
pub(super) enum Job {
    Commit(Commit, Answer),
    Clear(Answer),
    /// A reader found the engine refusing to read after an I/O error.
    Heal,
}

/// A ledger that waits to be taken over by the writer.
pub(super) type Installed = Arc<Mutex<Option<Ledger>>>;

/// Why nothing may be written any more, once that is so.
pub(super) type Stopped = Arc<OnceLock<StoreError>>;

#[derive(Debug)]
enum Condition {
    Sound,
    /// The engine failed in the middle of a group. If that was applied, this is what it stored.
    Unsettled {
        attempt: Option<(Ledger, Bytes)>,
        tried: Option<Instant>,
        cause: StoreError,
    },
    /// Nothing may be written any more: for good.
    Stopped(StoreError),
}

pub(super) struct Writer {
    engine: Arc<Engine>,
    jobs: mpsc::Receiver<Job>,
    installed: Installed,
    ledger: Option<Ledger>,
    /// The state bytes of the last group known to be durable.
    state: Option<Bytes>,
    condition: Condition,
    stopped: Stopped,
    held: Option<Job>,
    /// Waits for jobs, but not for ever.
    waiting: Runtime,
    /// Something was written since the engine last recorded its pages.
    is_checkpoint_due: bool,
}

impl Writer {
    pub(super) fn new(
        engine: Arc<Engine>,
        jobs: mpsc::Receiver<Job>,
        installed: Installed,
        state: Option<Bytes>,
        stopped: Stopped,
    ) -> io::Result<Self> {
        Ok(Self {
            engine,
            jobs,
            installed,
            ledger: None,
            state,
            condition: Condition::Sound,
            stopped,
            held: None,
            waiting: tokio::runtime::Builder::new_current_thread().enable_time().build()?,
            is_checkpoint_due: false,
        })
    }

    /// Works until the last sender is gone and everything sent is answered.
    pub(super) fn run(mut self) {
        while let Some(job) = self.held.take().or_else(|| self.next()) {
            match job {
                Job::Commit(commit, answer) => {
                    let (commits, answers) = self.gather(commit, answer);
                    self.take_installed();
                    failpoints::reach(Point::StoreGroup);
                    let outcomes = self.commit(&commits);
                    failpoints::reach(Point::StoreCommitted);
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // Whoever no longer listens has given up waiting, not the commit.
                        let _ = answer.send(outcome);
                    }
                }
                Job::Clear(answer) => {
                    self.take_installed();
                    let _ = answer.send(self.clear());
                }
                Job::Heal => self.heal(),
            }
        }
    }

    /// The next job, or none when the last sender is gone. A pause is used.
    fn next(&mut self) -> Option<Job> {
        if self.is_checkpoint_due || self.engine.health.take_repaired() {
            self.is_checkpoint_due = true;
            let quiet = self.engine.options.quiet;
            let soon = async { tokio::time::timeout(quiet, self.jobs.recv()).await };
            if let Ok(next) = self.waiting.block_on(soon) {
                return next;
            }
            self.is_checkpoint_due = false;
            self.checkpoint();
        }
        self.jobs.blocking_recv()
    }

    /// Lets the engine record its pages, if there is room. It changes nothing that anybody waits for.
    fn checkpoint(&mut self) {
        let room = ROOM_BYTES + self.engine.checkpoint_bytes();
        if matches!(self.condition, Condition::Sound)
            && self.engine.require_room(room).is_ok()
            && let Err(cause) = self.engine.checkpoint()
        {
            self.fail(cause, None);
            // The engine refuses reads as well until then.
            let _ = self.settle();
        }
    }

    /// The first commit and those that wait behind it, up to the caps or the first other job.
    fn gather(&mut self, commit: Commit, answer: Answer) -> (Vec<Commit>, Vec<Answer>) {
        let mut bytes = size(&commit);
        let (mut commits, mut answers) = (vec![commit], vec![answer]);
        while commits.len() < GROUP_COMMITS && bytes < GROUP_BYTES {
            match self.jobs.try_recv() {
                Ok(Job::Commit(commit, answer)) => {
                    bytes += size(&commit);
                    commits.push(commit);
                    answers.push(answer);
                }
                Ok(other) => {
                    self.held = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        (commits, answers)
    }

    /// Read after the group was gathered: a commit sent after `install` returned is under it.
    fn take_installed(&mut self) {
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ledger = installed.or(self.ledger.take());
    }

    fn commit(&mut self, commits: &[Commit]) -> Vec<Result<(), StoreError>> {
        let rows: usize = commits.iter().map(|commit| commit.write.len()).sum();
        let bytes: u64 = commits.iter().map(size).sum();
        let room = ROOM_BYTES + rows as u64 * ROOM_PER_ROW_BYTES + 4 * bytes;
        let mut applied = Vec::new();
        let ledger = self.ledger.clone();
        let written = self.write(room, |transaction| {
            applied = apply(transaction, commits)?;
            let commits = commits.iter().zip(&applied).filter(|(_, applied)| **applied);
            let after = ledger.map(|ledger| ledger.after(commits.map(|(commit, _)| commit)));
            Ok((applied.contains(&true), after))
        });
        match written {
            Ok(()) => applied
                .iter()
                .map(|applied| if *applied { Ok(()) } else { Err(StoreError::Conflict) })
                .collect(),
            Err(e) => vec![Err(e); commits.len()],
        }
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        let ledger = self.ledger.as_ref().map(Ledger::cleared);
        self.write(ROOM_BYTES, |transaction| {
            transaction.delete_table(ROWS)?;
            transaction.open_table(ROWS)?;
            // Without a witness there is nobody to vouch for the emptied store.
            transaction.open_table(STATE)?.remove(())?;
            Ok((true, ledger))
        })?;
        if self.ledger.is_none() {
            self.state = None;
        }
        Ok(())
    }

    /// One durable engine transaction: `change`, and the seal of the ledger it leads to.
    fn write(
        &mut self,
        room: u64,
        change: impl FnOnce(&WriteTransaction) -> Result<(bool, Option<Ledger>), Error>,
    ) -> Result<(), StoreError> {
        self.settle()?;
        self.engine.require_room(room)?;
        let mut attempt = None;
        let written = self.engine.write(|transaction| {
            let (changed, ledger) = change(transaction)?;
            if let Some(ledger) = ledger.filter(|_| changed) {
                let seal = ledger.seal();
                transaction.open_table(STATE)?.insert((), &*seal)?;
                attempt = Some((ledger, seal));
            }
            Ok(changed)
        });
        // `Full` promises that nothing was written; half-way through, nobody knows.
        let written = written.map_err(|e| match e {
            StoreError::Full(text) => StoreError::Unavailable(format!("while writing: {text}")),
            other => other,
        });
        self.is_checkpoint_due = true;
        match &written {
            Ok(()) => self.adopt(attempt),
            Err(cause) => self.fail(cause.clone(), attempt),
        }
        written
    }

    fn adopt(&mut self, attempt: Option<(Ledger, Bytes)>) {
        if let Some((ledger, seal)) = attempt {
            self.ledger = Some(ledger);
            self.state = Some(seal);
        }
    }

    fn fail(&mut self, cause: StoreError, attempt: Option<(Ledger, Bytes)>) {
        if self.engine.health.sync_failed() {
            // The kernel may have dropped what it could not write: only a restart, which reads
            // the disk and not our memory, can tell what is there.
            self.stop(format!("a sync failed: {cause}"));
        } else if matches!(cause, StoreError::Corrupt(_)) {
            // Writing on would spread the damage.
            self.stop(cause.to_string());
        } else {
            self.condition = Condition::Unsettled { attempt, tried: None, cause };
        }
    }

    fn stop(&mut self, why: String) -> StoreError {
        tracing::error!(why, "the store takes no further writes");
        let cause = StoreError::ReadOnly(why);
        // The first reason stands.
        let _ = self.stopped.set(cause.clone());
        self.condition = Condition::Stopped(cause.clone());
        cause
    }

    fn heal(&mut self) {
        if matches!(self.condition, Condition::Sound) {
            // An engine that would still write has nothing to recover from.
            let Err(cause) = self.engine.write(|_| Ok(false)) else { return };
            self.fail(cause, None);
        }
        // The next read or write reports what came of it.
        let _ = self.settle();
    }

    /// Makes the engine usable again after an I/O error, and finds out how its last group ended.
    #[expect(
        clippy::disallowed_methods,
        reason = "elapsed time between two attempts, not a moment"
    )]
    fn settle(&mut self) -> Result<(), StoreError> {
        match &mut self.condition {
            Condition::Sound => return Ok(()),
            Condition::Stopped(cause) => return Err(cause.clone()),
            Condition::Unsettled { tried, cause, .. } => {
                if tried.is_some_and(|tried| tried.elapsed() < REOPEN_INTERVAL) {
                    return Err(cause.clone());
                }
                *tried = Some(Instant::now());
            }
        }
        let now = match self.engine.reopen().and_then(|()| self.engine.state()) {
            Ok(now) => now,
            Err(e) if self.engine.health.sync_failed() || matches!(e, StoreError::Corrupt(_)) => {
                self.fail(e.clone(), None);
                return Err(e);
            }
            Err(e) => return Err(e),
        };
        let Condition::Unsettled { attempt, .. } =
            std::mem::replace(&mut self.condition, Condition::Sound)
        else {
            return Ok(());
        };
        if attempt.as_ref().is_some_and(|(_, seal)| now.as_ref() == Some(seal)) {
            self.adopt(attempt);
        } else if now != self.state {
            return Err(self.stop("the store changed while it was reopened".into()));
        }
        Ok(())
    }
}

/// Which of the commits took effect. A refused one has changed nothing.
fn apply(transaction: &WriteTransaction, commits: &[Commit]) -> Result<Vec<bool>, Error> {
    let mut rows = transaction.open_table(ROWS)?;
    commits
        .iter()
        .map(|commit| {
            let unchanged = unchanged(&rows, commit)?;
            if unchanged {
                put(&mut rows, commit)?;
            }
            Ok(unchanged)
        })
        .collect()
}

fn unchanged(rows: &Table<'_, &[u8], &[u8]>, commit: &Commit) -> Result<bool, Error> {
    for (key, seen) in &commit.read {
        let now = rows.get(&**key)?.map(|row| engine::revision(row.value())).transpose()?;
        if now.unwrap_or_default() != *seen {
            return Ok(false);
        }
    }
    Ok(true)
}

fn put(rows: &mut Table<'_, &[u8], &[u8]>, commit: &Commit) -> Result<(), Error> {
    for (key, value) in &commit.write {
        match value {
            Some(value) => rows.insert(&**key, &*engine::encode(commit.revision, value))?,
            None => rows.remove(&**key)?,
        };
    }
    Ok(())
}

fn size(commit: &Commit) -> u64 {
    let row = |(key, value): (&Bytes, &Option<Bytes>)| {
        (key.len() + value.as_ref().map_or(0, Bytes::len)) as u64
    };
    commit.write.iter().map(row).sum()
}
