//! What the nodes of a deployment know of each other: the list of them, and the copy of
//! `deployment.json` that a node joins by. Not part of the store: it is asked over a connection of its
//! own, and nothing in it needs hiding.
use super::nodes::{Lease, fenced};
use super::session::{Connector, Session, Settings};
use super::trouble::Trouble;
use crate::store::StoreError;
use crate::store::numbers::SLOTS;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::{Client, Row};

/// For one question, the connection included if there is none.
const DEADLINE: Duration = Duration::from_secs(4);
/// A connection may have been lost since it was last used.
const ATTEMPTS: u32 = 2;

const LIST: &str = "SELECT slot, id, name, version, roots, \
    greatest(0, extract(epoch FROM clock_timestamp() - last_seen))::bigint, knowledge_ms \
    FROM nodes ORDER BY slot";
/// A node that opens by no root at the moment (its device is away) keeps those that it had: they are needed
/// when the device is back.
const REPORT: &str = "UPDATE nodes SET last_seen = clock_timestamp(), knowledge_ms = $4, \
    roots = CASE WHEN cardinality($3::text[]) = 0 THEN roots ELSE $3 END \
    WHERE slot = $1 AND incarnation = $2 RETURNING slot";
/// Also of a node that has lost its slot: it would come back under its id. Answers a row if there was such a
/// node, now or when this was asked before.
const REMOVE: &str = "WITH gone AS (DELETE FROM nodes WHERE id = $1 RETURNING id), \
    noted AS (INSERT INTO removed VALUES ($1, now()) ON CONFLICT DO NOTHING RETURNING id) \
    SELECT 1 WHERE EXISTS (SELECT 1 FROM gone) OR NOT EXISTS (SELECT 1 FROM noted)";
const COPY: &str = "SELECT revision, document FROM deployment";
const FIRST: &str = "INSERT INTO deployment (revision, document) \
    SELECT $1::bigint, $2::bytea FROM head WHERE cluster = $3 ON CONFLICT DO NOTHING";
const NEXT: &str = "UPDATE deployment SET revision = $1, document = $2 WHERE revision = $3";
const IS_NODE: &str = "SELECT 1 FROM nodes WHERE slot = $1 AND incarnation = $2";
const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// A node, as it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub slot: u16,
    pub id: String,
    pub name: String,
    /// The server's.
    pub version: String,
    /// The roots by which its devices opened the domain keys.
    pub roots: Vec<String>,
    /// By the database's clock.
    pub seconds_ago: u64,
    /// How old its knowledge of the others' commits was then.
    pub knowledge_ms: Option<u64>,
}

/// A copy of `deployment.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedCopy {
    pub revision: u64,
    pub document: Bytes,
}

/// The deployment's nodes and their copy.
#[derive(Debug)]
pub struct Nodes {
    connector: Arc<Connector>,
    session: Mutex<Option<Session>>,
    cluster: [u8; 16],
    id: String,
    lease: Lease,
}

/// The copy in a database, before it is known whose deployment it is. None: nobody made one there.
pub async fn copy_in(settings: &Settings) -> Result<Option<SharedCopy>, StoreError> {
    let connector = Connector::new(settings, [0; 16])?;
    let read = async {
        let Some(session) = connector.look().await? else { return Ok(None) };
        Ok(session.client.query_opt(COPY, &[]).await?.as_ref().map(copy))
    };
    let read = timeout(DEADLINE, read).await;
    Ok(read.unwrap_or_else(|_| Err(Trouble::late("reading the deployment")))?)
}

/// Makes the database empty again if it holds what is left of a deployment of this name that was never
/// finished: no copy of it was put there.
pub async fn discard_unfinished(settings: &Settings, cluster: [u8; 16]) -> Result<(), StoreError> {
    const DISCARD: &str = "DELETE FROM rows; DELETE FROM nodes; \
        DELETE FROM feed; UPDATE head SET cluster = NULL, state = NULL, sequence = sequence + 1; COMMIT";
    let connector = Connector::new(settings, cluster)?;
    let discard = async {
        let Some(session) = connector.look().await? else { return Ok(()) };
        let client = &session.client;
        client.batch_execute("BEGIN").await?;
        let ours = "SELECT cluster = $1 AND NOT EXISTS (SELECT 1 FROM deployment) \
            FROM head ORDER BY sequence DESC LIMIT 1 FOR UPDATE";
        let ours = client.query_opt(ours, &[&cluster.as_slice()]).await?;
        let is_ours = ours.and_then(|row| row.get::<_, Option<bool>>(0)).unwrap_or(false);
        Ok(client.batch_execute(if is_ours { DISCARD } else { "ROLLBACK" }).await?)
    };
    let discarded = timeout(DEADLINE, discard).await;
    Ok(discarded.unwrap_or_else(|_| Err(Trouble::late("clearing the database")))?)
}

impl Nodes {
    pub(super) fn new(
        connector: Arc<Connector>,
        cluster: [u8; 16],
        id: String,
        lease: Lease,
    ) -> Self {
        Self { connector, session: Mutex::default(), cluster, id, lease }
    }

    /// This node's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// This node's place.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// All nodes that have a slot, this one among them.
    pub async fn list(&self) -> Result<Vec<Node>, StoreError> {
        self.ask(Question::List).await?.iter().map(node).collect()
    }

