//! What IAM Roles Anywhere does with CreateSession: credentials of a role for whoever has a
//! certificate. AWS's operation has its own signatures and no model here; ours is asked over TLS.
use super::HIDDEN;
use crate::authorize::{AccessDenied, Authorized, Caller, Conditions};
use crate::call::{Arrival, Call, OperationError, Server, Unmodelled, run_unmodelled};
use crate::identity::{Assumable, Issued, Role, Session};
use crate::machines::{Certificate, Machine};
use crate::quotas::{Quota, Throttled};
use crate::store::StoreError;
use crate::types::{Arn, Principal, PrincipalKind, Region};
use crate::wire::{Fault, Protocol, ServiceError};
use serde_json::{Value, json};
use std::sync::Arc;

pub const SOURCE: &str = "rolesanywhere.amazonaws.com";
pub const NAME: &str = "CreateSession";
/// What a role's trust policy must allow the service (IAM Roles Anywhere user guide, "Trust model").
const ACTIONS: [&str; 3] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Denied(#[from] AccessDenied),
    #[error("{0}")]
    Validation(&'static str),
    #[error("{0}")]
    Throttled(#[from] Throttled),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let text = self.to_string();
        match self {
            Self::Denied(_) => Fault::client("AccessDeniedException", text).with_status(403),
            Self::Validation(_) => Fault::validation(Protocol::Json, text),
            Self::Throttled(_) => Fault::throttled(Protocol::Json),
            Self::Store(_) => Fault::internal(),
        }
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

/// Credentials of the machine's role for the owner of a certificate that was verified.
pub async fn create_session(
    server: &Server,
    arrival: &Arrival,
    certificate: &Certificate,
    machine: &Machine,
) -> Result<Issued, Fault> {
    let who = caller(arrival, certificate, machine);
    run_unmodelled(&CreateSession { certificate, machine }, server, &who, arrival).await
}

struct CreateSession<'a> {
    certificate: &'a Certificate,
    machine: &'a Machine,
}

impl Unmodelled for CreateSession<'_> {
    type Answer = Issued;
    type Error = Error;
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = NAME;

    fn parameters(&self) -> Value {
        json!({
            "roleArn": self.machine.role,
            "durationSeconds": self.machine.session_seconds,
            "certificate": described(self.certificate),
        })
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(Issued, Value), Error> {
        issue(call, self.certificate, self.machine).await
    }
}

/// What the event says of a certificate. Nothing in it is secret.
fn described(certificate: &Certificate) -> Value {
    json!({
        "serialNumber": certificate.serial,
        "notAfter": certificate.not_after.to_string(),
        "attributes": certificate.tags,
    })
}

/// The service, in the machine's name: trust policies name the service, and see the machine by tags.
fn caller(arrival: &Arrival, certificate: &Certificate, machine: &Machine) -> Caller {
    let subject = format!("subject/{}", certificate.name());
    let region = arrival.region.as_str();
    let arn = Arn::new("rolesanywhere", region, machine.account.as_str(), &subject);
    let principal = Principal {
        account: machine.account.clone(),
        unique_id: arn.to_string(),
        arn,
        user_name: None,
        kind: PrincipalKind::Service { name: SOURCE },
    };
    Caller { tags: certificate.tags.clone(), ..Caller::of(principal) }
}

async fn issue(
    call: &mut Call<'_>,
    certificate: &Certificate,
    machine: &Machine,
) -> Result<(Issued, Value), Error> {
    // It counts as what it does, so that nobody gets round the quota of STS.
    if let Some(quota) = Quota::of_operation("sts", "AssumeRole") {
        // In the region where STS counts, whichever is asked.
        call.throttle_in(&Region::global(), quota, 1)?;
    }
    let role = authorized_role(call, certificate, machine).await?;
    let role = &role.0;
    if machine.session_seconds > role.max_session_seconds {
        let text = "The configured duration exceeds the MaxSessionDuration set for this role.";
        return Err(Error::Validation(text));
    }
    // IAM Roles Anywhere names sessions so; events show which certificate was used.
    let session_name = certificate.serial.clone();
    let principal = role.principal(Some(&session_name));
    let wanted = call.now.plus_secs(machine.session_seconds).whole_secs();
    let random = call.random();
    // A certificate proves nothing beyond its end.
    let expires = wanted.min(certificate.not_after);
    let session = Session {
        tags: certificate.tags.clone(),
        source_identity: Some(certificate.name().to_owned()),
        ..Session::new(role.actor(session_name), &*random, call.now, expires)
    };
    let issued = session.issue(&call.server.root, &*random)?;
    let shown = json!({"credentialSet": [{
        "assumedRoleUser": {"arn": principal.arn, "assumedRoleId": principal.unique_id},
        "credentials": {
            "accessKeyId": issued.access_key_id,
            "expiration": issued.expires.to_string(),
            "secretAccessKey": HIDDEN,
            "sessionToken": HIDDEN,
        },
        "roleArn": role.arn,
        "sourceIdentity": certificate.name(),
    }]});
    Ok((issued, shown))
}

/// The role, if its trust policy allows the service all that a session needs. One that does not exist
/// looks like one that is not to be had.
async fn authorized_role(
    call: &mut Call<'_>,
    certificate: &Certificate,
    machine: &Machine,
) -> Result<Authorized<Assumable>, Error> {
    call.touched("AWS::IAM::Role", &machine.role);
    let Some(role) = Role::by_arn(&mut call.tx, &machine.role).await? else {
        let what = format!("resource: {}", machine.role);
        let denied = AccessDenied::unknown_resource(call.principal(), ACTIONS[0], &what);
        return Err(denied.unexplained().into());
    };
    let mut conditions = Conditions::default();
    conditions.add("sts:rolesessionname", certificate.serial.as_str());
    conditions.add("sts:sourceidentity", certificate.name());
    conditions.add("sts:durationseconds", machine.session_seconds.to_string());
    conditions.add("aws:sourceaccount", machine.account.as_str());
    conditions.add_request_tags(&certificate.tags);
    let mut allowed = None;
    for action in ACTIONS {
        let what = Assumable(Arc::clone(&role));
        let outcome = call.authorize(action, what, conditions.clone());
        // The first is the one to assume it.
        allowed.get_or_insert(outcome.map_err(AccessDenied::unexplained)?);
    }
    allowed.ok_or(Error::Validation("no action"))
}
