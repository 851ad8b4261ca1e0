//! One API call from arrival to reply: what an operation is, what it may reach, and the pipeline that
//! every call goes through.
mod announced;
#[cfg(test)]
pub(crate) mod conformance;
mod elsewhere;
pub mod encoded_message;
mod endpoint;
mod event;
mod heavy;
mod operation;
mod outbox;
mod pipeline;
mod quota;
mod reattempts;
mod recorded;
mod server;
mod temporary;
mod token;
mod unmodelled;

pub use announced::Announced;
pub use elsewhere::synchronized;
pub use endpoint::{Endpoint, EndpointError};
pub use event::{Arrival, Via, identity};
pub use heavy::Heavy;
pub use operation::{
    Empty, Entry, Operation, OperationError, Reply, Service, ServiceTable, Speech,
};
pub use outbox::{Outbox, ReplayError, inherit, owners, replay};
pub use pipeline::{Unlogged, refuse, service_event};
pub use reattempts::Reattempts;
pub use server::Server;
pub use unmodelled::{Unmodelled, run_unmodelled};

/// What [`Call::record_event`] takes, for those who may not use the log itself.
pub use crate::audit::Event;
use crate::authorize::{
    self, AccessDenied, Account, Authorized, Caller, Conditions, NamedPolicy, Protected, authorize,
};
use crate::policy::Policy;
use crate::quotas::{Quota, Secret, Throttled};
use crate::random::Random;
use crate::store::{Freshness, Tx};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Region, Timestamp};
use serde_json::Value;
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::sync::Arc;
use std::time::Duration;

/// One call in progress. Time stands still inside it.
#[derive(Debug)]
pub struct Call<'a> {
    pub server: &'a Server,
    pub arrival: &'a Arrival,
    pub caller: &'a Caller,
    pub now: Timestamp,
    pub tx: Tx<'a>,
    /// What the audit event will say beside the request: resources, additional data, and the calls
    /// that a service made on the caller's behalf.
    pub(crate) trail: event::Trail,
    /// Where it is: elsewhere than where it arrived, while a part of it goes to another region.
    region: &'a Region,
    /// The service that is calling another one for the caller, while it does.
    via: Option<Via>,
    /// The keys that the call used, and for which operation: noted once it has succeeded.
    uses: SmallVec<[Use; 1]>,
    /// The versions of secrets that it answers, noted likewise.
    reads: SmallVec<[(Arn, String); 1]>,
    /// How the rotations ended that it put an end to, and how long they took: counted likewise.
    rotations: Vec<(&'static str, Duration)>,
    /// The id that the event of the call made on the caller's behalf will have, while there is one.
    inner_event: Option<SmolStr>,
    /// Whether a conflict makes it run once more. It is one request all the same.
    again: bool,
    /// What other hosts said yes to in an earlier attempt at the same request: they are not asked again,
    /// or who waits for an answer would never be done beside others who are quicker.
    asked: Vec<String>,
    /// The request quotas that its use of keys was counted against.
    counted: SmallVec<[Quota; 2]>,
}

/// A key that a call used.
#[derive(Debug)]
struct Use {
    key: Arn,
    operation: &'static str,
    /// The event that tells of it.
    event_id: SmolStr,
}

impl<'a> Call<'a> {
    fn begin(
        server: &'a Server,
        caller: &'a Caller,
        arrival: &'a Arrival,
        now: Timestamp,
        again: bool,
        freshness: Freshness,
    ) -> Self {
        Self {
            server,
            arrival,
            caller,
            now,
            tx: server.store.begin_with(freshness),
            trail: event::Trail::default(),
            region: &arrival.region,
            via: None,
            uses: SmallVec::new(),
            reads: SmallVec::new(),
            rotations: Vec::new(),
            inner_event: None,
            again,
            asked: Vec::new(),
            counted: SmallVec::new(),
        }
    }

    /// Whether an earlier attempt at this request has got a yes to this.
    pub(crate) fn was_told(&self, what: &str) -> bool {
        self.asked.iter().any(|asked| asked == what)
    }

    pub(crate) fn note_told(&mut self, what: String) {
        self.asked.push(what);
    }

