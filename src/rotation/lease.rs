//! Who works on a run. A lease is a number in the run's row: it is taken in a transaction, and whoever
//! comes back with an older number, however late, writes nothing.
use super::events::{self, Moment};
use crate::audit::Event;
use crate::call::{OperationError, Server};
use crate::secrets::rotation::{Outcome, Run};
use crate::secrets::{Secret, SecretError};
use crate::store::{StoreError, Tx};
use crate::types::Timestamp;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How much longer than a step's time-out a lease lasts: for the writes before and after it.
const MARGIN_SECS: i64 = 30;
/// Conflicts that one write outlives.
const MOST_CONFLICTS: u32 = 16;

/// A run that this node holds, as it was last written.
#[derive(Debug)]
pub(super) struct Lease {
    pub run: Arc<Run>,
    /// How it ended, once it has.
    pub ended: Option<Outcome>,
    /// Whoever held it before never came back, and nothing was made of that yet.
    pub struck: bool,
}

/// What a write makes of a run.
#[derive(Debug)]
pub(super) enum Change {
    /// It goes on like this.
    On(Box<Run>),
    /// Its row is gone with this write.
    Over(Outcome),
}

/// What stands when something is decided: the run, as this node holds it, and its secret.
#[derive(Debug)]
pub(super) struct Standing<'s> {
    pub tx: Tx<'s>,
    pub run: Arc<Run>,
    pub secret: Arc<Secret>,
    pub now: Timestamp,
}

/// What is to be written, and the events that go with it.
#[derive(Debug)]
pub(super) struct Decision {
    pub change: Change,
    pub events: Vec<Event>,
}

/// Until when a lease must last that is for a step of this length.
pub(super) fn until(now: Timestamp, step: Duration) -> Timestamp {
    now.plus_secs(i64::try_from(step.as_secs()).unwrap_or(i64::MAX).saturating_add(MARGIN_SECS))
}

/// Whether two are one run under one lease. Runs that follow each other may make the same version, and
/// each counts its leases from one.
fn is_same(one: &Run, other: &Run) -> bool {
    one.fence == other.fence && one.rotation_token.expose() == other.rotation_token.expose()
}

impl Lease {
    /// Takes a run that is ready, or that this node held in an earlier life. None: somebody else was
    /// first, or it is over.
    pub async fn take(
        server: &Server,
        node: &str,
        found: &Run,
        step: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let mut tx = server.store.begin();
        let now = server.clock.now();
        let Some(run) = found.again(&mut tx).await? else { return Ok(None) };
        let unchanged = is_same(&run, found);
        let mine = run.holder.as_deref() == Some(node) && run.not_before <= now;
        if !unchanged || !(run.is_ready(now) || mine) {
            return Ok(None);
        }
        let (first, struck) = (!run.has_begun(), run.holder.is_some());
        let run = run.as_ref().clone();
        let run = Run {
            holder: Some(node.to_owned()),
            until: until(now, step),
            fence: run.fence + 1,
            ..run
        };
        let started = first.then(|| events::of_run(server, &run, Moment::Started));
        let run = run.put(&mut tx)?;
        match events::commit(server, tx, started.into_iter().collect()).await {
            Ok(()) if first => server.metrics.rotation_started(),
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Some(Self { run, ended: None, struck }))
    }

    /// Decides what becomes of the run as it stands now, once more after each conflict, and makes that
    /// durable; None leaves everything as it is. Answers whether this node goes on with the run.
    pub async fn decide<'s>(
        &mut self,
        server: &'s Server,
        decide: impl Send
        + Sync
        + for<'a> Fn(
            &'a mut Standing<'s>,
        ) -> BoxFuture<'a, Result<Option<Decision>, SecretError>>,
    ) -> Result<bool, SecretError> {
        for _ in 0..MOST_CONFLICTS {
            let Some(mut standing) = self.look(server).await? else { return Ok(false) };
            let written = match decide(&mut standing).await {
                Ok(None) => return Ok(true),
                Ok(Some(decision)) => self.write(server, standing.tx, decision).await,
                Err(error) => Err(error),
            };
            match written {
                Err(error) if error.is_conflict() => {}
                outcome => return outcome,
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// The run and its secret as they are now, if this node still holds the run. None: it is over, or
    /// somebody else's.
    async fn look<'s>(&self, server: &'s Server) -> Result<Option<Standing<'s>>, StoreError> {
        let mut tx = server.store.begin();
        let held = self.run.again(&mut tx).await?;
        let Some(run) = held.filter(|run| is_same(run, &self.run)) else { return Ok(None) };
        let found = Secret::load(&mut tx, &run.account, &run.region, &run.name).await?;
        let Some(secret) = found.filter(|secret| secret.arn == run.arn) else {
            run.drop_row(&mut tx)?;
            tx.commit().await?;
            return Ok(None);
        };
        Ok(Some(Standing { tx, run, secret, now: server.clock.now() }))
    }

    /// Makes durable what was decided.
    async fn write(
        &mut self,
        server: &Server,
        mut tx: Tx<'_>,
        decision: Decision,
    ) -> Result<bool, SecretError> {
        let Decision { change, events } = decision;
        let on = match change {
            Change::On(run) => Ok(run.put(&mut tx)?),
            Change::Over(outcome) => Err(outcome),
        };
        events::commit(server, tx, events).await?;
        match on {
            Ok(run) => {
                self.run = run;
                Ok(self.run.holder.is_some())
            }
            Err(outcome) => {
                self.ended = Some(outcome);
                Ok(false)
            }
        }
    }
}
