//! A call that the audit log holds, asked about again.
use super::report::Report;
use super::{ControlError, parameters, refused, session};
use crate::audit::{self, Event, IdentityType};
use crate::authorize::{Caller, Door, SessionFacts};
use crate::call::Server;
use crate::identity::Actor;
use crate::services::Services;
use crate::simulate::{self, Answer, Context, Hypothetical, Sight, Target, caller_named};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// An event then and now.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventReport {
    pub event_id: String,
    pub event_name: String,
    pub event_time: String,
    pub principal: String,
    pub then: String,
    pub now: String,
    /// Whether policies decide now as they did then, if both are known.
    pub same: Option<bool>,
    /// What policies were asked, one question after the other: all must be allowed.
    pub questions: Vec<Report>,
    pub notes: Vec<String>,
}

/// One question that the call put to the policies.
#[derive(Debug)]
pub(super) struct Asked {
    pub action: String,
    pub resource: String,
    pub context: Context,
}

/// A call, as far as its event tells.
#[derive(Debug)]
pub(super) struct Retold {
    pub caller: Caller,
    pub asked: Vec<Asked>,
    context: Context,
    pub notes: Vec<String>,
    at: Timestamp,
    /// Whether it was to make what it names, which had no policy then.
    creates: bool,
}

/// What a call was, or why it cannot be asked about again.
#[derive(Debug)]
pub(super) enum Retelling {
    Call(Box<Retold>),
    Untold(&'static str),
}

pub(in crate::control) async fn of_event(
    server: &Server,
    log: &Path,
    id: &str,
) -> Result<EventReport, ControlError> {
    let (dir, wanted) = (log.to_owned(), id.to_owned());
    let search = tokio::task::spawn_blocking(move || audit::find(&dir, &wanted));
    let found = search.await.map_err(|e| refused(e.to_string()))??;
    let json = found.ok_or_else(|| refused(format!("the audit log has no event {id}")))?;
    let event: Event = serde_json::from_slice(&json)
        .map_err(|e| refused(format!("the event {id} cannot be read: {e}")))?;
    let mut tx = server.store.begin();
    let then = outcome(&event);
    let mut report = EventReport {
        event_id: event.event_id.to_string(),
        event_name: event.event_name.to_string(),
        event_time: event.event_time.to_string(),
        principal: event
            .user_identity
            .arn
            .clone()
            .map_or_else(|| "nobody who is known".into(), Into::into),
        then: then_text(&event, then),
        now: String::new(),
        same: None,
        questions: Vec::new(),
        notes: Vec::new(),
    };
    match retell(&mut tx, &server.services, &event).await? {
        Retelling::Untold(why) => report.now = format!("not asked again: {why}"),
        Retelling::Call(mut call) => {
            report.notes = std::mem::take(&mut call.notes);
            for at in 0..call.asked.len() {
                let Some(asked) = call.hypothetical(&mut tx, at).await? else { continue };
                let answer = simulate::explain(&mut tx, &asked).await?;
                report.questions.push(Report::of(&asked, answer, Vec::new()));
            }
            let allowed = report.questions.iter().all(|question| question.allowed);
            report.now = if allowed { "allowed" } else { "denied" }.into();
            report.same = then.map(|then| then == allowed);
        }
    }
    Ok(report)
}

/// Whether policies allowed it, if the event tells.
pub(super) fn outcome(event: &Event) -> Option<bool> {
    let code = match event.error_code.as_deref() {
        None | Some("DryRunOperationException") => return Some(true),
        Some(code) => code,
    };
    let text = event.error_message.as_deref().unwrap_or_default();
    let refused =
        code.starts_with("AccessDenied") && text.contains(" is not authorized to perform: ");
    // So a stranger is refused; in its own account it is what is missing.
    let missing = text.contains(" because the resource does not exist in this Region");
    let own = event.user_identity.account_id.as_deref();
    let elsewhere = event.resources.iter().any(|r| Some(r.account_id.as_str()) != own);
    (refused && (!missing || elsewhere)).then_some(false)
}

fn then_text(event: &Event, outcome: Option<bool>) -> String {
    let text = event.error_message.as_deref().unwrap_or_default();
    match (outcome, &event.error_code) {
        (Some(true), _) => "allowed".into(),
        (Some(false), _) => format!("denied: {text}"),
        (None, code) => {
            let code = code.as_deref().unwrap_or_default();
            format!("failed with {code}, which does not tell what policies said. {text}")
        }
    }
}

impl Retold {
    /// One of its questions, as the policies are now. None if what it names cannot be.
    pub async fn hypothetical(
        &self,
        tx: &mut Tx<'_>,
        at: usize,
    ) -> Result<Option<Hypothetical>, StoreError> {
        let Some(asked) = self.asked.get(at) else { return Ok(None) };
        let (account, action) = (&self.caller.principal.account, asked.action.as_str());
        let target = match asked.resource.parse() {
            Ok(arn) if self.creates => Some(Target::named(arn, action)),
            _ => Target::load(tx, account, Sight::Everything, action, &asked.resource).await?,
        };
        let context = self.context.iter().chain(&asked.context).cloned().collect();
        Ok(target.map(|target| Hypothetical {
            caller: self.caller.clone(),
            action: action.to_owned(),
            target,
            resource_policy: None,
            context,
            now: Some(self.at),
        }))
    }

