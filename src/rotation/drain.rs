//! The end of a rotation whose function has `drain`: it waits until nobody needs the old version any
//! more, or until its time is over. Nothing sleeps meanwhile: the run is looked at again now and then.
use super::events::{self, Moment};
use super::lease::{Change, Decision, Lease, Standing};
use super::{Failure, Invoke};
use crate::call::Server;
use crate::functions::Function;
use crate::secrets::SecretError;
use crate::secrets::readers::{IDLE_SECONDS, Judge, Judged};
use crate::secrets::rotation::{Outcome, Run};
use crate::store::StoreError;
use crate::types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a run rests between two looks at the readers.
const ASK_AGAIN_SECS: i64 = 10;

/// Ends a run whose steps are done, or lets it rest while readers are behind.
pub(super) async fn end(
    server: &Server,
    invoke: &Arc<dyn Invoke>,
    function: Option<&Function>,
    lease: &mut Lease,
) -> Result<(), SecretError> {
    let Some(current) = rests(server, function, lease).await? else { return Ok(()) };
    if let Some(function) = function.filter(|_| current) {
        let Run { arn, token, .. } = &*lease.run;
        // Not in the transaction: a database takes its time. And once only: it may be what broke.
        let discarded = match lease.struck {
            true => Err(Failure::passing("it was broken off")),
            false => invoke.discard_old(function, arn, token).await,
        };
        if let Err(failure) = discarded {
            let secret = arn.as_str();
            // The next rotation does it before anything else.
            tracing::warn!(secret, kind = ?failure.kind, "cannot take an old password away");
        }
    }
    let goes_on = lease.decide(server, |standing| {
        Box::pin(async move { conclude(server, function, standing).await.map(Some) })
    });
    goes_on.await.map(drop)
}

/// Lays the run aside for a while, if somebody is to be waited for; or answers whether what it made is
/// the current version still. Once that was rolled back, the old password is the one that is needed.
async fn rests(
    server: &Server,
    function: Option<&Function>,
    lease: &mut Lease,
) -> Result<Option<bool>, SecretError> {
    let current = AtomicBool::new(false);
    let decided =
        lease.decide(server, |standing| Box::pin(rest(server, function, standing, &current)));
    let goes_on = decided.await?;
    Ok(goes_on.then(|| current.into_inner()))
}

async fn rest(
    server: &Server,
    function: Option<&Function>,
    standing: &mut Standing<'_>,
    current: &AtomicBool,
) -> Result<Option<Decision>, SecretError> {
    let end = deadline(&standing.run, function);
    // Of a secret that was changed meanwhile, the rest is not ours to wait for.
    let changed = standing.run.ended_by(&standing.secret).is_some();
    if changed || standing.now >= end || behind(server, function, standing).await?.is_empty() {
        current.store(!changed && standing.run.is_done(&standing.secret), Ordering::Relaxed);
        return Ok(None);
    }
    let mut run = Run::clone(&standing.run);
    run.holder = None;
    run.not_before = standing.now.plus_secs(ASK_AGAIN_SECS).min(end);
    Ok(Some(Decision { change: Change::On(Box::new(run)), events: Vec::new() }))
}

/// The rotation is a success, unless it is no longer wanted: its steps are done, whatever was made of the
/// labels since. Whoever still uses the old version is named, if that was not changed too.
async fn conclude(
    server: &Server,
    function: Option<&Function>,
    standing: &mut Standing<'_>,
) -> Result<Decision, SecretError> {
    let left = behind(server, function, standing).await?;
    let Standing { tx, run, secret, now } = standing;
    let ended = run.ended_by(secret);
    if ended == Some(Outcome::Cancelled) {
        run.conclude(tx, secret, Outcome::Cancelled, *now).await?;
        return Ok(Decision { change: Change::Over(Outcome::Cancelled), events: Vec::new() });
    }
    run.conclude(tx, secret, Outcome::Succeeded, *now).await?;
    let mut events = vec![events::of_run(server, run, Moment::Succeeded)];
    if ended.is_none() && !left.is_empty() {
        events.push(events::in_use(server, run, secret, &left));
    }
    Ok(Decision { change: Change::Over(Outcome::Succeeded), events })
}

fn deadline(run: &Run, function: Option<&Function>) -> Timestamp {
    let wait = function.and_then(|function| function.drain).unwrap_or_default();
    let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    run.finished.unwrap_or(run.started).plus_secs(wait)
}

/// Who read the old version and not the new one since.
async fn behind(
    server: &Server,
    function: Option<&Function>,
    standing: &mut Standing<'_>,
) -> Result<Vec<Judged>, StoreError> {
    let judge = Judge {
        reads: &server.last_uses.reads,
        since: standing.now.plus_secs(-IDLE_SECONDS),
        rotator: function.map(|function| &function.role),
    };
    let Some(old) = standing.secret.previous().map(str::to_owned) else { return Ok(Vec::new()) };
    judge.undrained(&mut standing.tx, &standing.secret, &old).await
}
