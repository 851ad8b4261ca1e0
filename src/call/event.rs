//! The audit event of a call: who, from where, what, on which resources, and how it ended.
use super::{Call, Endpoint};
use crate::audit::{
    EVENT_VERSION, Event, EventType, IdentityType, Resource, SessionAttributes, SessionContext,
    SessionIssuer, TlsDetails, UserIdentity,
};
use crate::authorize::{Caller, Conditions, Door};
use crate::random::Random;
use crate::services;
use crate::types::{Arn, Principal, PrincipalKind, Region, Timestamp};
use crate::wire::Fault;
use serde_json::{Map, Value};
use smol_str::{SmolStr, ToSmolStr};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What is known of a request before anything of its body is read.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub request_id: SmolStr,
    pub event_id: SmolStr,
    /// The region of the credential scope.
    pub region: Region,
    /// The client's address: its own connection's, or what a trusted proxy says.
    pub source_ip: IpAddr,
    /// The endpoint that it came through, if it did not come over the API's own listener.
    pub endpoint: Option<Arc<Endpoint>>,
    pub user_agent: SmolStr,
    pub tls: Option<TlsDetails>,
}

impl Arrival {
    /// Of a call that a service makes inside the server: it comes over no network.
    pub fn within(random: &dyn Random, region: &Region, service: &str) -> Self {
        Self {
            request_id: random.request_id(),
            event_id: random.request_id(),
            region: region.clone(),
            source_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            endpoint: None,
            user_agent: service.into(),
            tls: None,
        }
    }

    fn is_within(&self) -> bool {
        self.source_ip.is_unspecified()
    }

    /// The condition keys that come with the request (IAM user guide, "AWS global condition context
    /// keys").
    pub(super) fn describe(&self, conditions: &mut Conditions, region: &Region, now: Timestamp) {
        let secure = self.tls.is_some() || self.is_within();
        conditions.add("aws:securetransport", if secure { "true" } else { "false" });
        conditions.add("aws:requestedregion", region.as_str());
        conditions.add("aws:currenttime", now.whole_secs().to_smolstr());
        conditions.add("aws:epochtime", now.secs().to_smolstr());
        conditions.add("aws:useragent", self.user_agent.clone());
    }

    /// The condition keys of the caller's way here. What a service asks of another one in the
    /// caller's name does not come that way and has none of them: a policy that wants an address or
    /// an endpoint does not allow it (KMS developer guide, "Using VPC endpoint conditions in
    /// policies with AWS KMS permissions").
    pub(super) fn describe_network(&self, conditions: &mut Conditions) {
        if self.is_within() {
            return;
        }
        let address = self.source_ip.to_smolstr();
        match &self.endpoint {
            None => conditions.add("aws:sourceip", address),
            Some(endpoint) => {
                conditions.add("aws:vpcsourceip", address);
                conditions.add("aws:sourcevpc", endpoint.vpc.as_str());
                conditions.add("aws:sourcevpce", endpoint.id.as_str());
            }
        }
    }
}

/// A service that calls another one on the caller's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    SecretsManager,
}

impl Via {
    const fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
        }
    }
    /// What CloudTrail calls it.
    const fn principal(self) -> SmolStr {
        match self {
            Self::SecretsManager => SmolStr::new_static("secretsmanager.amazonaws.com"),
        }
    }
}

/// Adds what says through whom the caller does this: through the registered service that acts for it,
/// through a service of ours, or through the one and then the other. The last one is whom KMS sees.
///
/// A registered service is none of AWS's: `aws:ViaAWSService` and `kms:GrantIsForAWSResource` do not
/// hold for it.
pub(super) fn describe_services(
    conditions: &mut Conditions,
    door: Option<&Door>,
    via: Option<Via>,
    action: &str,
    region: &Region,
) {
    let registered = door.map(|door| SmolStr::new(&door.service));
    let ours = via.map(Via::principal);
    let first = registered.as_ref().or(ours.as_ref());
    let last = ours.as_ref().or(registered.as_ref());
    let (Some(first), Some(last)) = (first, last) else { return };
    conditions.add("aws:calledviafirst", first.clone());
    conditions.add("aws:calledvialast", last.clone());
    conditions.add_all("aws:calledvia", registered.iter().chain(&ours).cloned());
    if let Some(via) = via {
        conditions.add("aws:viaawsservice", "true");
        let service = [via.name(), ".", region.as_str(), ".amazonaws.com"];
        conditions.add("kms:viaservice", service.concat());
    } else if action.starts_with("kms:") {
        conditions.add("kms:viaservice", services::via(last, region));
    }
}

/// An event that a call leaves behind.
#[derive(Debug)]
struct Inner {
    event: Event,
    /// Whether what it tells of is undone if the call fails.
    with_the_call: bool,
}

/// What a call leaves behind for its event.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    resources: Vec<Resource>,
    additional: Map<String, Value>,
    /// What the event says of the answer, beside members of it.
    answered: Map<String, Value>,
    /// What there is to say about the last refusal, for its encoded message.
    pub(super) refused: Option<String>,
    /// Events of what happened within the call.
    inner: Vec<Inner>,
    /// Who called, if that came out in the call only.
    identity: Option<Arc<UserIdentity>>,
}

