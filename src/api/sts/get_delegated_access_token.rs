use super::common::{Credentials, issuer_key};
use super::{Error, Sts};
use crate::authorize::{AccessDenied, Caller, Conditions};
use crate::call::{Call, Operation};
use crate::identity::{self, Door, Unknown};
use crate::services::{self, Handover, Service};
use crate::sigv4::{self, AuthError, Claim, Kind, SigningKey};
use crate::types::{Arn, SecretText};
use serde::{Deserialize, Serialize};

const ACTION: &str = "sts:GetDelegatedAccessToken";
/// How long a service may act for a user who sent it one request: AWS's shortest session.
const SESSION_SECONDS: i64 = 900;
/// As long as a secret access key, and none.
const NOBODYS: &str = "0000000000000000000000000000000000000000";

/// Gives a registered service credentials that act for the user whose signed request it hands over.
/// AWS has the operation for its partners' products; what the token is, it does not say.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetDelegatedAccessToken {
    trade_in_token: SecretText,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetDelegatedAccessTokenResponse {
    credentials: Credentials,
    assumed_principal: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<i64>,
}

impl Operation for GetDelegatedAccessToken {
    type Service = Sts;
    type Response = GetDelegatedAccessTokenResponse;
    const NAME: &'static str = "GetDelegatedAccessToken";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["Credentials.AccessKeyId", "Credentials.Expiration", "AssumedPrincipal"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetDelegatedAccessTokenResponse, Error> {
        call.authorize(ACTION, call.whole_account(), Conditions::default())?;
        let registered = call.server.services.run_by(call.principal());
        if registered.is_empty() {
            // As for anybody who may not: who runs which service is the operator's to know.
            let denied = AccessDenied::unknown_resource(call.principal(), ACTION, "resource: *");
            return Err(denied.unexplained().into());
        }
        let handover = Handover::parse(self.trade_in_token.expose())
            .map_err(|error| Error::Validation(error.to_string()))?;
        let claim = sigv4::parse(handover.head()).map_err(refusal)?;
        if claim.is_presigned() {
            let text = "TradeInToken: a presigned request cannot be handed over";
            return Err(Error::Validation(text.into()));
        }
        let meant = |service: &&Service| service.signing_name == claim.scope().service;
        // If it is meant for none of them, the first says so.
        let service = registered.iter().copied().find(meant).or(registered.first().copied());
        let service = service.ok_or_else(|| Error::Denied(String::new()))?;
        call.record("service", service.name.as_str());
        let (user, caller) = proved(call, service, &handover, &claim).await?;
        call.record("userAccessKeyId", caller.access_key_id.as_str());
        check_user(service, &caller)?;
        let signed = claim.date().seconds();
        if !services::accept(&mut call.tx, signed, &claim.fingerprint()).await? {
            let text = "The request was handed over before: each signature is good for once.";
            return Err(Error::ExpiredTradeInToken(text.into()));
        }
        let server = call.server;
        server.note_access(&caller, &service.signing_name, call.region());
        let assumed_principal = caller.principal.arn.clone();
        let door = Door {
            service: service.name.clone(),
            actions: service.actions.clone(),
            principal: service.principal.clone(),
            key: issuer_key(call),
        };
        let until = call.now.plus_secs(SESSION_SECONDS).whole_secs();
        let session = user.through(door, &*call.random(), call.now, until);
        let issued = session.issue(&server.root, &*call.random())?;
        Ok(GetDelegatedAccessTokenResponse {
            credentials: issued.into(),
            assumed_principal,
            packed_policy_size: None,
        })
    }
}

/// Whose request it is that was handed over: everything that is asked of a request to us is asked of
/// it, and an unknown key costs the same work and has the same answer as a wrong signature: it is tried
/// with a secret that is nobody's.
async fn proved(
    call: &mut Call<'_>,
    service: &Service,
    handover: &Handover,
    claim: &Claim<'_>,
) -> Result<(identity::Credentials, Caller), Error> {
    let server = call.server;
    let wall = server.clock.wall();
    let (id, token) = (claim.access_key_id(), claim.session_token());
    let root = &server.root;
    let (is_there, user) =
        match identity::Credentials::look_up(&mut call.tx, root, id, token, wall).await {
            Ok(user) => (true, Some(user)),
            Err(Unknown::Store(error)) => return Err(error.into()),
            Err(Unknown::Expired) => return Err(refusal(AuthError::ExpiredToken)),
            Err(Unknown::Nobody) => (false, None),
            Err(Unknown::Inactive) => (true, None),
        };
    let expect = sigv4::Expect {
        now: wall.secs(),
        skew: services::SKEW_SECONDS,
        regions: &|region| region.parse().is_ok_and(|region| server.regions.contains(&region)),
        service: &service.signing_name,
    };
    let secret = user.as_ref().map_or(NOBODYS, |user| user.secret().expose());
    let outcome = verified(handover, claim, expect, secret);
    if let Err(error) = outcome {
        // The service's own key is one that is known.
        let aside = issuer_key(call);
        let aside = aside.as_deref();
        identity::Credentials::even_out(&mut call.tx, root, is_there, aside, wall).await?;
        return Err(refusal(error));
    }
    // Whoever signs with nobody's secret is nobody.
    let Some(user) = user else { return Err(refusal(AuthError::UnrecognizedClient)) };
    match user.caller(&mut call.tx, &server.services).await {
        Ok(caller) => Ok((user, caller)),
        Err(Unknown::Store(error)) => Err(error.into()),
        Err(Unknown::Expired | Unknown::Inactive | Unknown::Nobody) => {
            Err(refusal(AuthError::UnrecognizedClient))
        }
    }
}

fn verified(
    handover: &Handover,
    claim: &Claim<'_>,
    expect: sigv4::Expect<'_>,
    secret: &str,
) -> Result<(), AuthError> {
    sigv4::check_scope_and_time(claim, &expect)?;
    let scope = claim.scope();
    let key = SigningKey::derive(secret, scope.date, scope.region, scope.service);
    sigv4::verify_hashed(claim, handover.head(), handover.payload_sha256(), &key)
}

/// Whether the service may act for whom the signature named.
fn check_user(service: &Service, user: &Caller) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::Denied(format!("{} {why}", service.name)));
    if user.door().is_some() {
        // Else a service could pass its users on to another one, which they never asked for anything.
        return refused("cannot act through another service.");
    }
    if !service.acts_for(&user.principal.account) {
        return refused("may not act for users of this account.");
    }
    Ok(())
}

fn refusal(error: AuthError) -> Error {
    match (&error, error.kind()) {
        (AuthError::Expired { .. } | AuthError::ExpiredToken, _) => {
            Error::ExpiredTradeInToken(error.to_string())
        }
        (_, Kind::MissingAuthenticationToken | Kind::IncompleteSignature) => {
            Error::Validation(format!("TradeInToken: {error}"))
        }
        (_, Kind::UnrecognizedClient) => Error::Denied(AuthError::SignatureMismatch.to_string()),
        _ => Error::Denied(error.to_string()),
    }
}
