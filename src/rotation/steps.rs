//! One run, from where it stands to its end or to its next attempt. What a step did is written down
//! before the next one begins: so a crash repeats at most the step that it struck, which functions are
//! made for.
use super::drain;
use super::events::{self, Moment};
use super::lease::{self, Change, Decision, Lease, Standing};
use super::{Event, Failure, FailureKind, Invoke, SecretsClient};
use crate::call::Server;
use crate::functions::Function;
use crate::secrets::rotation::{Attempt, Outcome, Purpose, Run, Step};
use crate::secrets::{Secret, SecretError};
use crate::store::Tx;
use crate::types::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Seconds from a failed attempt to the next one; the last one is for all that follow.
const BACK_OFF_SECS: [i64; 6] = [10, 30, 60, 300, 600, 1800];
/// How often a run is tried.
const MOST_ATTEMPTS: u32 = 8;
/// A function ends by its own time-out; who does not is cut off so much later.
const GRACE: Duration = Duration::from_secs(5);
/// The lease of a run whose function is not registered: nothing is waited for.
const NO_TIME: Duration = Duration::ZERO;

/// Takes a run and works on it as far as it goes.
pub(super) async fn work(
    server: &Arc<Server>,
    node: &str,
    invoke: &Arc<dyn Invoke>,
    found: &Run,
) -> Result<(), SecretError> {
    let function = server.functions.find(&found.function).cloned();
    let time = function.as_ref().map_or(NO_TIME, |function| function.timeout + GRACE);
    let Some(mut lease) = Lease::take(server, node, found, time).await? else { return Ok(()) };
    loop {
        if lease.run.finished.is_some() {
            drain::end(server, invoke, function.as_ref(), &mut lease).await?;
            count(server, &lease);
            return Ok(());
        }
        if is_stopped(server, &mut lease).await? {
            count(server, &lease);
            return Ok(());
        }
        let began = server.clock.now();
        let outcome = match &function {
            Some(function) => perform(server, invoke, function, &lease.run).await,
            None => Err(Failure::lasting("the function is not registered")),
        };
        let milliseconds = server.clock.now().0.saturating_sub(began.0);
        let drains = function.as_ref().is_some_and(|function| function.drain.is_some());
        let step = Tried { began, milliseconds, outcome, time, drains };
        if !write_down(server, &mut lease, &step).await? {
            count(server, &lease);
            return Ok(());
        }
    }
}

/// Ends a run whose secret somebody changed since the last step: nothing more is asked of its function,
/// nor of one that was struck again.
async fn is_stopped(server: &Server, lease: &mut Lease) -> Result<bool, SecretError> {
    let struck = std::mem::take(&mut lease.struck);
    let goes_on = lease.decide(server, |standing| {
        Box::pin(async move {
            let Standing { tx, run, secret, now } = standing;
            match run.ended_by(secret) {
                Some(outcome) => stop(server, tx, run, secret, (outcome, *now)).await.map(Some),
                None if struck => strike(server, tx, run, secret, *now).await.map(Some),
                None => Ok(None),
            }
        })
    });
    Ok(!goes_on.await?)
}

/// Writes down what came of a step. Answers whether the run goes on here.
async fn write_down(server: &Server, lease: &mut Lease, step: &Tried) -> Result<bool, SecretError> {
    let goes_on = lease.decide(server, |standing| {
        Box::pin(async move { step.settle(server, standing).await.map(Some) })
    });
    goes_on.await
}

/// Counts how a run ended.
fn count(server: &Server, lease: &Lease) {
    let Some(outcome) = lease.ended else { return };
    let run = &lease.run;
    server.metrics.rotation_ended(outcome.name(), run.took(server.clock.now()));
    if outcome == Outcome::Failed {
        // What the function said is in the history: it may be anything.
        let (secret, function, step) = (run.arn.as_str(), run.function.as_str(), run.step.name());
        tracing::warn!(secret, function, step, "a rotation failed");
    }
}

/// Has the function do the step that is next.
async fn perform(
    server: &Arc<Server>,
    invoke: &Arc<dyn Invoke>,
    function: &Function,
    run: &Run,
) -> Result<Option<String>, Failure> {
    if run.purpose == Purpose::Test {
        copy_current(server, function, run).await?;
    }
    let event = Event {
        step: run.step,
        secret: run.arn.clone(),
        token: run.token.clone(),
        rotation_token: run.rotation_token.clone(),
    };
    let (invoke, owned) = (invoke.clone(), function.clone());
    // A task of its own: what breaks in it breaks nothing here, and it ends with this one.
    let mut alone = JoinSet::new();
    alone.spawn(async move { invoke.invoke(&owned, &event).await });
    match tokio::time::timeout(function.timeout + GRACE, alone.join_next()).await {
        Ok(Some(Ok(outcome))) => outcome,
        Ok(Some(Err(_)) | None) => Err(Failure::passing("the function broke off")),
        Err(_) => Err(Failure::passing(format!(
            "the function did not end within {} seconds",
            function.timeout.as_secs()
        ))),
    }
}