impl Trail {
    /// Adds the event of what has happened whatever becomes of the call, such as a use of a key.
    pub(super) fn happened(&mut self, event: Event) {
        self.leave(Inner { event, with_the_call: false });
    }
    /// Adds the event of what happens with the call, or not at all.
    pub(super) fn happens_with_the_call(&mut self, event: Event) {
        self.leave(Inner { event, with_the_call: true });
    }
    fn leave(&mut self, inner: Inner) {
        // Events are large and most often there is one.
        if self.inner.is_empty() {
            self.inner.reserve_exact(1);
        }
        self.inner.push(inner);
    }
    /// Takes over what happened in a part of the call.
    pub(super) fn contain(&mut self, part: &mut Self) {
        self.inner.append(&mut part.inner);
    }
    pub(super) fn last_event(&mut self) -> Option<&mut Event> {
        self.inner.last_mut().map(|inner| &mut inner.event)
    }
    /// All events so far and the call's own, as they are if the call succeeds.
    pub(super) fn events(&self, own: &Event) -> Vec<Event> {
        self.inner.iter().map(|inner| &inner.event).chain([own]).cloned().collect()
    }
    /// The events of what has happened whatever becomes of the call.
    pub(super) fn so_far(&self) -> impl Iterator<Item = &Event> {
        self.inner.iter().filter(|inner| !inner.with_the_call).map(|inner| &inner.event)
    }
    /// The events of what has happened, with what the call did or without, and the call's own.
    pub(super) fn take_events(&mut self, committed: bool, own: Event) -> Vec<Event> {
        let mut events = Vec::with_capacity(self.inner.len() + 1);
        let happened = self.inner.drain(..).filter(|inner| committed || !inner.with_the_call);
        events.extend(happened.map(|inner| inner.event));
        events.push(own);
        events
    }
    /// Takes back what went into the call's own event, which tells of what did not happen.
    pub(super) fn take_back(&mut self, own: Event) {
        self.identity = Some(own.user_identity);
        self.resources = own.resources;
        if let Some(Value::Object(additional)) = own.additional_event_data {
            self.additional = additional;
        }
    }
    pub(super) fn identify(&mut self, caller: &Caller) {
        self.identity = Some(identity(caller).into());
    }
    pub(super) fn touch(&mut self, kind: &'static str, account: &str, arn: SmolStr) {
        if self.resources.iter().all(|r| r.arn != arn) {
            let (account_id, resource_type) = (account.into(), SmolStr::new_static(kind));
            // Most calls touch one.
            self.resources.reserve_exact(1);
            self.resources.push(Resource { account_id, resource_type, arn });
        }
    }
    pub(super) fn add(&mut self, name: &str, value: Value) {
        self.additional.insert(name.to_owned(), value);
    }
    pub(super) fn answer(&mut self, name: &str, value: Value) {
        self.answered.insert(name.to_owned(), value);
    }
    /// `responseElements`, from the members that are recorded.
    pub(super) fn answered(&mut self, recorded: Option<Value>) -> Option<Value> {
        let mut all = std::mem::take(&mut self.answered);
        if let Some(Value::Object(members)) = recorded {
            all.extend(members);
        }
        (!all.is_empty()).then_some(Value::Object(all))
    }
}

/// What was called.
#[derive(Debug)]
pub(super) struct Called {
    pub source: SmolStr,
    pub name: SmolStr,
    pub read_only: bool,
}

impl Called {
    pub(super) const fn new(source: &'static str, name: &'static str, read_only: bool) -> Self {
        Self { source: SmolStr::new_static(source), name: SmolStr::new_static(name), read_only }
    }
}

pub(super) fn of_call(
    caller: &Caller,
    arrival: &Arrival,
    called: Called,
    trail: &mut Trail,
    now: Timestamp,
) -> Event {
    let account = caller.principal.account.as_str().into();
    let who = trail.identity.take().unwrap_or_else(|| identity(caller).into());
    let mut event = blank(arrival, called, who, account, now);
    event.resources = std::mem::take(&mut trail.resources);
    let additional = std::mem::take(&mut trail.additional);
    event.additional_event_data = (!additional.is_empty()).then_some(Value::Object(additional));
    event
}

pub(super) fn blank(
    arrival: &Arrival,
    called: Called,
    user_identity: Arc<UserIdentity>,
    recipient_account_id: SmolStr,
    now: Timestamp,
) -> Event {
    Event {
        event_version: SmolStr::new_static(EVENT_VERSION),
        user_identity,
        event_time: now.whole_secs(),
        event_source: called.source,
        event_name: called.name,
        aws_region: arrival.region.as_str().into(),
        // CloudTrail record contents, "sourceIPAddress": a service is named.
        source_ip_address: match arrival.is_within() {
            true => arrival.user_agent.clone(),
            false => arrival.source_ip.to_smolstr(),
        },
        user_agent: arrival.user_agent.clone(),
        error_code: None,
        error_message: None,
        request_parameters: None,
        response_elements: None,
        additional_event_data: None,
        service_event_details: None,
        request_id: arrival.request_id.clone(),
        event_id: arrival.event_id.clone(),
        read_only: called.read_only,
        resources: Vec::new(),
        event_type: EventType::AwsApiCall,
        management_event: true,
        recipient_account_id,
        shared_event_id: None,
        store_revision: None,
        vpc_endpoint_id: arrival.endpoint.as_ref().map(|endpoint| endpoint.id.as_str().into()),
        vpc_endpoint_account_id: None,
        event_category: SmolStr::new_static("Management"),
        tls_details: arrival.tls.clone(),
    }
}