    /// Says that this node is alive, and how it is; without roots, those that it named last stand.
    /// Answers whether it is a node still: a database that is another one, or cannot be used, says nothing
    /// of that, and is an error.
    pub async fn report(
        &self,
        roots: &[String],
        age: Option<Duration>,
    ) -> Result<bool, StoreError> {
        let report = Question::Report(self.lease, roots, age.map(millis));
        Ok(!self.ask(report).await?.is_empty())
    }

    /// Takes a node out for good: whatever of it still runs writes nothing any more, and it does not
    /// come back under its id, nor does one that has no slot at the moment. Answers whether there was such
    /// a node.
    pub async fn remove(&self, id: &str) -> Result<bool, StoreError> {
        Ok(!self.ask(Question::Remove(id)).await?.is_empty())
    }

    pub async fn copy(&self) -> Result<Option<SharedCopy>, StoreError> {
        Ok(self.ask(Question::Copy).await?.first().map(copy))
    }

    /// The database's clock, in milliseconds since 1970.
    pub async fn clock(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.ask(Question::Clock).await?.first().map(|row| row.get(0)))
    }

    /// Puts a copy in place of the one of revision `before` (0: of none). Answers whether it is there
    /// now: not if somebody else was first. `ReadOnly` if this is no node any more.
    pub async fn replace_copy(&self, before: u64, new: &SharedCopy) -> Result<bool, StoreError> {
        let there = self.ask(Question::Replace(self.cluster, self.lease, before, new)).await?;
        // Not how many rows were written: an attempt whose answer was lost may have done it.
        Ok(there.first().map(copy).is_some_and(|there| there == *new))
    }

    /// Every question can be asked twice. One is asked at a time; what ends in an error, or is given up,
    /// ends with its connection, and so does the transaction that it had begun.
    async fn ask(&self, question: Question<'_>) -> Result<Vec<Row>, StoreError> {
        let mut place = self.session.lock().await;
        let mut last = Trouble::late("asking for the nodes");
        for _ in 0..ATTEMPTS {
            let kept = place.take().filter(|session| !session.client.is_closed());
            let answer = async {
                let session = match kept {
                    Some(session) => session,
                    None => self.connector.connect().await?,
                };
                let rows = question.put(&session.client).await?;
                Ok((session, rows))
            };
            let late = |_| Err(Trouble::late("asking for the nodes"));
            match timeout(DEADLINE, answer).await.unwrap_or_else(late) {
                Err(Trouble::Refused(error)) => return Err(error),
                Err(trouble) => last = trouble,
                Ok((session, rows)) => {
                    *place = Some(session);
                    return Ok(rows);
                }
            }
        }
        Err(last.into())
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Question<'q> {
    List,
    Report(Lease, &'q [String], Option<i64>),
    Remove(&'q str),
    Copy,
    Clock,
    Replace([u8; 16], Lease, u64, &'q SharedCopy),
}

impl Question<'_> {
    async fn put(self, client: &Client) -> Result<Vec<Row>, Trouble> {
        Ok(match self {
            Self::List => client.query(LIST, &[]).await?,
            Self::Report(Lease { slot, incarnation }, roots, age) => {
                client.query(REPORT, &[&i32::from(slot), &incarnation, &roots, &age]).await?
            }
            Self::Remove(id) => {
                // The head's lock: none of its commits is under way.
                client
                    .batch_execute(
                        "BEGIN; SELECT 1 FROM head ORDER BY sequence DESC LIMIT 1 FOR UPDATE",
                    )
                    .await?;
                let known = client.query(REMOVE, &[&id]).await?;
                client.batch_execute("COMMIT").await?;
                known
            }
            Self::Copy => client.query(COPY, &[]).await?,
            Self::Clock => client.query(CLOCK, &[]).await?,
            Self::Replace(cluster, Lease { slot, incarnation }, before, new) => {
                let (before, revision) = (signed(before), signed(new.revision));
                let document = &*new.document;
                // As with commits: who removes a node waits for this, or this finds it removed.
                client
                    .batch_execute(
                        "BEGIN; SELECT 1 FROM head ORDER BY sequence DESC LIMIT 1 FOR UPDATE",
                    )
                    .await?;
                if client.query_opt(IS_NODE, &[&i32::from(slot), &incarnation]).await?.is_none() {
                    return Err(fenced().into());
                }
                match before {
                    0 => {
                        client.execute(FIRST, &[&revision, &document, &cluster.as_slice()]).await?
                    }
                    _ => client.execute(NEXT, &[&revision, &document, &before]).await?,
                };
                client.batch_execute("COMMIT").await?;
                client.query(COPY, &[]).await?
            }
        })
    }
}

fn copy(row: &Row) -> SharedCopy {
    SharedCopy {
        revision: row.get::<_, i64>(0).cast_unsigned(),
        document: Bytes::copy_from_slice(row.get(1)),
    }
}

fn node(row: &Row) -> Result<Node, StoreError> {
    let slot = u16::try_from(row.get::<_, i32>(0)).ok().filter(|slot| *slot < SLOTS);
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Node {
        slot: slot.ok_or_else(|| StoreError::Corrupt("a node's slot is out of range".into()))?,
        id: row.get(1),
        name: row.get(2),
        version: row.get(3),
        roots: row.get(4),
        seconds_ago: count(row.get(5)),
        knowledge_ms: row.get::<_, Option<i64>>(6).map(count),
    })
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn millis(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}