    pub fn principal(&self) -> &'a Principal {
        &self.caller.principal
    }
    /// The caller's account.
    pub fn account(&self) -> &'a AccountId {
        &self.caller.principal.account
    }
    pub fn region(&self) -> &'a Region {
        self.region
    }
    pub fn random(&self) -> Arc<dyn Random> {
        self.server.random.clone()
    }
    /// What operations that name no resource ask permission for.
    pub fn whole_account(&self) -> Account {
        Account(self.account().clone())
    }

    /// May this caller do this to that? The resource goes into the audit event whatever the answer.
    pub fn authorize<T: Protected>(
        &mut self,
        action: &str,
        what: T,
        conditions: Conditions,
    ) -> Result<Authorized<T>, AccessDenied> {
        self.authorize_for(self.caller, action, what, conditions)
    }

    /// The same for whom a token in the request showed to be the caller. The event names them.
    pub fn authorize_as<T: Protected>(
        &mut self,
        caller: &Caller,
        action: &str,
        what: T,
        conditions: Conditions,
    ) -> Result<Authorized<T>, AccessDenied> {
        self.trail.identify(caller);
        self.authorize_for(caller, action, what, conditions)
    }

    fn authorize_for<T: Protected>(
        &mut self,
        caller: &Caller,
        action: &str,
        what: T,
        mut conditions: Conditions,
    ) -> Result<Authorized<T>, AccessDenied> {
        if what.arn() != "*" {
            self.trail.touch(what.kind(), what.account(), what.shared_arn());
        }
        self.describe(caller, action, &mut conditions);
        let outcome = authorize(caller, action, what, conditions, self.endpoint_policy());
        if let Err(denied) = &outcome {
            self.trail.refused = encoded_message::explain(caller, action, denied);
        }
        outcome
    }

    /// Whether an operation that needs no permission may be done where the request came in.
    pub fn pass(&mut self, action: &str) -> Result<(), AccessDenied> {
        let Some(endpoint) = self.endpoint_policy() else { return Ok(()) };
        let mut conditions = Conditions::default();
        self.describe(self.caller, action, &mut conditions);
        let outcome = authorize::pass(self.caller, action, conditions, endpoint);
        if let Err(denied) = &outcome {
            self.trail.refused = encoded_message::explain(self.caller, action, denied);
        }
        outcome
    }

    /// The policy of the endpoint that the call came through. What a service asks of another one
    /// does not come through it.
    fn endpoint_policy(&self) -> Option<&'a NamedPolicy> {
        let endpoint = self.arrival.endpoint.as_deref().filter(|_| self.via.is_none())?;
        endpoint.policy.as_ref()
    }

    /// Adds the condition keys that come from the request itself and from where it is made.
    fn describe(&self, caller: &Caller, action: &str, conditions: &mut Conditions) {
        self.describe_in(self.region, caller, action, conditions);
    }

    fn describe_in(
        &self,
        region: &Region,
        caller: &Caller,
        action: &str,
        conditions: &mut Conditions,
    ) {
        self.arrival.describe(conditions, region, self.now);
        if self.via.is_none() {
            self.arrival.describe_network(conditions);
        }
        event::describe_services(conditions, caller.door(), self.via, action, region);
        if let Some(mfa) = caller.session.as_ref().and_then(|session| session.mfa) {
            let age = self.now.secs().saturating_sub(mfa.secs()).max(0);
            // A code that came with the request itself is younger.
            if conditions.single("aws:multifactorauthage").is_none() {
                conditions.add("aws:multifactorauthage", age.to_string());
            }
        }
    }

    /// Whether the caller could still do `action` if a key had this policy. `conditions` are what
    /// is known of the key and of such a request.
    pub fn would_allow(
        &self,
        action: &str,
        key: &Arn,
        key_policy: &Policy,
        mut conditions: Conditions,
    ) -> bool {
        self.describe(self.caller, action, &mut conditions);
        authorize::would_allow(self.caller, action, key, key_policy, conditions)
    }

    /// Whether the caller could do `action` in that region now. Nothing is done by it, and the audit
    /// event says nothing of it.
    pub fn could<T: Protected>(
        &self,
        action: &str,
        region: &Region,
        what: T,
        mut conditions: Conditions,
    ) -> bool {
        self.describe_in(region, self.caller, action, &mut conditions);
        authorize(self.caller, action, what, conditions, self.endpoint_policy()).is_ok()
    }

    /// Does heavy arithmetic away from the threads that serve requests. None if it broke off.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Throttled> {
        self.server.heavy.run(self.account(), work).await
    }

    /// Counts an attempt to guess the user's code or password.
    pub fn guess(&self, secret: Secret, user_id: &str) -> Result<(), Throttled> {
        // One that a conflict makes run again is the same attempt.
        if self.again {
            return Ok(());
        }
        self.server.guesses.count(secret, user_id, self.now.secs())
    }

    /// Has nothing said of the last refusal but that it is one, not even in its encoded message.
    pub fn leave_unexplained(&mut self) {
        self.trail.refused = None;
    }

    /// Says that the call uses a key: what GetKeyLastUsage tells.
    pub fn uses_key(&mut self, key: &Arn, operation: &'static str) {
        let event_id = self.inner_event.as_ref().unwrap_or(&self.arrival.event_id).clone();
        self.uses.push(Use { key: key.clone(), operation, event_id });
    }

    /// Says that the caller is given a version of a secret. What a service reads for itself is not
    /// noted: there is nobody to wait for.
    pub fn reads_version(&mut self, secret: &Arn, version: &str) {
        if !matches!(self.principal().kind, PrincipalKind::Service { .. }) {
            self.reads.push((secret.clone(), version.to_owned()));
        }
    }

    /// Says that the call puts an end to a rotation: what the metrics tell.
    pub fn ends_rotation(&mut self, outcome: &'static str, took: Duration) {
        self.rotations.push((outcome, took));
    }

    /// Names a resource that the call made, for the audit event.
    pub fn touched(&mut self, kind: &'static str, arn: &Arn) {
        self.trail.touch(kind, arn.account(), arn.into());
    }

    /// Adds to the audit event's `additionalEventData`.
    pub fn record(&mut self, name: &'static str, value: impl Into<Value>) {
        self.trail.add(name, value.into());
    }

    /// Adds to the audit event's `responseElements` what the answer itself does not say.
    pub fn record_answer(&mut self, name: &'static str, value: impl Into<Value>) {
        self.trail.answer(name, value.into());
    }

    /// Whether a service makes this call for the caller.
    pub fn is_on_behalf(&self) -> bool {
        self.via.is_some()
    }

    /// The same for the id of key material, which only symmetric keys have.
    pub fn record_material(&mut self, name: &'static str, id: Option<String>) {
        if let Some(id) = id {
            self.record(name, id);
        }
    }

    /// Logs one more event with this call's own, if it succeeds: of what the service does by itself
    /// because of it.
    pub fn record_event(&mut self, event: Event) {
        self.trail.happens_with_the_call(event);
    }

    /// Runs `inner` as a call that `via` makes to another service on the caller's behalf: the
    /// caller's own permissions count, `kms:ViaService` holds, and the call has an audit event of
    /// its own. Nothing a client sends can bring this about.
    pub async fn on_behalf<T, E: OperationError>(
        &mut self,
        via: Via,
        name: &'static str,
        source: &'static str,
        parameters: Value,
        inner: impl AsyncFnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let outer_via = self.via.replace(via);
        let event_id = self.server.random.request_id();
        let outer_event = self.inner_event.replace(event_id.clone());
        let outer_trail = std::mem::take(&mut self.trail);
        let outer_counted = std::mem::take(&mut self.counted);
        let outcome = inner(self).await;
        let mut inner_trail = std::mem::replace(&mut self.trail, outer_trail);
        self.trail.refused = inner_trail.refused.take();
        self.trail.contain(&mut inner_trail);
        self.via = outer_via;
        self.inner_event = outer_event;
        self.counted = outer_counted;
        let fault = outcome.as_ref().err().map(|e| e.fault());
        let mut event =
            event::on_behalf(self, via, name, source, parameters, inner_trail, fault.as_ref());
        event.event_id = event_id;
        event.aws_region = self.region.as_str().into();
        self.trail.happened(event);
        outcome
    }
}

