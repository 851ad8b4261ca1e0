//! The store in PostgreSQL, which many nodes share. Each commits through one connection; the lock on
//! one row, the head, orders all commits of all nodes.
mod attempt;
mod committer;
mod feed;
mod group;
mod hosts;
mod known;
mod nodes;
mod pool;
mod registry;
mod schema;
mod session;
mod trouble;

#[cfg(test)]
mod back_tests;
#[cfg(test)]
#[path = "../../../tests/databases/mod.rs"]
#[expect(dead_code, unused_imports, reason = "integration tests use the rest of it")]
mod databases;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod node_tests;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod tests;

pub use nodes::{Lease, NodeIdentity};
pub use registry::{Node, Nodes, SharedCopy, copy_in, discard_unfinished};
pub use session::Settings;

use super::backend::{Backend, Commit, Digest, Feed, Mark, Revision, StoreError, Sum, Witness};
use super::ledger::Ledger;
use attempt::{revision, revision_of};
use bytes::Bytes;
use committer::{Answer, Committer, Job, now};
use feed::ChangeFeed;
use futures_util::TryStreamExt;
use known::Installed;
use pool::{Pool, Query};
use session::Connector;
use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use trouble::Trouble;

/// Commits that may wait before their callers wait to hand them over.
const QUEUE_COMMITS: usize = 4096;
/// How long a caller waits for the outcome of a commit. After it the outcome is unknown to the caller.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);
/// A start may have to wait for a node that holds the head's lock.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Rows that are read before others have a turn on this thread.
const ROWS_AT_ONCE: u64 = 1024;

#[derive(Debug)]
pub struct Postgres {
    pool: Arc<Pool>,
    lease: Lease,
    nodes: Arc<Nodes>,
    installed: Arc<Mutex<Option<Installed>>>,
    /// Whether there was a sealed state when all rows were last walked over.
    is_sealed: AtomicBool,
    jobs: mpsc::Sender<Job>,
}

impl Postgres {
    /// Connects, makes the tables if there are none, and takes a slot among the nodes. `new`: whether
    /// the deployment is being made, so that the database may be empty. Fails with `ReadOnly` if the
    /// database is another deployment's or its tables another version's.
    pub async fn open(
        settings: &Settings,
        cluster: [u8; 16],
        node: &NodeIdentity,
        new: bool,
    ) -> Result<Self, StoreError> {
        let connector = Arc::new(Connector::new(settings, cluster)?);
        let start = async {
            connector.prepare_database(new).await?;
            let session = connector.connect().await?;
            nodes::claim(&session.client, node).await
        };
        let started = timeout(START_DEADLINE, start).await;
        let lease = started.map_err(|_| Trouble::late("starting"))??;
        let nodes = Nodes::new(connector.clone(), cluster, node.id.clone(), lease);
        let pool = Arc::new(Pool::new(connector, settings.connections));
        let installed = Arc::default();
        let (jobs, receiver) = mpsc::channel(QUEUE_COMMITS);
        let committer = Committer::new(pool.clone(), lease, receiver, Arc::clone(&installed));
        tokio::spawn(committer.run());
        let nodes = Arc::new(nodes);
        Ok(Self { pool, lease, nodes, installed, is_sealed: AtomicBool::new(false), jobs })
    }

    /// The node's place among the deployment's nodes.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// The deployment's nodes.
    pub fn nodes(&self) -> Arc<Nodes> {
        self.nodes.clone()
    }

    async fn send(&self, job: impl FnOnce(Answer) -> Job) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the committer has stopped".into());
        let (answer, outcome) = oneshot::channel();
        let sent = async {
            self.jobs.send(job(answer)).await.map_err(|_| stopped())?;
            outcome.await.map_err(|_| stopped())?
        };
        timeout(COMMIT_PATIENCE, sent).await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the commit's outcome is not known yet".into()))
        })
    }
}

