//! The connections for reads. Each is shared: statements of many calls travel in it one behind the
//! other. What is lost is made anew, and a read that was lost with it is asked again.
use super::session::{Connector, Session};
use super::trouble::Trouble;
use crate::store::{Changes, StoreError};
use futures_util::future::{try_join, try_join5};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Row, Statement, types::ToSql};

/// How long a call waits for its rows, over all attempts.
const READ_DEADLINE: Duration = Duration::from_secs(4);
/// One attempt. A paused server acknowledges bytes and answers nothing.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(1500);
/// One that runs ends itself before: else it would run on when nobody waits for it any more, beside those
/// that are to do better.
const STATEMENT_DEADLINE: &str = "SET statement_timeout = '1200ms'";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Who is further behind asks.
const OWN_GROUPS: usize = 64;

/// `head`'s sequence comes with every row: it tells that others have committed.
const GET: &str = "SELECT h.sequence, r.revision, r.value \
    FROM (SELECT sequence FROM head ORDER BY sequence DESC LIMIT 1) h \
    LEFT JOIN rows r ON r.key = $1";
const SCAN: &str = "SELECT key, revision, value FROM rows WHERE key >= $1 AND key < $2 \
    ORDER BY key LIMIT $3";
/// From the group itself on that was told last, to see that it is the same one still.
const FEED: &str = "SELECT h.sequence, f.sequence, \
    CASE WHEN f.sequence > $1 THEN f.keys END, f.group_id \
    FROM (SELECT sequence FROM head ORDER BY sequence DESC LIMIT 1) h \
    LEFT JOIN feed f ON f.sequence >= $1 AND f.sequence <= h.sequence AND h.sequence - $1 <= $2 \
    ORDER BY f.sequence";
const REVISIONS: &str = "SELECT key, revision FROM rows WHERE key = ANY($1)";
const STATE: &str = "SELECT sequence, state FROM head ORDER BY sequence DESC LIMIT 1";

/// The questions that there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Query {
    Get,
    Scan,
    Feed,
    Revisions,
    State,
}

#[derive(Debug)]
struct Reader {
    session: Session,
    get: Statement,
    scan: Statement,
    feed: Statement,
    revisions: Statement,
    state: Statement,
}

impl Reader {
    async fn connect(connector: &Connector, listens: bool) -> Result<Self, Trouble> {
        let session = connector.connect().await?;
        let client = &session.client;
        let listen =
            if listens { format!("; LISTEN {}", connector.schema()) } else { String::new() };
        let first = format!("{STATEMENT_DEADLINE}{listen}");
        // Sent together: a database may be far away.
        let ((), get, scan, feed, (revisions, state)) = try_join5(
            client.batch_execute(&first),
            client.prepare(GET),
            client.prepare(SCAN),
            client.prepare(FEED),
            try_join(client.prepare(REVISIONS), client.prepare(STATE)),
        )
        .await?;
        Ok(Self { session, get, scan, feed, revisions, state })
    }

    fn statement(&self, query: Query) -> &Statement {
        match query {
            Query::Get => &self.get,
            Query::Scan => &self.scan,
            Query::Feed => &self.feed,
            Query::Revisions => &self.revisions,
            Query::State => &self.state,
        }
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) connector: Arc<Connector>,
    readers: Vec<Mutex<Option<Arc<Reader>>>>,
    turn: AtomicUsize,
    seen: AtomicU64,
    /// How far the sealed state was with the last group that this node has committed.
    pub(super) reached: AtomicU64,
    /// The newest groups that this node has committed, in their order.
    own: std::sync::Mutex<VecDeque<OwnGroup>>,
    /// Why this node may not write any more.
    stopped: OnceLock<String>,
}

/// What this node has committed.
#[derive(Debug)]
pub(super) struct OwnGroup {
    pub(super) changes: Changes,
    pub(super) group_id: Vec<u8>,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, connections: usize) -> Self {
        let readers = (0..connections.max(1)).map(|_| Mutex::default()).collect();
        Self {
            connector,
            readers,
            turn: AtomicUsize::new(0),
            seen: AtomicU64::new(0),
            reached: AtomicU64::new(0),
            own: std::sync::Mutex::default(),
            stopped: OnceLock::new(),
        }
    }

    /// Writing on would spread the damage, or be another node's business. For good.
    pub(super) fn stop(&self, why: &str) {
        if self.stopped.set(why.into()).is_ok() {
            tracing::error!(why, "the store takes no further writes");
        }
    }

    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        self.stopped.get().map_or(Ok(()), |why| Err(StoreError::ReadOnly(why.clone())))
    }

    /// The highest sequence that a read has come upon.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    /// Notes the sequence that came with a row.
    pub(super) fn saw(&self, sequence: i64) -> Result<u64, StoreError> {
        let sequence = u64::try_from(sequence)
            .map_err(|_| StoreError::Corrupt("the head's sequence is negative".into()))?;
        self.seen.fetch_max(sequence, Ordering::SeqCst);
        Ok(sequence)
    }

    /// Notes what this node has committed.
    pub(super) fn committed(&self, group: OwnGroup) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= OWN_GROUPS {
            own.pop_front();
        }
        own.push_back(group);
    }

    /// The group that comes next after `after`, if it is this node's.
    pub(super) fn own(&self, after: u64) -> Option<OwnGroup> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        while own.front().is_some_and(|group| group.changes.sequence <= after) {
            own.pop_front();
        }
        let next = own.front().is_some_and(|group| group.changes.sequence == after + 1);
        if next { own.pop_front() } else { None }
    }

    /// Asks until there is an answer or the deadline has passed.
    pub(super) async fn ask(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let mut last = Trouble::late("reading");
        let attempts = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.attempt(query, parameters).await {
                    Ok(rows) => return Ok(rows),
                    Err(Trouble::Refused(error)) => return Err(error),
                    Err(trouble) => last = trouble,
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        match timeout(READ_DEADLINE, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(last.into()),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of readers")]
    async fn attempt(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Trouble> {
        let at = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        let reader = self.reader(at).await?;
        let asked = reader.session.client.query(reader.statement(query), parameters);
        let outcome = match timeout(ATTEMPT_DEADLINE, asked).await {
            Ok(outcome) => outcome.map_err(Trouble::from),
            Err(_) => Err(Trouble::late("reading")),
        };
        if matches!(outcome, Err(Trouble::Lost(_))) {
            let mut place = self.readers[at].lock().await;
            if place.as_ref().is_some_and(|there| Arc::ptr_eq(there, &reader)) {
                *place = None;
            }
        }
        outcome
    }

    /// Those who wait for the same connection wait for one attempt at it.
    #[expect(clippy::indexing_slicing, reason = "`at` is below the number of readers")]
    async fn reader(&self, at: usize) -> Result<Arc<Reader>, Trouble> {
        let mut place = self.readers[at].lock().await;
        if let Some(reader) = place.as_ref().filter(|reader| !reader.session.client.is_closed()) {
            return Ok(reader.clone());
        }
        let reader = Arc::new(Reader::connect(&self.connector, at == 0).await?);
        *place = Some(reader.clone());
        Ok(reader)
    }
}
