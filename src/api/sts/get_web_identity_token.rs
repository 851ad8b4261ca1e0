use super::common::{Tag, describe_tags, request_tags};
use super::{Error, Sts};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::identity::outbound::{MOST_SECONDS, OutboundFederation, TokenAlgorithm};
use crate::types::{PrincipalKind, SecretText, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// STS API reference: five minutes, if nobody says.
const DEFAULT_SECONDS: i64 = 300;
/// Of a token's payload. AWS keeps its own figure to itself; this one leaves a token that servers take
/// in a header.
const MAX_PAYLOAD_BYTES: usize = 4096;

/// Gives a token that says who the caller is, for others to check with the account's public keys.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetWebIdentityToken {
    audience: Vec<String>,
    duration_seconds: Option<i64>,
    signing_algorithm: String,
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetWebIdentityTokenResponse {
    web_identity_token: SecretText,
    expiration: Timestamp,
}

impl Operation for GetWebIdentityToken {
    type Service = Sts;
    type Response = GetWebIdentityTokenResponse;
    const NAME: &'static str = "GetWebIdentityToken";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["Audience", "DurationSeconds", "SigningAlgorithm", "Tags"];
    const ANSWER_RECORDED: &'static [&'static str] = &["Expiration"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetWebIdentityTokenResponse, Error> {
        let algorithm = TokenAlgorithm::parse(&self.signing_algorithm).ok_or_else(|| {
            let named = &self.signing_algorithm;
            Error::Validation(format!(
                "1 validation error detected: Value '{named}' at 'signingAlgorithm' failed to \
                 satisfy constraint: Member must satisfy enum value set: [RS256, ES384]"
            ))
        })?;
        let seconds = self.duration_seconds.unwrap_or(DEFAULT_SECONDS).min(MOST_SECONDS);
        let tags = request_tags(self.tags)?;
        authorized(call, &self.audience, algorithm, seconds, &tags)?;
        let account = call.account().clone();
        let federation = OutboundFederation::load(&mut call.tx, &account).await?;
        let federation = federation.filter(|federation| federation.enabled);
        let (Some(federation), Some(base)) = (federation, &call.server.public_url) else {
            return Err(Error::OutboundFederationDisabled);
        };
        let expiration = call.now.plus_secs(seconds).whole_secs();
        let session = call.caller.session.as_ref();
        if session.is_some_and(|session| expiration > session.expires) {
            return Err(Error::SessionDurationEscalation);
        }
        let issuer = OutboundFederation::issuer(base, &account);
        let claims = json!({
            "iss": issuer,
            "sub": subject(call),
            "aud": audience(&self.audience),
            "iat": call.now.secs(),
            "exp": expiration.secs(),
            "jti": call.random().uuid().to_string(),
            "https://sts.amazonaws.com/": about(call, &tags),
        });
        if claims.to_string().len() > MAX_PAYLOAD_BYTES {
            return Err(Error::JwtPayloadSizeExceeded);
        }
        // An RSA signature takes a millisecond: not on a thread that serves requests.
        let signed = call.compute(move || federation.sign(algorithm, &claims)).await?;
        let broke_off = || crate::store::StoreError::Corrupt("a signature broke off".into());
        let token = signed.ok_or_else(broke_off)??;
        Ok(GetWebIdentityTokenResponse { web_identity_token: SecretText::new(token), expiration })
    }
}

/// What may be asked for is the account's to say (IAM user guide, "Controlling access with IAM
/// policies" of outbound federation): tags are an action of their own.
fn authorized(
    call: &mut Call<'_>,
    audience: &[String],
    algorithm: TokenAlgorithm,
    seconds: i64,
    tags: &Tags,
) -> Result<(), Error> {
    let mut conditions = Conditions::default();
    conditions.add_all("sts:identitytokenaudience", audience.iter());
    conditions.add("sts:signingalgorithm", algorithm.name());
    // Also if it was left out: a limit is on how long the token is good.
    conditions.add("sts:durationseconds", seconds.to_string());
    describe_tags(&mut conditions, tags);
    let tagging = (!tags.0.is_empty()).then_some("sts:TagGetWebIdentityToken");
    for action in std::iter::once("sts:GetWebIdentityToken").chain(tagging) {
        let whole = call.whole_account();
        call.authorize(action, whole, conditions.clone())?;
    }
    Ok(())
}

/// Of a session, its role: whoever checks tokens knows roles, not their sessions.
fn subject(call: &Call<'_>) -> String {
    match &call.principal().kind {
        PrincipalKind::AssumedRole { role, .. } => role.to_string(),
        _ => call.principal().arn.to_string(),
    }
}

fn audience(all: &[String]) -> Value {
    match all {
        [one] => json!(one),
        many => json!(many),
    }
}

/// IAM user guide, "Understanding token claims". There are no organizations here.
fn about(call: &Call<'_>, request_tags: &Tags) -> Value {
    let tags = |tags: &Tags| (!tags.0.is_empty()).then(|| json!(tags));
    let session = call.caller.session.as_ref();
    let members = [
        ("aws_account", Some(json!(call.account()))),
        ("source_region", Some(json!(call.region()))),
        ("principal_id", Some(json!(subject(call)))),
        ("principal_tags", tags(&call.caller.tags)),
        ("request_tags", tags(request_tags)),
        ("original_session_exp", session.map(|session| json!(session.expires.to_string()))),
        (
            "source_identity",
            session.and_then(|session| Some(json!(session.source_identity.as_ref()?))),
        ),
        ("federated_provider", session.and_then(|session| Some(json!(session.provider.as_ref()?)))),
    ];
    let there = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
    Value::Object(members.into_iter().filter_map(there).collect())
}
