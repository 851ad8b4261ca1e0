//! One try at making a group durable, in two round trips: lock the head and read, then write and
//! commit. And how a try ended whose answer was lost.
use super::group::{self, Group};
use super::nodes::{Lease, fenced};
use super::schema;
use super::session::{Connector, Session};
use super::trouble::Trouble;
use crate::failpoints::{self, Point};
use crate::store::ledger::Ledger;
use crate::store::{Changed, Commit, Revision, StoreError};
use bytes::Bytes;
use futures_util::future::{join, join4};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Error, Row, Statement};

/// Longer than the server lets a lock be waited for, and than it lets a lost client keep one.
const LOCK_DEADLINE: Duration = Duration::from_secs(6);
/// After it the outcome is found out another way.
const COMMIT_DEADLINE: Duration = Duration::from_secs(3);

/// The one row that every commit locks: so there is one order of all commits.
const LOCK: &str = "SELECT sequence, state FROM head ORDER BY sequence DESC LIMIT 1 FOR UPDATE";
/// Statements of their own, so that their snapshots are of a moment at which the lock is held.
const PLACE: &str = "SELECT (SELECT incarnation FROM nodes WHERE slot = $1), \
    (SELECT group_id FROM feed WHERE sequence = $2), compatible_from FROM schema_version";
const REVISIONS: &str = "SELECT key, revision FROM rows WHERE key = ANY($1)";
const APPLY: &str = "WITH put AS ( \
        INSERT INTO rows (key, revision, value) \
        SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) \
        ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value), \
    gone AS (DELETE FROM rows WHERE key = ANY($4)), \
    fed AS (INSERT INTO feed VALUES ($5, $6, $7, now(), $8)) \
    UPDATE head SET sequence = $5, state = $9 WHERE sequence = $5 - 1 \
    RETURNING pg_notify($10, '')";
const CLEAR: &str = "WITH gone AS (DELETE FROM rows), \
    fed AS (INSERT INTO feed VALUES ($1, $2, $3, now(), NULL)) \
    UPDATE head SET sequence = $1, state = $4 WHERE sequence = $1 - 1 \
    RETURNING pg_notify($5, '')";

/// What is to be done with the head locked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work<'a> {
    Commits(&'a [Commit]),
    Clear,
}

/// What the head said under the lock.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) sequence: i64,
    pub(super) state: Option<Bytes>,
    /// What the group is called now that this node committed last, unless it was trimmed.
    pub(super) own: Option<Vec<u8>>,
}

/// A try that has ended well.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) sequence: i64,
    pub(super) group_id: Vec<u8>,
    pub(super) last: Revision,
    pub(super) sealed: bool,
    /// Of each commit.
    pub(super) outcomes: Vec<bool>,
    /// What was written. None: nothing.
    pub(super) what: Option<Changed>,
}

#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was applied.
    Nothing(Trouble),
    /// COMMIT was sent and its answer did not arrive.
    Unknown(Open, Applied),
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Self {
        Self::Nothing(trouble.into())
    }
}

/// By what a try can be found in the feed, and its transaction among those under way.
#[derive(Clone, Debug)]
pub(super) struct Open {
    sequence: i64,
    group_id: Vec<u8>,
    process: i32,
    started: String,
}

/// The connection that commits.
#[derive(Debug)]
pub(super) struct Committing {
    pub(super) session: Session,
    lock: Statement,
    place: Statement,
    revisions: Statement,
    apply: Statement,
    clear: Statement,
    process: i32,
    started: String,
    channel: String,
}

impl Committing {
    pub(super) async fn connect(connector: &Connector) -> Result<Self, Trouble> {
        let session = connector.connect().await?;
        let client = &session.client;
        let prepare = async {
            let own = "SELECT pid, backend_start::text FROM pg_stat_activity \
                WHERE pid = pg_backend_pid()";
            let own = client.query_one(own, &[]).await?;
            Ok::<_, Error>((
                client.prepare(LOCK).await?,
                client.prepare(PLACE).await?,
                client.prepare(REVISIONS).await?,
                client.prepare(APPLY).await?,
                client.prepare(CLEAR).await?,
                own.get(0),
                own.get(1),
            ))
        };
        let prepared = timeout(COMMIT_DEADLINE, prepare).await;
        let (lock, place, revisions, apply, clear, process, started) =
            prepared.map_err(|_| Trouble::late("preparing"))??;
        let channel = connector.schema().to_owned();
        Ok(Self { session, lock, place, revisions, apply, clear, process, started, channel })
    }