/// A service's table: its operations, in the order of their names.
///
/// The modules are declared beside it by hand: rustfmt does not see a `mod` inside a macro.
#[macro_export]
macro_rules! operations {
    ($($module:ident :: $op:ident),+ $(,)?) => {
        $(pub use $module::$op;)+
        pub static OPERATIONS: &[$crate::call::Entry] = &[$($crate::call::Entry::of::<$op>()),+];
    };
}

/// A service: its name, how it speaks, its model, its operations; and the test that our types are
/// the model's.
#[macro_export]
macro_rules! service {
    (
        $(#[$doc:meta])*
        $name:ident {
            error: $error:ty,
            source: $source:literal,
            $(freshness: $freshness:ident,)?
            signing_name: $signing:literal,
            protocol: $speech:ident { $($field:ident : $value:expr),* $(,)? },
            model: $file:literal $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl $crate::call::Service for $name {
            const SOURCE: &'static str = $source;
            $(const FRESHNESS: $crate::store::Freshness = $crate::store::Freshness::$freshness;)?
            type Error = $error;
            fn table() -> &'static $crate::call::ServiceTable {
                &TABLE
            }
            fn model() -> &'static $crate::wire::Model {
                static MODEL: std::sync::LazyLock<$crate::wire::Model> =
                    std::sync::LazyLock::new(|| {
                        $crate::wire::Model::parse(include_str!(concat!(
                            env!("CARGO_MANIFEST_DIR"),
                            "/models/",
                            $file
                        )))
                    });
                &MODEL
            }
        }

        pub static TABLE: $crate::call::ServiceTable = $crate::call::ServiceTable {
            source: $source,
            signing_name: $signing,
            speech: $crate::call::Speech::$speech { $($field: $value),* },
            model: <$name as $crate::call::Service>::model,
            operations: OPERATIONS,
        };

        #[test]
        fn our_types_are_the_models() {
            $crate::call::conformance::conforms(&TABLE);
        }
    };
}
