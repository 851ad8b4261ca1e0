//! The audit event of a call: who, from where, what, on which resources, and how it ended.
use super::Call;
use crate::audit::{
    EVENT_VERSION, Event, EventType, IdentityType, Resource, TlsDetails, UserIdentity,
};
use crate::authorize::{Caller, Conditions};
use crate::types::{Region, Timestamp};
use crate::wire::Fault;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// What is known of a request before anything of its body is read.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub request_id: String,
    pub event_id: String,
    /// The region of the credential scope.
    pub region: Region,
    pub source_ip: IpAddr,
    pub user_agent: String,
    pub tls: Option<TlsDetails>,
}

impl Arrival {
    /// The condition keys that come from the connection (IAM user guide, "AWS global condition
    /// context keys").
    pub(super) fn describe(&self, conditions: &mut Conditions, region: &Region, now: Timestamp) {
        conditions.add("aws:sourceip", self.source_ip.to_string());
        conditions.add("aws:securetransport", if self.tls.is_some() { "true" } else { "false" });
        conditions.add("aws:requestedregion", region.as_str());
        conditions.add("aws:currenttime", now.whole_secs().to_string());
        conditions.add("aws:epochtime", now.secs().to_string());
        conditions.add("aws:useragent", self.user_agent.as_str());
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
    /// What CloudTrail calls it: `secretsmanager.amazonaws.com`.
    fn principal(self) -> String {
        format!("{}.amazonaws.com", self.name())
    }
    pub(super) fn describe(self, conditions: &mut Conditions, region: &Region) {
        conditions.add("kms:viaservice", format!("{}.{region}.amazonaws.com", self.name()));
        conditions.add("aws:viaawsservice", "true");
        conditions.add("aws:calledvia", self.principal());
        conditions.add("aws:calledviafirst", self.principal());
        conditions.add("aws:calledvialast", self.principal());
    }
}

/// What a call leaves behind for its event.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    resources: Vec<Resource>,
    additional: Map<String, Value>,
    /// What the event says of the answer, beside members of it.
    answered: Map<String, Value>,
    /// Events of the calls made on the caller's behalf.
    pub(super) inner: Vec<Event>,
}

impl Trail {
    pub(super) fn touch(&mut self, kind: &str, account: &str, arn: &str) {
        if self.resources.iter().all(|r| r.arn != arn) {
            self.resources.push(Resource {
                account_id: account.to_owned(),
                resource_type: kind.to_owned(),
                arn: arn.to_owned(),
            });
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub source: &'a str,
    pub name: &'a str,
    pub read_only: bool,
}

pub(super) fn of_call(
    caller: &Caller,
    arrival: &Arrival,
    called: Called<'_>,
    trail: &mut Trail,
    now: Timestamp,
) -> Event {
    let account = caller.principal.account.to_string();
    let mut event = blank(arrival, called, identity(caller), account, now);
    event.resources = std::mem::take(&mut trail.resources);
    let additional = std::mem::take(&mut trail.additional);
    event.additional_event_data = (!additional.is_empty()).then_some(Value::Object(additional));
    event
}

pub(super) fn blank(
    arrival: &Arrival,
    called: Called<'_>,
    user_identity: UserIdentity,
    recipient_account_id: String,
    now: Timestamp,
) -> Event {
    Event {
        event_version: EVENT_VERSION.into(),
        user_identity,
        event_time: now.whole_secs(),
        event_source: called.source.into(),
        event_name: called.name.into(),
        aws_region: arrival.region.to_string(),
        source_ip_address: arrival.source_ip.to_string(),
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
        vpc_endpoint_id: None,
        vpc_endpoint_account_id: None,
        event_category: "Management".into(),
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
    let called = Called { source, name, read_only: true };
    let mut event = of_call(call.caller, call.arrival, called, &mut trail, call.now);
    event.user_identity.invoked_by = Some(via.principal());
    event.source_ip_address = via.principal();
    event.user_agent = via.principal();
    event.tls_details = None;
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

/// A caller whose signature was verified, as events name it.
pub fn identity(caller: &Caller) -> UserIdentity {
    let principal = &caller.principal;
    let kind = if principal.is_root() { IdentityType::Root } else { IdentityType::IamUser };
    UserIdentity {
        identity_type: Some(kind),
        principal_id: Some(principal.unique_id.clone()),
        arn: Some(principal.arn.to_string()),
        account_id: Some(principal.account.to_string()),
        access_key_id: Some(caller.access_key_id.clone()),
        user_name: principal.user_name.clone(),
        ..UserIdentity::default()
    }
}
