//! A call that no model of AWS's describes: the same transaction and the same event as an operation's.
use super::event::{self, Called, Trail};
use super::pipeline::MAX_ATTEMPTS;
use super::{Arrival, Call, OperationError, Server};
use crate::authorize::Caller;
use crate::quotas::Throttled;
use crate::store::{Freshness, StoreError};
use crate::types::Timestamp;
use crate::wire::{Fault, ServiceError};
use serde_json::Value;

/// Such a call. It only reads.
pub trait Unmodelled: Sync {
    type Answer: Send;
    type Error: OperationError;
    /// CloudTrail's `eventSource` and `eventName`.
    const SOURCE: &'static str;
    const NAME: &'static str;
    /// How old what it reads may be.
    const FRESHNESS: Freshness = Freshness::Latest;

    /// The event's `requestParameters`.
    fn parameters(&self) -> Value;

    /// Answers, and says what the event shows of it.
    fn execute(
        &self,
        call: &mut Call<'_>,
    ) -> impl Future<Output = Result<(Self::Answer, Value), Self::Error>> + Send;
}

/// Runs the call until no commit of another one came in between. No answer leaves before its event is
/// durable.
pub async fn run_unmodelled<U: Unmodelled>(
    unmodelled: &U,
    server: &Server,
    caller: &Caller,
    arrival: &Arrival,
) -> Result<U::Answer, Fault> {
    let now = server.clock.now();
    let mut outcome = Err(U::Error::from(Throttled));
    let mut trail = Trail::default();
    for attempt in 0..MAX_ATTEMPTS {
        let mut call = Call::begin(server, caller, arrival, now, attempt > 0, U::FRESHNESS);
        let executed = unmodelled.execute(&mut call).await;
        let tx = call.tx;
        trail = call.trail;
        let ended = match executed {
            Ok(_) if !tx.is_read_only() => {
                Err(U::Error::from(StoreError::Corrupt("an unmodelled call wrote".into())))
            }
            Ok(answer) => tx.commit().await.map(|()| answer).map_err(U::Error::from),
            Err(error) => Err(error),
        };
        if !ended.as_ref().is_err_and(OperationError::is_conflict) {
            outcome = ended;
            break;
        }
    }
    let outcome = outcome.map_err(|error| {
        let fault = error.fault();
        if fault.is_ours() {
            let (request, operation) = (arrival.request_id.as_str(), U::NAME);
            tracing::error!(request, operation, %error, "call failed");
        }
        fault
    });
    log(unmodelled, server, caller, arrival, now, &mut trail, outcome).await
}

async fn log<U: Unmodelled>(
    unmodelled: &U,
    server: &Server,
    caller: &Caller,
    arrival: &Arrival,
    now: Timestamp,
    trail: &mut Trail,
    outcome: Result<(U::Answer, Value), Fault>,
) -> Result<U::Answer, Fault> {
    let called = Called::new(U::SOURCE, U::NAME, true);
    let mut event = event::of_call(caller, arrival, called, trail, now);
    event.request_parameters = Some(unmodelled.parameters());
    match &outcome {
        Ok((_, shown)) => event.response_elements = Some(shown.clone()),
        Err(fault) => event::mark_failed(&mut event, Some(fault)),
    }
    if let Err(error) = server.outbox.log(server, None, vec![event]).await {
        let request = arrival.request_id.as_str();
        tracing::error!(request, %error, "the audit log refused an event");
        return Err(Fault::internal());
    }
    outcome.map(|(answer, _)| answer)
}