#[async_trait::async_trait]
impl Backend for Postgres {
    async fn get(&self, key: &[u8]) -> Result<Option<(Revision, Bytes)>, StoreError> {
        let rows = self.pool.ask(Query::Get, &[&key]).await?;
        let row = rows.first().ok_or_else(no_head)?;
        self.pool.saw(row.get(0))?;
        match (row.get(1), row.get::<_, Option<&[u8]>>(2)) {
            (Some(stored), Some(value)) => {
                Ok(Some((revision(stored)?, Bytes::copy_from_slice(value))))
            }
            _ => Ok(None),
        }
    }

    async fn revisions(&self, keys: &[&[u8]]) -> Result<Vec<Revision>, StoreError> {
        let rows = self.pool.ask(Query::Revisions, &[&keys]).await?;
        let found = rows.iter().map(revision_of).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(keys.iter().map(|key| found.get(*key).copied().unwrap_or_default()).collect())
    }

    async fn scan(
        &self,
        range: Range<Bytes>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Revision, Bytes)>, StoreError> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.ask(Query::Scan, &[&&*range.start, &&*range.end, &limit]).await?;
        rows.iter()
            .map(|row| {
                let (key, value): (&[u8], &[u8]) = (row.get(0), row.get(2));
                let revision = revision(row.get(1))?;
                Ok((Bytes::copy_from_slice(key), revision, Bytes::copy_from_slice(value)))
            })
            .collect()
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let since = now();
        self.send(|answer| Job::Commit(commit, answer, since)).await
    }

    async fn state(&self) -> Result<Option<Bytes>, StoreError> {
        let rows = self.pool.ask(Query::State, &[]).await?;
        let state: Option<&[u8]> = rows.first().ok_or_else(no_head)?.get(1);
        // It is not gone again without somebody's doing.
        self.is_sealed.fetch_or(state.is_some(), Ordering::SeqCst);
        Ok(state.map(Bytes::copy_from_slice))
    }

    fn install(&self, witness: Arc<dyn Witness>, start: Digest, last: Revision) {
        let is_sealed = self.is_sealed.load(Ordering::SeqCst);
        let ledger = Ledger::new(witness, start, last);
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Installed { ledger, is_sealed });
    }

    async fn sum(&self, mark: Mark) -> Result<Sum, StoreError> {
        let session = self.pool.connector.connect().await?;
        let client = &session.client;
        let walk = async {
            let late = |_| Trouble::late("reading all rows");
            let begin = async {
                client
                    .batch_execute(
                        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                         SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on",
                    )
                    .await?;
                let head = "SELECT state FROM head ORDER BY sequence DESC LIMIT 1";
                let head = client.query_opt(head, &[]).await?;
                let all = "SELECT key, revision FROM rows";
                let rows = client.query_raw(all, std::iter::empty::<i64>()).await?;
                Ok::<_, Trouble>((head, rows))
            };
            // A database may stand still at any moment.
            let (head, rows) = timeout(START_DEADLINE, begin).await.map_err(late)??;
            let state: Option<&[u8]> = head.as_ref().ok_or_else(no_head)?.get(0);
            let state = state.map(Bytes::copy_from_slice);
            let mut sum = Sum { digest: Digest::default(), rows: 0, state };
            let mut rows = pin!(rows);
            while let Some(row) = timeout(START_DEADLINE, rows.try_next()).await.map_err(late)?? {
                sum.digest += mark(row.get(0), revision(row.get(1))?);
                sum.rows += 1;
                if sum.rows.is_multiple_of(ROWS_AT_ONCE) {
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, Trouble>(sum)
        };
        // The session ends here and with it the transaction.
        let sum = walk.await?;
        self.is_sealed.store(sum.state.is_some(), Ordering::SeqCst);
        Ok(sum)
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.send(Job::Clear).await
    }

    fn slot(&self) -> Option<u16> {
        Some(self.lease.slot)
    }

    fn reached(&self) -> Revision {
        Revision(self.pool.reached.load(Ordering::SeqCst))
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        if self.jobs.is_closed() {
            return Err(StoreError::ReadOnly("the committer has stopped".into()));
        }
        self.pool.check_writable()
    }

    fn feed(&self) -> Option<Arc<dyn Feed>> {
        Some(Arc::new(ChangeFeed::new(self.pool.clone())))
    }
}

fn no_head() -> StoreError {
    StoreError::Corrupt("the database's head is gone".into())
}