/// The event of a call that `via` made for the caller. Its address and agent are the service's.
pub(super) fn on_behalf(
    call: &Call<'_>,
    via: Via,
    name: &'static str,
    source: &'static str,
    parameters: Value,
    mut trail: Trail,
    fault: Option<&Fault>,
) -> Event {
    let called = Called::new(source, name, true);
    let mut event = of_call(call.caller, call.arrival, called, &mut trail, call.now);
    Arc::make_mut(&mut event.user_identity).invoked_by = Some(via.principal());
    event.source_ip_address = via.principal();
    event.user_agent = via.principal();
    event.tls_details = None;
    event.vpc_endpoint_id = None;
    event.request_parameters = Some(parameters);
    mark_failed(&mut event, fault);
    event
}

pub(super) fn mark_failed(event: &mut Event, fault: Option<&Fault>) {
    if let Some(fault) = fault {
        event.error_code = Some(fault.code.into());
        event.error_message = (!fault.message().is_empty()).then(|| fault.message().to_owned());
        event.response_elements = None;
    }
}

/// Whom a provider vouches for; before that, nobody.
fn web_identity(principal: &Principal, provider: Option<&Arn>) -> UserIdentity {
    if provider.is_none() {
        return UserIdentity::anonymous();
    }
    UserIdentity {
        identity_type: Some(IdentityType::WebIdentityUser),
        principal_id: Some(principal.unique_id.as_str().into()),
        user_name: principal.user_name.as_deref().map(Into::into),
        ..UserIdentity::default()
    }
}

/// A caller whose signature was verified, as events name it (CloudTrail user guide, "userIdentity
/// element").
pub fn identity(caller: &Caller) -> UserIdentity {
    let principal = &caller.principal;
    let (kind, issuer) = match &principal.kind {
        PrincipalKind::Root => (IdentityType::Root, None),
        PrincipalKind::User => (IdentityType::IamUser, None),
        PrincipalKind::AssumedRole { role, role_id, role_name } => {
            let issuer = SessionIssuer {
                issuer_type: "Role".into(),
                principal_id: role_id.as_str().into(),
                arn: role.into(),
                account_id: principal.account.as_str().into(),
                user_name: role_name.as_str().into(),
            };
            (IdentityType::AssumedRole, Some(issuer))
        }
        PrincipalKind::FederatedUser { by, by_id } => {
            let name = by.resource().rsplit('/').next().unwrap_or_default();
            let issuer = SessionIssuer {
                issuer_type: if by.resource() == "root" { "Root" } else { "IAMUser" }.into(),
                principal_id: by_id.as_str().into(),
                arn: by.into(),
                account_id: principal.account.as_str().into(),
                user_name: name.into(),
            };
            (IdentityType::FederatedUser, Some(issuer))
        }
        PrincipalKind::WebIdentity { provider } => {
            return web_identity(principal, provider.as_ref());
        }
        // A service that does something by itself, in nobody's name.
        PrincipalKind::Service { name } if principal.unique_id == *name => {
            let service = UserIdentity::service(principal.account.as_str(), *name);
            return UserIdentity { identity_type: Some(IdentityType::AwsService), ..service };
        }
        // As CloudTrail records whom IAM Roles Anywhere knows by a certificate.
        PrincipalKind::Service { .. } => {
            return UserIdentity {
                identity_type: Some(IdentityType::Unknown),
                principal_id: Some(principal.unique_id.as_str().into()),
                arn: Some((&principal.arn).into()),
                account_id: Some(principal.account.as_str().into()),
                ..UserIdentity::default()
            };
        }
    };
    let context = caller.session.as_ref().map(|session| SessionContext {
        session_issuer: issuer,
        web_id_federation_data: None,
        attributes: Some(SessionAttributes {
            creation_date: session.issued.whole_secs(),
            mfa_authenticated: session.mfa.is_some().to_smolstr(),
        }),
    });
    UserIdentity {
        identity_type: Some(kind),
        principal_id: Some(principal.unique_id.as_str().into()),
        arn: Some((&principal.arn).into()),
        account_id: Some(principal.account.as_str().into()),
        access_key_id: Some(caller.access_key_id.as_str().into()),
        user_name: principal.user_name.as_deref().map(Into::into),
        session_context: context,
        // A registered service that acts for its user.
        invoked_by: caller.door().map(|door| door.service.as_str().into()),
    }
}
