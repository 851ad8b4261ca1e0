//! The way of every call: request quota → model check → typed decode → execute → commit (a conflict
//! runs the whole call again) → audit → encode. No answer leaves before its event is durable.
use super::event::{self, Called, Trail};
use super::outbox::Doubt;
use super::recorded::recorded;
use super::{
    Arrival, Call, Operation, OperationError, Outbox, Reply, Server, Service, encoded_message,
    quota, temporary,
};
use crate::audit::{self, Event, EventType, UserIdentity};
use crate::authorize::Caller;
use crate::failpoints::{self, Point};
use crate::last_use::LastUse;
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::types::{AccountId, Arn, Region, Timestamp};
use crate::wire::{Fault, OperationModel, Rejection, ServiceError, json};
use smol_str::SmolStr;
use std::fmt;

/// Conflicts that one call outlives. Beyond it the caller is asked to slow down: so many rivals for
/// the same rows are a load problem, not a bug.
pub(super) const MAX_ATTEMPTS: u32 = 16;

/// What is asked, by whom, and what the model says of it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    caller: &'a Caller,
    arrival: &'a Arrival,
    body: &'a [u8],
    now: Timestamp,
    model: Option<&'static OperationModel>,
}

impl<'a> Asked<'a> {
    pub(super) fn of<O: Operation>(
        caller: &'a Caller,
        arrival: &'a Arrival,
        body: &'a [u8],
        now: Timestamp,
    ) -> Self {
        Self { caller, arrival, body, now, model: O::Service::model().operation(O::NAME) }
    }
}

/// An operation's outcome before its event is durable.
struct Done {
    reply: Reply,
    events: Vec<Event>,
    /// Whether the events also wait in the outbox, committed with the change.
    in_outbox: bool,
    /// That its commit may have taken effect all the same.
    doubt: Option<Box<Doubt>>,
}

/// Without the reply, which may be a plaintext.
impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reply: _, events, in_outbox, doubt } = self;
        let mut shown = f.debug_struct("Done");
        shown.field("events", events).field("in_outbox", in_outbox).field("doubt", doubt);
        shown.finish_non_exhaustive()
    }
}

pub(super) async fn run<O: Operation>(
    server: &Server,
    caller: &Caller,
    arrival: &Arrival,
    body: &[u8],
) -> Unlogged {
    let asked = Asked::of::<O>(caller, arrival, body, server.clock.now());
    let counted = quota::count::<O>(server, caller, arrival)
        .map_err(|throttled| (ErrorOf::<O>::from(throttled).fault(), &[][..]));
    let may_ask =
        || temporary::check(O::Service::SOURCE, O::NAME, caller).map_err(|fault| (fault, &[][..]));
    let done = match counted.and_then(|()| may_ask()).and_then(|()| check::<O>(asked)) {
        Ok(()) => attempt::<O>(server, asked).await,
        Err((fault, shown)) => refused::<O>(Asked { body: shown, ..asked }, fault),
    };
    let waiting_as = done.in_outbox.then(|| arrival.event_id.clone());
    Unlogged { done, waiting_as, request_id: arrival.request_id.clone() }
}

/// A call that is done, and of which nobody may be told before its events are in the log. What the call
/// itself needed is gone: whoever waits for a disk should hold little.
#[derive(Debug)]
#[must_use = "what is done is logged and then answered"]
pub struct Unlogged {
    done: Done,
    /// The id under which its events are in the outbox.
    waiting_as: Option<SmolStr>,
    request_id: SmolStr,
}

impl Unlogged {
    /// The reply, once its events are durable.
    pub async fn logged(self, server: &Server) -> Reply {
        let Self { done, waiting_as, request_id } = self;
        let request = request_id.as_str();
        let Done { reply, events, doubt, .. } = done;
        let logged = match doubt {
            None => server.outbox.log(server, waiting_as.as_deref(), events).await,
            Some(doubt) => server.outbox.log_in_doubt(server, *doubt, events).await,
        };
        if let Err(error) = logged {
            tracing::error!(request, %error, "the audit log refused an event");
            return Err(Fault::internal());
        }
        failpoints::reach(Point::Answer);
        reply
    }
}