    /// What policies say to all of it: the first refusal, or the last leave.
    pub async fn decide(
        &self,
        tx: &mut Tx<'_>,
        change: &(dyn Fn(&mut Hypothetical) + Sync),
    ) -> Result<Option<(Hypothetical, Answer)>, StoreError> {
        let mut last = None;
        for at in 0..self.asked.len() {
            let Some(mut asked) = self.hypothetical(tx, at).await? else { return Ok(None) };
            change(&mut asked);
            let answer = simulate::explain(tx, &asked).await?;
            let denied = !answer.is_allowed();
            last = Some((asked, answer));
            if denied {
                break;
            }
        }
        Ok(last)
    }
}

pub(super) async fn retell(
    tx: &mut Tx<'_>,
    services: &Services,
    event: &Event,
) -> Result<Retelling, StoreError> {
    let asked = match questions(event) {
        Ok(asked) => asked,
        Err(why) => return Ok(Retelling::Untold(why)),
    };
    let Some(mut caller) = caller(tx, event).await? else {
        return Ok(Retelling::Untold("whoever called is not here any more, or was nobody"));
    };
    let mut notes = Vec::new();
    if let Some(context) = &event.user_identity.session_context
        && let Some(attributes) = &context.attributes
    {
        let issued = attributes.creation_date;
        let mfa = (attributes.mfa_authenticated == "true").then_some(issued);
        let door = door(services, event);
        caller.session = Some(Arc::new(SessionFacts { door, ..session(issued, mfa, None) }));
        notes.push(
            "The event does not hold the session's own policies and tags, nor its source identity: \
             they are left out."
                .to_owned(),
        );
    }
    let context = surroundings(event, &caller, &mut notes);
    let creates = event.event_name.starts_with("Create")
        && !["CreateAlias", "CreateGrant", "CreateAccessKey", "CreateLoginProfile"]
            .contains(&event.event_name.as_str())
        && event.event_name != "CreatePolicyVersion";
    let at = event.event_time;
    Ok(Retelling::Call(Box::new(Retold { caller, asked, context, notes, at, creates })))
}

/// What the policies were asked about.
fn questions(event: &Event) -> Result<Vec<Asked>, &'static str> {
    let name = event.event_name.as_str();
    let Some(service) = event.event_source.strip_suffix(".amazonaws.com") else {
        return Err("no policy decides about it");
    };
    let arns: Vec<&str> = event.resources.iter().map(|r| r.arn.as_str()).collect();
    let one = |action: &str, resource: &str, context: Context| Asked {
        action: format!("{service}:{action}"),
        resource: resource.to_owned(),
        context,
    };
    let request = || parameters::context(event);
    let tagged = parameters::has(event, "tags");
    let mut all: Vec<Asked> = match (service, name) {
        ("sts", "GetCallerIdentity" | "GetSessionToken") => return Err("it needs no permission"),
        ("sts", "AssumeRoleWithWebIdentity" | "AssumeRoleWithSAML") => {
            return Err("the event does not hold what the token said");
        }
        ("sts", "GetDelegatedAccessToken") => {
            return Err("the registration of the service decides, and what was handed over");
        }
        ("kms", "CreateGrant") if by_grant(event) => {
            return Err("a grant allowed it, by what the new grant says");
        }
        ("kms", "RetireGrant") => return Err("the grant itself says who may retire it"),
        ("kms", "ReEncrypt") => {
            let (Some(from), Some(to)) = (arns.first(), arns.last()) else {
                return Err("the event names no resource");
            };
            let same = from == to;
            vec![
                one("ReEncryptFrom", from, parameters::of_side(event, "source", same)),
                one("ReEncryptTo", to, parameters::of_side(event, "destination", same)),
            ]
        }
        ("kms", "CreateKey" | "ListAliases") => vec![one(name, "*", request())],
        ("kms", "ReplicateKey") => arns.iter().take(1).map(|a| one(name, a, request())).collect(),
        ("kms", _) if name.contains("CustomKeyStore") => vec![one(name, "*", request())],
        ("kms" | "secretsmanager" | "iam" | "sts", _) => {
            arns.iter().map(|arn| one(name, arn, request())).collect()
        }
        _ => return Err("no policy decides about it"),
    };
    if all.is_empty() {
        let names_one = ["keyId", "secretId", "roleArn"].iter().any(|m| parameters::has(event, m));
        if names_one {
            return Err("the event names no resource: there was none, or it was not asked about");
        }
        all.push(one(name, "*", request()));
    }
    let first = all.first().map(|asked| asked.resource.clone()).unwrap_or_default();
    let also = match (service, name) {
        ("sts", "AssumeRole" | "GetFederationToken") if tagged => Some("TagSession"),
        ("kms", "CreateKey") | ("secretsmanager", "CreateSecret") if tagged => Some("TagResource"),
        ("iam", "CreateUser") if tagged => Some("TagUser"),
        ("iam", "CreateRole") if tagged => Some("TagRole"),
        ("iam", "CreatePolicy") if tagged => Some("TagPolicy"),
        ("iam", "CreateVirtualMFADevice") if tagged => Some("TagMFADevice"),
        ("iam", "CreateOpenIDConnectProvider") if tagged => Some("TagOpenIDConnectProvider"),
        _ => None,
    };
    all.extend(also.map(|action| one(action, &first, request())));
    if service == "sts" && name == "AssumeRole" && parameters::has(event, "sourceIdentity") {
        all.push(one("SetSourceIdentity", &first, request()));
    }
    Ok(all)
}