/// A test is made with the present value: the version that it is made with gets it, in the function's
/// name. (Secrets Manager API reference, RotateSecret, RotateImmediately.)
async fn copy_current(server: &Arc<Server>, function: &Function, run: &Run) -> Result<(), Failure> {
    let client = SecretsClient::of(server, function, &run.region).await?;
    let secret = run.arn.as_str();
    let none = || Failure::lasting("the secret has no current value");
    let current = client.value(secret, None, None).await?.ok_or_else(none)?;
    client.put_pending(secret, &run.token, &run.rotation_token, &current.text).await
}

/// What came of a step.
struct Tried {
    began: Timestamp,
    milliseconds: i64,
    outcome: Result<Option<String>, Failure>,
    time: Duration,
    /// Whether readers of the old version are waited for at the end.
    drains: bool,
}

impl Tried {
    /// Decides how the run goes on.
    async fn settle(
        &self,
        server: &Server,
        standing: &mut Standing<'_>,
    ) -> Result<Decision, SecretError> {
        let Standing { tx, run, secret, now } = standing;
        let (mut run, now) = (Run::clone(run), *now);
        let step = run.step;
        let failure = self.failure(&run, secret);
        run.tried(Attempt {
            step,
            started: self.began,
            milliseconds: self.milliseconds,
            error: failure.as_ref().map(|(_, message)| message.clone()),
            log: match &self.outcome {
                Ok(log) => log.clone(),
                Err(failure) => failure.log.clone(),
            },
        });
        if let Some(outcome) = run.ended_by(secret) {
            return stop(server, tx, &run, secret, (outcome, now)).await;
        }
        match failure {
            None if step == Step::FinishSecret && run.purpose == Purpose::Rotate && self.drains => {
                run.finished = Some(now);
                run.until = lease::until(now, self.time);
                Ok(on(run))
            }
            None if step == Step::FinishSecret || run.purpose == Purpose::Test => {
                run.conclude(tx, secret, Outcome::Succeeded, now).await?;
                Ok(over(server, &run, Outcome::Succeeded, Some(Moment::Succeeded)))
            }
            None => {
                run.step = step.next().unwrap_or(step);
                run.until = lease::until(now, self.time);
                Ok(on(run))
            }
            Some((kind, _)) => fail(server, tx, run, secret, (kind, now)).await,
        }
    }

    /// Why the step did not do what it is for.
    fn failure(&self, run: &Run, secret: &Secret) -> Option<(FailureKind, String)> {
        match &self.outcome {
            Ok(_) if run.step == Step::FinishSecret && !run.is_done(secret) => {
                let text =
                    "finishSecret ended without an error, but AWSCURRENT is not on the new version";
                Some((FailureKind::Passing, text.to_owned()))
            }
            Ok(_) => None,
            Err(failure) => Some((failure.kind, failure.message.clone())),
        }
    }
}

/// Ends a run before its time.
async fn stop(
    server: &Server,
    tx: &mut Tx<'_>,
    run: &Run,
    secret: &Secret,
    (outcome, now): (Outcome, Timestamp),
) -> Result<Decision, SecretError> {
    run.conclude(tx, secret, outcome, now).await?;
    let moment = (outcome == Outcome::Abandoned).then_some(Moment::Abandoned);
    Ok(over(server, run, outcome, moment))
}

/// Whoever held the run never came back, and the function may be why. The first time it goes on at once:
/// so an ordinary restart looks. From then on each is a failed attempt.
async fn strike(
    server: &Server,
    tx: &mut Tx<'_>,
    run: &Run,
    secret: &Secret,
    now: Timestamp,
) -> Result<Decision, SecretError> {
    let mut run = run.clone();
    let error = Some("the server stopped in this step, or was cut off".to_owned());
    run.tried(Attempt { step: run.step, started: now, milliseconds: 0, error, log: None });
    if run.failures > 0 {
        return fail(server, tx, run, secret, (FailureKind::Passing, now)).await;
    }
    run.failures = 1;
    Ok(on(run))
}

/// The whole is tried again from its first step, later and with the same version, as long as that is of
/// use.
async fn fail(
    server: &Server,
    tx: &mut Tx<'_>,
    mut run: Run,
    secret: &Secret,
    (kind, now): (FailureKind, Timestamp),
) -> Result<Decision, SecretError> {
    let step = run.step;
    let wait = BACK_OFF_SECS.get(usize::try_from(run.failures).unwrap_or(usize::MAX));
    let again = now.plus_secs(*wait.or(BACK_OFF_SECS.last()).unwrap_or(&0));
    run.failures = run.failures.saturating_add(1);
    let lasting = kind == FailureKind::Lasting || run.failures >= MOST_ATTEMPTS;
    if lasting || run.deadline.is_some_and(|end| again > end) {
        run.conclude(tx, secret, Outcome::Failed, now).await?;
        return Ok(over(server, &run, Outcome::Failed, Some(Moment::Failed(step))));
    }
    (run.step, run.not_before, run.holder) = (run.purpose.first(), again, None);
    Ok(on(run))
}

/// The run goes on, or waits for its next attempt.
fn on(run: Run) -> Decision {
    Decision { change: Change::On(Box::new(run)), events: Vec::new() }
}

fn over(server: &Server, run: &Run, outcome: Outcome, moment: Option<Moment>) -> Decision {
    let event = moment.map(|moment| events::of_run(server, run, moment));
    Decision { change: Change::Over(outcome), events: event.into_iter().collect() }
}
