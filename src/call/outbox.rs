//! The event of a call that changes something commits in the same transaction as its change. It
//! waits in the outbox until the audit log has it; what a crash leaves there is logged at the next
//! start. So there is no change without an event, whenever the power goes. Each of several nodes has a part
//! of the outbox for itself, and a log. What a node that is gone left behind another one makes its own
//! first, in one transaction, and then logs as its own.
use super::{Server, announced};
use crate::audit::{AuditError, Event};
use crate::nodes::{ThisNode, Turn};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The events of one call: its own, and those of calls made on the caller's behalf.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    events: Vec<Event>,
    /// The number of the last record that this node's log had then: if it has these events, they come later.
    #[serde(default)]
    after: u64,
}
impl Record for Waiting {
    const TABLE: Table = Table::new("outbox");
    const CACHED: bool = false;
}

/// How many leave in one transaction.
const BATCH: usize = 512;

/// What the log has and the store may forget.
#[derive(Debug, Default)]
pub struct Outbox {
    logged: Mutex<Vec<String>>,
    /// Committed events that the log refused: tried again until it takes them.
    refused: Mutex<Vec<(String, Vec<Event>)>>,
    /// Commits whose outcome nobody was told: what waits of them, if it does, is logged once that is known.
    unsure: Mutex<Vec<Doubt>>,
    /// Whether the log refused the last event it was given.
    log_fails: AtomicBool,
}

/// A commit that failed, as it seems. It may have taken effect, or do so yet.
#[derive(Debug)]
pub(super) struct Doubt {
    /// Under which its events wait.
    id: String,
    /// The ids of those of them that are logged all the same.
    told: Vec<String>,
}

impl Doubt {
    /// None if the error says that nothing came of the commit.
    pub(super) fn of(
        id: &str,
        error: &StoreError,
        told: impl FnOnce() -> Vec<String>,
    ) -> Option<Self> {
        matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_))
            .then(|| Self { id: id.to_owned(), told: told() })
    }
}

impl Outbox {
    pub(super) fn put(
        server: &Server,
        tx: &mut Tx<'_>,
        id: &str,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let waiting = Waiting { events, after: server.audit.last_number() };
        tx.put(&server.own_key(id), waiting).map(drop)
    }

    /// Logs the events of a call. Of a change, whose events wait in the outbox under `id`, those that the log
    /// refuses now are tried again later.
    pub(super) async fn log(
        &self,
        server: &Server,
        id: Option<&str>,
        mut events: Vec<Event>,
    ) -> Result<(), AuditError> {
        let outcome = self.give(server, &mut events).await;
        match (&outcome, id) {
            (Ok(()), Some(id)) => hold(&self.logged).push(id.to_owned()),
            (Err(_), Some(id)) => hold(&self.refused).push((id.to_owned(), events)),
            (_, None) => {}
        }
        outcome
    }

    /// Logs the events of a call whose commit is in doubt. That is noted only then: whoever settles it must
    /// know which of them the log has.
    pub(super) async fn log_in_doubt(
        &self,
        server: &Server,
        mut doubt: Doubt,
        mut events: Vec<Event>,
    ) -> Result<(), AuditError> {
        let outcome = self.give(server, &mut events).await;
        // What the log refused has to be told of after all.
        doubt.told.retain(|told| events.iter().all(|event| event.event_id != *told));
        self.doubt(Some(doubt));
        outcome
    }

    /// Gives the log these events; leaves those that it refused.
    async fn give(&self, server: &Server, events: &mut Vec<Event>) -> Result<(), AuditError> {
        // Every record anchors the store: an older store beside this log is noticed at the start.
        for event in events.iter_mut() {
            event.store_revision = Some(server.store.acknowledged());
        }
        let outcome = record_all(server, events).await;
        // Written only when it changes: every call on every core reads it.
        if self.log_fails.load(Ordering::SeqCst) != outcome.is_err() {
            self.log_fails.store(outcome.is_err(), Ordering::SeqCst);
        }
        outcome
    }