/// Whether the event names a grant that allowed the call.
fn by_grant(event: &Event) -> bool {
    event.additional_event_data.as_ref().is_some_and(|data| data.get("grantId").is_some())
}

/// Whoever called, as they are now.
async fn caller(tx: &mut Tx<'_>, event: &Event) -> Result<Option<Caller>, StoreError> {
    let who = &event.user_identity;
    let account = who.account_id.as_deref().and_then(|id| id.parse::<AccountId>().ok());
    let (Some(account), Some(arn)) = (account, who.arn.as_deref()) else { return Ok(None) };
    let issuer = who.session_context.as_ref().and_then(|context| context.session_issuer.as_ref());
    let session_name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let actor = match (who.identity_type, issuer) {
        (Some(IdentityType::Root), _) => return caller_named(tx, arn).await,
        (Some(IdentityType::IamUser), _) => {
            let (name, id) = (who.user_name.clone(), who.principal_id.clone());
            let (name, id) = (name.unwrap_or_default(), id.unwrap_or_default());
            Actor::User { account, name: name.into(), id: id.into() }
        }
        (Some(IdentityType::AssumedRole), Some(role)) => {
            let (name, id) = (role.user_name.to_string(), role.principal_id.to_string());
            Actor::Role { account, name, id, session_name }
        }
        (Some(IdentityType::FederatedUser), Some(by)) => {
            let user = (by.user_name.to_string(), by.principal_id.to_string());
            // Not by the name, which a user may have too.
            let root = by.arn.parse::<Arn>().is_ok_and(|arn| arn.resource() == "root");
            let by = (!root).then_some(user);
            Actor::Federated { account, name: session_name, by }
        }
        _ => return Ok(None),
    };
    actor.caller(tx).await
}

/// The registered service that acted for the caller, with what it may do now. What this session of it
/// was made for the event does not say.
fn door(services: &Services, event: &Event) -> Option<Door> {
    let service = services.named(event.user_identity.invoked_by.as_deref()?)?;
    let limits = [service.limit.clone(), service.limit.clone()];
    Some(Door { service: service.name.clone(), limits })
}

/// The condition keys of the way that the call came.
fn surroundings(event: &Event, caller: &Caller, notes: &mut Vec<String>) -> Context {
    let mut context = Context::new();
    let mut add = |key: &str, value: String| context.push((key.to_owned(), vec![value]));
    add("aws:RequestedRegion", event.aws_region.to_string());
    let address = event.source_ip_address.parse::<std::net::IpAddr>().ok();
    match (&event.vpc_endpoint_id, address) {
        (Some(endpoint), _) => {
            add("aws:SourceVpce", endpoint.to_string());
            add("aws:VpcSourceIp", event.source_ip_address.to_string());
            notes.push(
                "It came through an endpoint, whose VPC and whose policy the event does not hold: \
                 they are left out."
                    .into(),
            );
        }
        (None, Some(address)) => add("aws:SourceIp", address.to_string()),
        (None, None) => {}
    }
    let by = event.user_identity.invoked_by.as_deref();
    let by_aws = by.is_some_and(|service| service.ends_with(".amazonaws.com"));
    if !by_aws {
        add("aws:SecureTransport", event.tls_details.is_some().to_string());
        add("aws:UserAgent", event.user_agent.to_string());
    }
    if event.event_name.contains("Grant") {
        add("kms:GrantIsForAWSResource", by_aws.to_string());
    }
    if let Some(service) = by {
        let (name, rest) = service.split_once('.').unwrap_or((service, ""));
        add("kms:ViaService", format!("{name}.{}.{rest}", event.aws_region));
        add("aws:ViaAWSService", by_aws.to_string());
        for key in ["aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"] {
            add(key, service.to_owned());
        }
        notes.push(match by_aws {
            true => format!(
                "{service} called for the caller: the event does not say whether the caller's own \
                 call came over TLS, nor whether it came through another service."
            ),
            false => format!(
                "{service} called for the caller: it is taken to have been allowed all that it is \
                 registered for."
            ),
        });
    }
    if let Some(mfa) = caller.session.as_ref().and_then(|session| session.mfa) {
        let age = event.event_time.secs().saturating_sub(mfa.secs()).max(0);
        add("aws:MultiFactorAuthAge", age.to_string());
    }
    context
}
