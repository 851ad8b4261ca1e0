//! What the operations on grants share, and how a grant lets a caller use a key.
use super::Error;
use crate::authorize::{AccessDenied, Authorized, Conditions};
use crate::call::Call;
use crate::identity;
use crate::keys::grant::{Asked, Constraints, Grant, Party, covering};
use crate::keys::{Found, Key};
use crate::seal::Label;
use crate::store::Page;
use crate::types::{Arn, Timestamp};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Asks policies first. What they merely do not allow, a grant may; what one denies, none does.
pub(super) async fn by_policy_or_grant(
    call: &mut Call<'_>,
    found: Found,
    action: &'static str,
    conditions: &Conditions,
    asked: Asked<'_>,
) -> Result<Authorized<Found>, Error> {
    let denied = match call.authorize(action, found.clone(), conditions.clone()) {
        Ok(allowed) => return Ok(allowed),
        Err(denied) => denied,
    };
    if denied.is_explicit() || !found.granted {
        return Err(denied.into());
    }
    let caller = call.principal();
    let Some(grant) = covering(&mut call.tx, &found, caller, asked).await? else {
        return Err(denied.into());
    };
    let id = grant.grant.id.clone();
    let found = Found { grant: Some(grant), ..found };
    let allowed = call.authorize(action, found, conditions.clone())?;
    // Named as the event names key materials: ReEncrypt may rest on two grants.
    call.record(
        match action {
            "kms:ReEncryptFrom" => "sourceGrantId",
            "kms:ReEncryptTo" => "destinationGrantId",
            _ => "grantId",
        },
        id,
    );
    Ok(allowed)
}

/// A grant token names a key and a grant. It is no secret, and anybody may hand it in.
///
/// The store shows a grant to all from the moment it is made, so a token has nothing to add to it: it
/// only must be one of ours. That its grant has gone since makes no difference, as the call then
/// stands on what else allows it.
pub(super) fn check_grant_tokens(
    call: &Call<'_>,
    tokens: Option<&Vec<String>>,
) -> Result<(), Error> {
    tokens.into_iter().flatten().try_for_each(|token| open_token(call, token).map(drop))
}

/// Every answer of CreateGrant has a token of its own, as AWS's does.
pub(super) fn token(call: &Call<'_>, grant: &Grant) -> String {
    let named = format!("{} {}", grant.key, grant.id);
    let (root, random) = (&call.server.root, &*call.server.random);
    B64.encode(root.seal_token(Label::GRANT_TOKEN, &[], random, named.as_bytes()))
}

/// The ARN of the key, and the id of the grant.
pub(super) fn open_token(call: &Call<'_>, token: &str) -> Result<(String, String), Error> {
    let open = || {
        let sealed = B64.decode(token).ok()?;
        let opened = call.server.root.open_token(Label::GRANT_TOKEN, &[], &sealed)?;
        let (key, id) = std::str::from_utf8(&opened).ok()?.split_once(' ')?;
        Some((key.to_owned(), id.to_owned()))
    };
    open().ok_or(Error::InvalidGrantToken)
}

/// The principal that a request names, if there is one.
pub(super) async fn principal(call: &mut Call<'_>, arn: &str) -> Result<Party, Error> {
    let found = identity::principal_named(&mut call.tx, arn).await?;
    let unknown = || Error::InvalidArn(format!("ARN does not refer to a valid principal: {arn}"));
    Ok(found.ok_or_else(unknown)?.into())
}

/// The condition that asks whether a service wants this for the caller.
pub(super) fn describe_service(call: &Call<'_>, conditions: &mut Conditions) {
    let service = if call.is_on_behalf() { "true" } else { "false" };
    conditions.add("kms:grantisforawsresource", service);
}

/// How many grants of a key the account that owns it may have.
pub(super) fn most(call: &Call<'_>, key: &Key) -> usize {
    call.server.quotas.resources(&key.account).grants_per_key
}

/// Filters by service are for services, of which none calls here by itself.
pub(super) fn not_by_service(member: &str, named: Option<&String>) -> Result<(), Error> {
    match named {
        None => Ok(()),
        Some(_) => {
            Err(Error::Validation(format!("{member} can be used only by AWS service principals.")))
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GrantListEntry {
    key_id: Option<Arn>,
    grant_id: Option<String>,
    name: Option<String>,
    creation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    issuing_account: Option<String>,
    operations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_service_principal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_service_principal: Option<String>,
}

/// What ListGrants and ListRetirableGrants answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGrantsResponse {
    grants: Vec<GrantListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl ListGrantsResponse {
    pub(super) async fn new(
        call: &mut Call<'_>,
        page: Page<Grant>,
        next_marker: Option<String>,
    ) -> Result<Self, Error> {
        let mut grants = Vec::new();
        for (_, grant) in page.records {
            grants.push(entry(call, grant).await?);
        }
        Ok(Self { grants, truncated: next_marker.is_some(), next_marker })
    }
}

async fn entry(call: &mut Call<'_>, grant: Arc<Grant>) -> Result<GrantListEntry, Error> {
    let (grantee_principal, grantee_service_principal) = match &grant.grantee {
        Party::Service(name) => (None, Some(name.clone())),
        principal => (Some(shown(call, principal).await?), None),
    };
    let (retiring_principal, retiring_service_principal) = match &grant.retiring {
        None => (None, None),
        Some(Party::Service(name)) => (None, Some(name.clone())),
        Some(principal) => (Some(shown(call, principal).await?), None),
    };
    let operations = grant.terms.operations.iter().map(|o| o.as_str().to_owned()).collect();
    let constraints = Some(grant.terms.constraints.clone()).filter(|all| !all.is_empty());
    Ok(GrantListEntry {
        key_id: Some(grant.key.clone()),
        grant_id: Some(grant.id.clone()),
        // AWS says the empty name of a grant without one.
        name: Some(grant.name.clone().unwrap_or_default()),
        creation_date: Some(grant.created),
        grantee_principal,
        retiring_principal,
        issuing_account: Some(format!("arn:aws:iam::{}:root", grant.issuer)),
        operations: Some(operations),
        constraints,
        grantee_service_principal,
        retiring_service_principal,
    })
}

/// A principal as AWS shows it: by its ARN or, once it is deleted, by the id that was its own.
pub(super) async fn shown(call: &mut Call<'_>, party: &Party) -> Result<String, Error> {
    Ok(match party {
        Party::Principal { id, .. } => identity::shown_principal(&mut call.tx, id).await?,
        Party::Service(name) => name.clone(),
    })
}

/// A refusal of whoever asks for something that is not there, or not theirs to know of.
pub(super) fn unknown(call: &Call<'_>, action: &'static str) -> Error {
    AccessDenied::unknown_resource(call.principal(), action, super::common::THIS_RESOURCE).into()
}