/// Checks the request against the service's model, so that the messages are AWS's own. A refusal
/// comes with what of the body its event may show: nothing, if the body is not of the model's types
/// and so may hold anything anywhere.
fn check<O: Operation>(asked: Asked<'_>) -> Result<(), (Fault, &[u8])> {
    let protocol = O::Service::table().protocol();
    let Some(operation) = asked.model else {
        return Err((Fault::unknown_operation(protocol, O::NAME, None), &[]));
    };
    operation.check(asked.body).map_err(|rejection| {
        let shown = if matches!(rejection, Rejection::Malformed(_)) { &[] } else { asked.body };
        (rejection.fault(protocol), shown)
    })
}

async fn attempt<O: Operation>(server: &Server, asked: Asked<'_>) -> Done {
    let Asked { caller, arrival, body, now, .. } = asked;
    let protocol = O::Service::table().protocol();
    let mut trail = Trail::default();
    let mut told = Vec::new();
    for attempt in 0..MAX_ATTEMPTS {
        let request: O = match json::decode(body) {
            Ok(request) => request,
            Err(rejection) => return refused::<O>(asked, rejection.fault(protocol)),
        };
        let mut call =
            Call::begin(server, caller, arrival, now, attempt > 0, O::Service::FRESHNESS);
        call.asked = told;
        let executed = request.execute(&mut call).await;
        told = std::mem::take(&mut call.asked);
        trail = std::mem::take(&mut call.trail);
        match executed {
            Ok(response) => match commit::<O>(call, &mut trail, asked, &response).await {
                Ok(done) => return done,
                Err((StoreError::Conflict, _)) => {}
                Err((error, doubt)) => {
                    let mut done = failed::<O>(asked, error.into(), &mut trail);
                    // The commit's outcome may be unknown, and its event lie in the outbox: this one
                    // must not pass for it. The others may, so that none is logged twice.
                    if let Some(own) = done.events.last_mut() {
                        own.event_id = server.random.request_id();
                    }
                    done.doubt = doubt;
                    return done;
                }
            },
            Err(error) if error.is_conflict() => {}
            Err(error) => {
                let refused = trail.refused.take();
                let mut done = failed::<O>(asked, error, &mut trail);
                if let Err(fault) = &mut done.reply {
                    encoded_message::attach(server, caller, fault, refused);
                }
                return done;
            }
        }
    }
    // Of all attempts the last one is told.
    failed::<O>(asked, Throttled.into(), &mut trail)
}

/// Commits the call's writes together with its event. A failure comes with the doubt whether it is one.
async fn commit<O: Operation>(
    mut call: Call<'_>,
    trail: &mut Trail,
    asked: Asked<'_>,
    response: &O::Response,
) -> Result<Done, (StoreError, Option<Box<Doubt>>)> {
    let encoded = json::encode(response).map_err(|error| {
        (StoreError::Corrupt(format!("an answer cannot be encoded: {error}")), None)
    })?;
    let event = finish::<O>(asked, trail, Ok(&encoded));
    let in_outbox = !call.tx.is_read_only();
    if in_outbox {
        let (server, id) = (call.server, &call.arrival.event_id);
        let put = server
            .outbox
            .check()
            .and_then(|()| Outbox::put(server, &mut call.tx, id, trail.events(&event)));
        if let Err(error) = put {
            trail.take_back(event);
            return Err((error, None));
        }
    }
    if let Err(error) = call.tx.commit().await {
        let told = || trail.so_far().map(|event| event.event_id.to_string()).collect();
        let id = in_outbox.then_some(&call.arrival.event_id);
        let doubt = id.and_then(|id| Doubt::of(id, &error, told)).map(Box::new);
        trail.take_back(event);
        return Err((error, doubt));
    }
    for used in call.uses {
        let last = LastUse {
            operation: SmolStr::new_static(used.operation),
            at: call.now,
            event_id: used.event_id,
            request_id: call.arrival.request_id.clone(),
        };
        call.server.last_uses.note(&used.key, last);
    }
    for (secret, version) in &call.reads {
        let reads = &call.server.last_uses.reads;
        reads.note(secret, version, &call.caller.principal, call.now);
    }
    for (outcome, took) in call.rotations {
        call.server.metrics.rotation_ended(outcome, took);
    }
    let events = trail.take_events(true, event);
    Ok(Done { reply: Ok(encoded), events, in_outbox, doubt: None })
}

type ErrorOf<O> = <<O as Operation>::Service as Service>::Error;