    /// Does the work if the node may still write. `own`: the number of the last group that it committed.
    /// `ledger`: what the head's state was, opened.
    pub(super) async fn attempt(
        &self,
        work: Work<'_>,
        lease: Lease,
        own: i64,
        group_id: Vec<u8>,
        ledger: impl FnOnce(&Head) -> Result<Option<Ledger>, StoreError>,
    ) -> Result<Applied, Failure> {
        failpoints::reach(Point::StoreGroup);
        let (head, revisions) = self.begin(work, lease, own).await?;
        let ledger = ledger(&head)?;
        let before = ledger.as_ref().map(Ledger::last);
        let (group, after) = match work {
            Work::Clear => (Group::default(), ledger.as_ref().map(Ledger::cleared)),
            Work::Commits(commits) => {
                let group = group::decide(commits, revisions);
                let applied = commits.iter().zip(&group.applied).filter(|(_, applied)| **applied);
                let after = ledger.map(|ledger| ledger.after(applied.map(|(commit, _)| commit)));
                (group, after)
            }
        };
        let nothing = matches!(work, Work::Commits(_)) && !group.applied.contains(&true);
        let after = match before {
            Some(before) if !nothing => after.map(|after| after.beyond(before)),
            _ => after,
        };
        let applied = Applied {
            sequence: head.sequence + i64::from(!nothing),
            group_id: group_id.clone(),
            last: after.as_ref().map_or(Revision(0), Ledger::last),
            sealed: if nothing { head.state.is_some() } else { after.is_some() },
            outcomes: group.applied.clone(),
            what: (!nothing).then(|| match work {
                Work::Clear => Changed::Everything,
                Work::Commits(_) => Changed::Keys(group.write.keys().cloned().collect()),
            }),
        };
        if nothing {
            self.roll_back().await?;
            return Ok(applied);
        }
        let (state, sequence) = (after.as_ref().map(Ledger::seal), applied.sequence);
        let open =
            Open { sequence, group_id, process: self.process, started: self.started.clone() };
        let write = async {
            match work {
                Work::Clear => self.write_nothing(&open, lease, state.as_deref()).await,
                Work::Commits(_) => self.write(&group, &open, lease, state.as_deref()).await,
            }
        };
        failpoints::reach(Point::StoreSync);
        // Sent together. If the writing fails, PostgreSQL makes a rollback of the commit.
        let ending = join(write, self.session.client.batch_execute("COMMIT"));
        match timeout(COMMIT_DEADLINE, ending).await {
            Ok((Ok(1), Ok(()))) => {
                failpoints::reach(Point::StoreCommitted);
                Ok(applied)
            }
            Ok((Ok(1), Err(_))) | Err(_) => Err(Failure::Unknown(open, applied)),
            Ok((Ok(_), _)) => {
                Err(StoreError::Corrupt("the head changed while it was locked".into()).into())
            }
            // An answer to COMMIT after the writing failed is that to a rollback. Without it the error may
            // be a pooler's, which had passed both on.
            Ok((Err(error), Ok(()))) if error.as_db_error().is_some() => Err(error.into()),
            Ok((Err(_), _)) => Err(Failure::Unknown(open, applied)),
        }
    }

    /// Begins, locks the head and reads what the decisions need.
    async fn begin(
        &self,
        work: Work<'_>,
        lease: Lease,
        own: i64,
    ) -> Result<(Head, BTreeMap<Bytes, Revision>), Trouble> {
        let client = &self.session.client;
        let keys: Vec<&[u8]> = match work {
            Work::Commits(commits) => group::reads(commits).into_iter().collect(),
            Work::Clear => Vec::new(),
        };
        let slot = i32::from(lease.slot);
        // Sent together. The driver sends in the order in which the statements are first polled.
        let reading = async {
            join4(
                client.batch_execute("BEGIN"),
                client.query_opt(&self.lock, &[]),
                client.query_one(&self.place, &[&slot, &own]),
                client.query(&self.revisions, &[&keys]),
            )
            .await
        };
        let answers = timeout(LOCK_DEADLINE, reading).await;
        let (begun, head, place, revisions) =
            answers.map_err(|_| Trouble::late("waiting for the head"))?;
        let read = begun.and_then(|()| Ok((head?, place?, revisions?)));
        let (head, place, revisions) = match read {
            Ok(read) => read,
            Err(error) => {
                let trouble = Trouble::from(error);
                self.roll_back().await?;
                return Err(trouble);
            }
        };
        if place.get::<_, Option<i64>>(0) != Some(lease.incarnation) {
            self.roll_back().await?;
            return Err(fenced().into());
        }
        if let Err(trouble) = schema::check_compatible(place.get(2)) {
            self.roll_back().await?;
            return Err(trouble);
        }
        let gone = || StoreError::Corrupt("the database's head is gone".into());
        let head = head.ok_or_else(gone)?;
        let state: Option<&[u8]> = head.get(1);
        let state = state.map(Bytes::copy_from_slice);
        let head = Head { sequence: head.get(0), state, own: place.get(1) };
        let revisions = revisions.iter().map(revision_of).collect::<Result<_, _>>()?;
        Ok((head, revisions))
    }

