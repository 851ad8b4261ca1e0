//! The event of a call that changes something commits in the same transaction as its change. It
//! waits in the outbox until the audit log has it; what a crash leaves there is logged at the next
//! start. So there is no change without an event, whenever the power goes.
use super::Server;
use crate::audit::{AuditError, Event};
use crate::seal::Table;
use crate::store::{Record, StoreError, Tx};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The events of one call: its own, and those of calls made on the caller's behalf.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    events: Vec<Event>,
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
    /// Whether the log refused the last event it was given.
    log_fails: AtomicBool,
}

impl Outbox {
    pub(super) fn put(tx: &mut Tx<'_>, id: &str, events: Vec<Event>) -> Result<(), StoreError> {
        tx.put(&[id], Waiting { events }).map(drop)
    }

    /// Logs the events of a call. Those of a change, which wait in the outbox under `id`, are tried
    /// again later if the log refuses them now.
    pub(super) async fn log(
        &self,
        server: &Server,
        id: Option<&str>,
        mut events: Vec<Event>,
    ) -> Result<(), AuditError> {
        // Every record anchors the store: an older store beside this log is noticed at the start.
        for event in &mut events {
            event.store_revision = Some(server.store.acknowledged());
        }
        let outcome = server.audit.record(&events).await;
        self.log_fails.store(outcome.is_err(), Ordering::SeqCst);
        match (&outcome, id) {
            (Ok(()), Some(id)) => hold(&self.logged).push(id.to_owned()),
            (Err(_), Some(id)) => hold(&self.refused).push((id.to_owned(), events)),
            (_, None) => {}
        }
        outcome
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
                tx.delete::<Waiting>(&[id])?;
            }
            if let Err(error) = tx.commit().await {
                hold(&self.logged).extend(batch);
                return Err(error);
            }
        }
    }
}

/// A list is whole whoever died holding it: every change is one push or one take.
fn hold<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much of the log is searched for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Recent,
    Whole,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// Logs the events that a crash kept from the log, and empties the outbox. `known` reads the ids of
/// the events that the log holds, of its recent end or of the whole; it is asked only if something
/// waits. Answers how many events were missing.
pub async fn replay(
    server: &Server,
    mut known: impl FnMut(Part) -> Result<HashSet<String>, AuditError>,
) -> Result<usize, ReplayError> {
    if server.store.begin().list_all::<Waiting>(1).await?.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut searched, mut missing) = (known(Part::Recent)?, Part::Recent, 0);
    loop {
        let mut tx = server.store.begin();
        let waiting = tx.list_all::<Waiting>(BATCH).await?;
        if waiting.is_empty() {
            return Ok(missing);
        }
        for (key, waiting) in &waiting {
            let is_lost = |ids: &HashSet<String>| {
                waiting.events.iter().any(|event| !ids.contains(&event.event_id))
            };
            // A store that could not be written to may hold events that were logged long ago.
            if searched == Part::Recent && is_lost(&ids) {
                (ids, searched) = (known(Part::Whole)?, Part::Whole);
            }
            let lost = waiting.events.iter().filter(|event| !ids.contains(&event.event_id));
            for event in lost {
                server.audit.record(std::slice::from_ref(event)).await?;
                missing += 1;
            }
            if let Some(id) = key.first() {
                tx.delete::<Waiting>(&[id])?;
            }
        }
        tx.commit().await?;
    }
}