fn failed<O: Operation>(asked: Asked<'_>, error: ErrorOf<O>, trail: &mut Trail) -> Done {
    let fault = error.fault();
    if fault.is_ours() {
        // The caller learns nothing of our insides; the log learns everything, once.
        let request = asked.arrival.request_id.as_str();
        tracing::error!(request, operation = O::NAME, %error, "call failed");
    }
    let event = finish::<O>(asked, trail, Err(&fault));
    let events = trail.take_events(false, event);
    Done { reply: Err(fault), events, in_outbox: false, doubt: None }
}

fn refused<O: Operation>(asked: Asked<'_>, fault: Fault) -> Done {
    let event = finish::<O>(asked, &mut Trail::default(), Err(&fault));
    Done { reply: Err(fault), events: vec![event], in_outbox: false, doubt: None }
}

/// The call's event. `outcome` is the encoded answer, or the fault.
pub(super) fn finish<O: Operation>(
    asked: Asked<'_>,
    trail: &mut Trail,
    outcome: Result<&[u8], &Fault>,
) -> Event {
    let called = Called::new(O::Service::SOURCE, O::NAME, O::READ_ONLY);
    let mut event = event::of_call(asked.caller, asked.arrival, called, trail, asked.now);
    let input = asked.model.map(OperationModel::input);
    event.request_parameters = recorded(asked.body, O::RECORDED, input);
    match outcome {
        Ok(answer) => {
            let output = asked.model.map(OperationModel::output);
            event.response_elements = trail.answered(recorded(answer, O::ANSWER_RECORDED, output));
        }
        Err(fault) => event::mark_failed(&mut event, Some(fault)),
    }
    event
}

/// Records a request that did not get as far as an operation, and answers its fault.
pub async fn refuse(
    server: &Server,
    arrival: &Arrival,
    source: &str,
    name: &str,
    identity: UserIdentity,
    fault: Fault,
) -> Fault {
    let called = Called { source: source.into(), name: name.into(), read_only: false };
    let account = identity.account_id.clone().unwrap_or_default();
    let now = server.clock.now();
    let mut event = event::blank(arrival, called, identity.into(), account, now);
    event::mark_failed(&mut event, Some(&fault));
    match server.outbox.log(server, None, vec![event]).await {
        Ok(()) => fault,
        Err(error) => {
            tracing::error!(request = arrival.request_id.as_str(), %error, "the audit log refused an event");
            Fault::internal()
        }
    }
}

/// The event of something that a service did by itself, such as destroying a key that was due.
pub fn service_event(
    server: &Server,
    source: &str,
    name: &str,
    account: &AccountId,
    region: &Region,
    resource: (&str, &Arn),
) -> Event {
    let mut event = own_event(server, source, name, account.as_str(), region);
    let (kind, arn) = resource;
    event.resources = vec![audit::Resource {
        account_id: account.as_str().into(),
        resource_type: kind.into(),
        arn: arn.as_str().into(),
    }];
    event
}

/// Says that the audit log takes events again after it refused some.
pub(super) fn recovery_event(server: &Server, region: &Region) -> Event {
    own_event(server, "claviger", "AuditLogRecovered", "", region)
}

/// An event of what the deployment as a whole went through: of no account.
pub fn deployment_event(server: &Server, name: &str, region: &Region) -> Event {
    own_event(server, "claviger", name, "", region)
}

fn own_event(server: &Server, source: &str, name: &str, account: &str, region: &Region) -> Event {
    let arrival = Arrival::within(&*server.random, region, source);
    let called = Called { source: source.into(), name: name.into(), read_only: false };
    let identity = UserIdentity::service(account, source);
    let now = server.clock.now();
    let mut event = event::blank(&arrival, called, identity.into(), account.into(), now);
    event.event_type = EventType::AwsServiceEvent;
    event
}

/// Commits a transaction that a background task made, with its events.
impl Server {
    pub async fn commit_service_events(
        &self,
        mut tx: crate::store::Tx<'_>,
        events: Vec<Event>,
    ) -> Result<(), super::outbox::ReplayError> {
        let Some(id) = events.first().map(|e| e.event_id.clone()) else { return Ok(()) };
        self.outbox.check()?;
        Outbox::put(self, &mut tx, &id, events.clone())?;
        if let Err(error) = tx.commit().await {
            self.outbox.doubt(Doubt::of(&id, &error, Vec::new));
            return Err(error.into());
        }
        self.outbox.log(self, Some(&id), events).await?;
        Ok(())
    }
}