    pub(super) async fn roll_back(&self) -> Result<(), Trouble> {
        let rolled = self.session.client.batch_execute("ROLLBACK");
        let late = |_| Trouble::late("rolling back");
        Ok(timeout(COMMIT_DEADLINE, rolled).await.map_err(late)??)
    }

    async fn write(
        &self,
        group: &Group,
        open: &Open,
        lease: Lease,
        state: Option<&[u8]>,
    ) -> Result<u64, Error> {
        let (mut keys, mut revisions, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (mut gone, mut all) = (Vec::new(), Vec::new());
        for (key, (revision, value)) in &group.write {
            all.push(&**key);
            match value {
                Some(value) => {
                    keys.push(&**key);
                    revisions.push(revision.0.cast_signed());
                    values.push(&**value);
                }
                None => gone.push(&**key),
            }
        }
        let slot = i32::from(lease.slot);
        self.session
            .client
            .execute(
                &self.apply,
                &[
                    &keys,
                    &revisions,
                    &values,
                    &gone,
                    &open.sequence,
                    &open.group_id,
                    &slot,
                    &all,
                    &state,
                    &self.channel,
                ],
            )
            .await
    }

    async fn write_nothing(
        &self,
        open: &Open,
        lease: Lease,
        state: Option<&[u8]>,
    ) -> Result<u64, Error> {
        let slot = i32::from(lease.slot);
        self.session
            .client
            .execute(&self.clear, &[&open.sequence, &open.group_id, &slot, &state, &self.channel])
            .await
    }

    /// Whether a try took effect whose answer was lost. Ends the transaction, if it is still under
    /// way, by the only means that there is; its lock on the head then says when it has ended. What was
    /// found is also on the standbys that commits wait for. None: it cannot be known any more.
    pub(super) async fn find_out(&self, open: &Open) -> Result<Option<bool>, Trouble> {
        let client = &self.session.client;
        // The same number may be another process by now. It may also not be ours to end: then the
        // server's own time-out ends it. One that waits for a standby has committed already: to end it
        // would show everybody what no standby has.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE pid = $1 AND backend_start::text = $2 AND wait_event IS DISTINCT FROM 'SyncRep'";
        let asked = async {
            let _ = client.query(end, &[&open.process, &open.started]).await;
            client.batch_execute("BEGIN").await?;
            let head = client.query_one(&self.lock, &[]).await?;
            let found = "SELECT group_id FROM feed WHERE sequence = $1";
            let found = client.query_opt(found, &[&open.sequence]).await?;
            // Not a rollback: the lock made this a transaction that writes, so its commit waits until the
            // standbys have all that came before it.
            client.batch_execute("COMMIT").await?;
            Ok::<_, Error>((head.get::<_, i64>(0), found))
        };
        let asked = timeout(LOCK_DEADLINE, asked).await;
        let (sequence, found) = asked.map_err(|_| Trouble::late("settling"))??;
        Ok(match found {
            Some(row) => Some(row.get::<_, &[u8]>(0) == open.group_id),
            None if sequence < open.sequence => Some(false),
            // Nobody waits any more by the time that the feed is trimmed.
            None => None,
        })
    }
}

pub(super) fn revision_of(row: &Row) -> Result<(Bytes, Revision), StoreError> {
    let key = Bytes::copy_from_slice(row.get::<_, &[u8]>(0));
    Ok((key, revision(row.get(1))?))
}

pub(super) fn revision(stored: i64) -> Result<Revision, StoreError> {
    let negative = |_| StoreError::Corrupt("a row's revision is negative".into());
    u64::try_from(stored).map(Revision).map_err(negative)
}
