//! The one task of a node that commits: what has queued up goes to the database together. It tries
//! again what the database threw back, and finds out what became of a commit whose answer was lost.
use super::attempt::{Applied, Committing, Failure, Head, Open, Work};
use super::known::{Installed, Known};
use super::nodes::{self, Lease};
use super::pool::{OwnGroup, Pool};
use super::trouble::Trouble;
use crate::store::{Changes, Commit, StoreError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Bounds how long the first commit of a group waits for the last.
const GROUP_COMMITS: usize = 512;
const GROUP_BYTES: usize = 4 << 20;
/// How long a group is tried again.
const PATIENCE: Duration = Duration::from_secs(8);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A sixth of a node's lease on its slot.
const RENEWAL: Duration = Duration::from_secs(10);
/// Commits wait for it.
const RENEWAL_DEADLINE: Duration = Duration::from_secs(3);
const TRIM_INTERVAL: Duration = Duration::from_secs(30);
const TRIM_DEADLINE: Duration = Duration::from_secs(3);
/// Commits wait for it: so few at a time, and none that another node is trimming.
const TRIM: &str = "DELETE FROM feed WHERE sequence IN (SELECT sequence FROM feed \
    WHERE committed_at < now() - interval '10 minutes' \
    ORDER BY committed_at LIMIT 2000 FOR UPDATE SKIP LOCKED)";
const TRIMMED_AT_MOST: u64 = 2000;

pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;

#[derive(Debug)]
pub(super) enum Job {
    Commit(Commit, Answer, Instant),
    Clear(Answer),
}

#[derive(Debug)]
pub(super) struct Committer {
    pool: Arc<Pool>,
    lease: Lease,
    jobs: mpsc::Receiver<Job>,
    held: Option<Job>,
    installed: Arc<Mutex<Option<Installed>>>,
    connection: Option<Committing>,
    /// Numbers this incarnation's groups.
    groups: u64,
    known: Known,
    trimmed: Option<Instant>,
}

impl Committer {
    pub(super) fn new(
        pool: Arc<Pool>,
        lease: Lease,
        jobs: mpsc::Receiver<Job>,
        installed: Arc<Mutex<Option<Installed>>>,
    ) -> Self {
        Self {
            pool,
            lease,
            jobs,
            held: None,
            installed,
            connection: None,
            groups: 0,
            known: Known::default(),
            trimmed: None,
        }
    }

    /// Works until the last sender is gone and everything sent is answered.
    pub(super) async fn run(mut self) {
        let mut renewal = interval(RENEWAL);
        // Those that were missed while commits had to wait are not made up for.
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let job = match self.held.take() {
                Some(job) => Some(job),
                None => tokio::select! {
                    job = self.jobs.recv() => job,
                    _ = renewal.tick() => {
                        self.renew().await;
                        continue;
                    }
                },
            };
            match job {
                None => return,
                Some(Job::Commit(commit, answer, since)) => self.serve(commit, answer, since).await,
                Some(Job::Clear(answer)) => {
                    let outcome = self.persist(Work::Clear, now()).await.map(drop);
                    let _ = answer.send(outcome);
                }
            }
        }
    }

    async fn serve(&mut self, commit: Commit, answer: Answer, since: Instant) {
        let (mut commits, mut answers, mut size) = (Vec::new(), Vec::new(), 0);
        let mut oldest: Option<Instant> = None;
        let mut next = Some(Job::Commit(commit, answer, since));
        while let Some(job) = next.take() {
            match job {
                Job::Commit(commit, answer, since) => {
                    // Whoever sent it has been told that its outcome is unknown.
                    if since.elapsed() < super::COMMIT_PATIENCE {
                        size += bytes_of(&commit);
                        commits.push(commit);
                        answers.push(answer);
                        oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
                    }
                }
                other @ Job::Clear(_) => {
                    self.held = Some(other);
                    break;
                }
            }
            if commits.len() < GROUP_COMMITS && size < GROUP_BYTES {
                next = self.jobs.try_recv().ok();
            }
        }
        // Not of one that was left out: those who came long after it would be tried once only.
        let Some(since) = oldest else { return };
        match self.persist(Work::Commits(&commits), since).await {
            Ok(outcomes) => {
                for (answer, applied) in answers.into_iter().zip(outcomes) {
                    // Whoever no longer listens has given up waiting, not the commit.
                    let _ = answer.send(if applied { Ok(()) } else { Err(StoreError::Conflict) });
                }
            }
            Err(error) => answers.into_iter().for_each(|answer| {
                let _ = answer.send(Err(error.clone()));
            }),
        }
        self.trim().await;
    }

    /// Tries until the work is done, is refused, or its time is up.
    async fn persist(&mut self, work: Work<'_>, since: Instant) -> Result<Vec<bool>, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.pool.check_writable()?;
            let trouble = match self.attempt(work).await {
                Ok(applied) => return Ok(self.adopt(applied)),
                Err(Failure::Unknown(open, applied)) => {
                    self.connection = None;
                    if self.settle(&open).await? {
                        return Ok(self.adopt(applied));
                    }
                    Trouble::Again("the connection was lost before the commit".into())
                }
                Err(Failure::Nothing(trouble)) => trouble,
            };
            match &trouble {
                Trouble::Again(_) => {}
                Trouble::Lost(_) => self.connection = None,
                Trouble::Refused(error) => {
                    self.connection = None;
                    return Err(self.refused(error.clone()));
                }
            }
            if since.elapsed() > PATIENCE {
                return Err(trouble.into());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn refused(&self, error: StoreError) -> StoreError {
        if let StoreError::Corrupt(text) | StoreError::ReadOnly(text) = &error {
            self.pool.stop(text);
        }
        error
    }

    async fn attempt(&mut self, work: Work<'_>) -> Result<Applied, Failure> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.session.client.is_closed() => connection,
            _ => Committing::connect(&self.pool.connector).await?,
        };
        let connection = self.connection.insert(connection);
        self.groups += 1;
        let group_id = [
            &self.lease.slot.to_be_bytes()[..],
            &self.lease.incarnation.to_be_bytes(),
            &self.groups.to_be_bytes(),
        ]
        .concat();
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let own = self.known.own.as_ref().map_or(0, |(number, _)| *number);
        let ledger = |head: &Head| self.known.open(head, installed);
        connection.attempt(work, self.lease, own, group_id, ledger).await
    }

    fn adopt(&mut self, applied: Applied) -> Vec<bool> {
        self.known.sequence = self.known.sequence.max(applied.sequence);
        self.known.last = self.known.last.max(applied.last);
        self.pool.reached.fetch_max(self.known.last.0, Ordering::SeqCst);
        self.known.is_sealed |= applied.sealed;
        // What is in memory is no longer all of one moment, until the follower has come to it.
        if let (Ok(sequence), Some(what)) = (self.pool.saw(applied.sequence), applied.what) {
            self.known.own = Some((applied.sequence, applied.group_id.clone()));
            let changes = Changes { sequence, what };
            self.pool.committed(OwnGroup { changes, group_id: applied.group_id });
        }
        self.pool.connector.changed.notify_one();
        applied.outcomes
    }

    /// Asks until it is known, whatever the database answers that does not tell. No later group begins
    /// before. Any error leaves it unknown.
    async fn settle(&mut self, open: &Open) -> Result<bool, StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = async {
                let connection = Committing::connect(&self.pool.connector).await?;
                let committed = connection.find_out(open).await?;
                Ok::<_, Trouble>((connection, committed))
            };
            match asked.await {
                Ok((connection, Some(committed))) => {
                    tracing::info!(committed, "found out how a commit ended");
                    self.connection = Some(connection);
                    return Ok(committed);
                }
                Ok((_, None)) => return Err(unknown("the feed no longer tells")),
                Err(trouble) => {
                    tracing::warn!(?trouble, "a commit's outcome is still unknown");
                    if let Trouble::Refused(error) = trouble {
                        self.refused(error);
                    }
                }
            }
            // Nor does it come to be known where this node has no place any more.
            self.pool.check_writable().map_err(|error| unknown(&error.to_string()))?;
            if self.jobs.is_closed() {
                return Err(unknown("the store is closed"));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn renew(&mut self) {
        if self.pool.check_writable().is_err() {
            return;
        }
        let renewed = async {
            let connection = match self.connection.take() {
                Some(connection) if !connection.session.client.is_closed() => connection,
                _ => Committing::connect(&self.pool.connector).await?,
            };
            let renewal = nodes::renew(&connection.session.client, self.lease);
            let late = |_| Trouble::late("renewing the lease");
            timeout(RENEWAL_DEADLINE, renewal).await.map_err(late)??;
            Ok::<_, Trouble>(connection)
        };
        match renewed.await {
            Ok(connection) => self.connection = Some(connection),
            Err(Trouble::Refused(error)) => drop(self.refused(error)),
            // The next one is in time, or the slot is lost.
            Err(trouble) => tracing::warn!(?trouble, "the node's lease was not renewed"),
        }
    }

    async fn trim(&mut self) {
        if self.trimmed.is_some_and(|trimmed| trimmed.elapsed() < TRIM_INTERVAL) {
            return;
        }
        self.trimmed = Some(now());
        let Some(connection) = &self.connection else { return };
        let trimming = connection.session.client.execute(TRIM, &[]);
        // A database that stands still must not keep the commits that wait.
        let late = |_| Trouble::late("trimming the feed");
        let trimmed = timeout(TRIM_DEADLINE, trimming).await.map_err(late);
        match trimmed.and_then(|trimmed| trimmed.map_err(Trouble::from)) {
            // There is more to trim, after the next group.
            Ok(TRIMMED_AT_MOST) => self.trimmed = None,
            Ok(_) => {}
            Err(trouble) => {
                tracing::warn!(?trouble, "the change feed was not trimmed");
                self.connection = None;
            }
        }
    }
}

/// Not what the reason is otherwise answered with: that would say that nothing was written.
fn unknown(why: &str) -> StoreError {
    StoreError::Unavailable(format!("it is not known how a commit ended: {why}"))
}

fn bytes_of(commit: &Commit) -> usize {
    let row = |(key, value): (&bytes::Bytes, &Option<bytes::Bytes>)| {
        key.len() + value.as_ref().map_or(0, bytes::Bytes::len)
    };
    commit.write.iter().map(row).sum()
}

#[expect(clippy::disallowed_methods, reason = "elapsed time from here on, not a moment")]
pub(super) fn now() -> Instant {
    Instant::now()
}