    /// Notes a commit that is in doubt, to be settled.
    pub(super) fn doubt(&self, doubt: Option<Doubt>) {
        hold(&self.unsure).extend(doubt);
    }

    /// Logs the events of commits that took effect without anybody being told.
    pub async fn settle(&self, server: &Server) -> Result<(), StoreError> {
        let mut unsure = std::mem::take(&mut *hold(&self.unsure));
        while let Some(one) = unsure.pop() {
            if let Err(error) = self.settle_one(server, &one).await {
                unsure.push(one);
                hold(&self.unsure).append(&mut unsure);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn settle_one(&self, server: &Server, unsure: &Doubt) -> Result<(), StoreError> {
        let (key, mut tx) = (server.own_key(&unsure.id), server.store.begin());
        let Some(waiting) = tx.get::<Waiting>(&key).await? else {
            // It may still be under way. This comes after it, and conflicts with it if it takes effect.
            tx.delete::<Waiting>(&key)?;
            return tx.commit().await;
        };
        let mut events = waiting.events.clone();
        events.retain(|event| unsure.told.iter().all(|told| *told != event.event_id));
        // What the log refuses now, it is given again.
        drop(self.log(server, Some(&unsure.id), events).await);
        Ok(())
    }

    /// Refuses a change that could not be logged: it would take effect and yet be answered as
    /// failed, and asked for again.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.log_works() {
            return Ok(());
        }
        Err(StoreError::Unavailable("the audit log refuses events, so nothing may change".into()))
    }

    /// Whether the log took the last event it was given.
    pub fn log_works(&self) -> bool {
        !self.log_fails.load(Ordering::SeqCst)
    }

    /// Gives the log the events that it refused, or, if there are none, one that says it works
    /// again. Does nothing while all is well.
    pub async fn retry(&self, server: &Server) -> Result<(), AuditError> {
        if self.log_works() && hold(&self.refused).is_empty() {
            return Ok(());
        }
        let refused = std::mem::take(&mut *hold(&self.refused));
        if refused.is_empty() {
            let Some(region) = server.regions.first() else { return Ok(()) };
            let event = super::pipeline::recovery_event(server, region);
            return self.log(server, None, vec![event]).await;
        }
        let mut outcome = Ok(());
        for (id, events) in refused {
            if let Err(error) = self.log(server, Some(&id), events).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Forgets what the log has. Called now and then, so that one commit serves many calls.
    pub async fn sweep(&self, server: &Server) -> Result<(), StoreError> {
        loop {
            let batch: Vec<String> = {
                let mut logged = hold(&self.logged);
                let count = logged.len().min(BATCH);
                logged.drain(..count).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            let mut tx = server.store.begin();
            for id in &batch {
                tx.delete::<Waiting>(&server.own_key(id))?;
            }
            if let Err(error) = tx.commit().await {
                hold(&self.logged).extend(batch);
                return Err(error);
            }
        }
    }
}

/// Gives the log all of them at the same time, so that they share one sync; keeps those that it refused. They may
/// be of two batches, of which the disk had space for one: what the log has, it must not be given again.
///
/// All futures are polled until all are ready: one that is left alone while another is awaited may be
/// the one that tells the others of its batch, and then none of them ever hears.
async fn record_all(server: &Server, events: &mut Vec<Event>) -> Result<(), AuditError> {
    // Most calls have one.
    if let [event] = events.as_slice() {
        server.audit.record(event).await?;
        events.clear();
        return Ok(());
    }
    let outcomes = join_all(events.iter().map(|event| server.audit.record(event))).await;
    let mut refused = outcomes.iter().map(Result::is_err);
    events.retain(|_| refused.next().unwrap_or(true));
    outcomes.into_iter().collect()
}

/// A list is whole whoever died holding it: every change is one push or one take.
fn hold<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Logs the events that a crash kept from the log, and empties the outbox. `known` reads the ids of
/// the events that the log holds after the record of a number; it is asked only if something waits.
/// Answers how many events were missing.
pub async fn replay(
    server: &Server,
    mut known: impl FnMut(u64) -> Result<HashSet<String>, AuditError>,
) -> Result<usize, ReplayError> {
    let (mut ids, mut searched, mut missing) = (HashSet::new(), u64::MAX, 0);
    loop {
        let mut tx = server.store.begin();
        let waiting = waiting(server, &tx, BATCH).await?;
        // A store that could not be written to may hold events that were logged long ago.
        let Some(after) = waiting.iter().map(|(_, waiting)| waiting.after).min() else {
            return Ok(missing);
        };
        if after < searched {
            (ids, searched) = (known(after)?, after);
        }
        for (id, waiting) in &waiting {
            let lost = waiting.events.iter().filter(|event| !ids.contains(event.event_id.as_str()));
            for event in lost {
                server.audit.record(event).await?;
                missing += 1;
            }
            tx.delete::<Waiting>(&server.own_key(id))?;
        }
        tx.commit().await?;
    }
}

/// What waits in this node's part of the outbox, by id.
async fn waiting(
    server: &Server,
    tx: &Tx<'_>,
    limit: usize,
) -> Result<Vec<(String, Arc<Waiting>)>, StoreError> {
    let own: Vec<&str> = server.node.iter().map(ThisNode::id).collect();
    Ok(tx.list::<Waiting>(&own, None, limit).await?.records)
}

/// The nodes that have something in the outbox, or announced.
pub async fn owners(server: &Server) -> Result<BTreeSet<String>, StoreError> {
    let mut all = owners_of::<Waiting>(&server.store.begin()).await?;
    all.extend(announced::owners(server).await?);
    Ok(all)
}

/// The first parts of all keys of a table whose keys have two, or fewer.
pub(super) async fn owners_of<R: Record>(tx: &Tx<'_>) -> Result<BTreeSet<String>, StoreError> {
    /// After every id.
    const END: &str = "\u{10ffff}";
    let mut found = BTreeSet::new();
    loop {
        let last: Vec<&str> =
            found.last().into_iter().flat_map(|id: &String| [id.as_str(), END]).collect();
        let next = tx.list_deep::<R>(&[], &last, 1).await?.records;
        let Some((key, _)) = next.into_iter().next() else { return Ok(found) };
        let new = key.into_iter().next().is_some_and(|id| found.insert(id));
        if !new {
            return Ok(found);
        }
    }
}

/// Makes this node's own what another one left in the outbox that is gone for good, and logs it. `turn`
/// is held by every commit of it, so that no two nodes do. Answers how many events that were. The other's
/// own log may have them too, if it was lost before the outbox had forgotten them: under the same ids.
pub async fn inherit(server: &Server, from: &str, turn: &Turn<'_>) -> Result<usize, ReplayError> {
    let mut events = 0;
    loop {
        let mut tx = server.store.begin();
        turn.hold(&mut tx).await?;
        let left = tx.list::<Waiting>(&[from], None, BATCH).await?.records;
        if left.is_empty() {
            break;
        }
        let mut mine = Vec::new();
        for (id, _) in left {
            let Some(waiting) = tx.get::<Waiting>(&[from, &id]).await? else { continue };
            tx.delete::<Waiting>(&[from, &id])?;
            Outbox::put(server, &mut tx, &id, waiting.events.clone())?;
            mine.push((id, waiting.events.clone()));
        }
        if let Err(error) = tx.commit().await {
            mine.iter().for_each(|(id, _)| {
                server.outbox.doubt(Doubt::of(id, &error, Vec::new));
            });
            return Err(error.into());
        }
        let mut outcome = Ok(());
        for (id, its_events) in mine {
            events += its_events.len();
            // What the log refuses is tried again; the others do not wait for that.
            outcome = server.outbox.log(server, Some(&id), its_events).await.and(outcome);
        }
        outcome?;
    }
    for interrupted in server.announced_by(Some(from)).await? {
        let by = serde_json::json!({ "leftBy": from, "wrappedBy": server.root.wrapped_by() });
        server.conclude(interrupted, "interrupted", by).await?;
        events += 1;
    }
    Ok(events)
}
