//! What the STS operations that give out sessions share.
use super::Error;
use crate::authorize::Conditions;
use crate::call::Call;
use crate::identity::{Issued, ManagedPolicy, User, mfa};
use crate::policy::{Kind, Policy};
use crate::quotas::Secret;
use crate::types::{AccountId, PrincipalKind, SecretText, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// STS API reference: characters of the session policy, and managed policies of a session.
const POLICY_CHARS: usize = 2048;
const POLICY_ARNS: usize = 10;
/// What policies and tags may take up in a session token, in bytes. AWS keeps its own figure to
/// itself and answers the part of it that is used.
const PACKED_BYTES: usize = 4096;
/// Sessions of GetSessionToken and GetFederationToken, if nobody says: twelve hours; the root's last
/// an hour whatever is asked.
const DEFAULT_SECONDS: i64 = 43_200;
const ROOT_SECONDS: i64 = 3600;

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: SecretText,
    session_token: SecretText,
    expiration: Timestamp,
}

impl From<Issued> for Credentials {
    fn from(issued: Issued) -> Self {
        Self {
            access_key_id: issued.access_key_id,
            secret_access_key: issued.secret,
            session_token: issued.token,
            expiration: issued.expires,
        }
    }
}

impl Credentials {
    /// Bytes of the session token. One can be asked to have so many at least; it is not padded.
    pub(super) fn token_size(&self, least: Option<i64>) -> Result<i64, Error> {
        let size = i64::try_from(self.session_token.expose().len()).unwrap_or(i64::MAX);
        if least.is_some_and(|least| size < least) {
            let text = format!("A session token of {size} bytes cannot be made longer.");
            return Err(Error::Validation(text));
        }
        Ok(size)
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    key: String,
    value: String,
}

/// A managed policy, as a session policy.
#[derive(Debug, Deserialize, Serialize)]
pub struct PolicyDescriptor {
    arn: Option<String>,
}

/// The tags that a request brings. Names are compared without regard to case.
pub(super) fn request_tags(tags: Option<Vec<Tag>>) -> Result<Tags, Error> {
    let (mut parsed, mut seen) = (Tags::default(), BTreeSet::new());
    for tag in tags.unwrap_or_default() {
        let name = tag.key.to_lowercase();
        if name.starts_with("aws:") {
            let text = "Tag keys beginning with aws: are reserved.";
            return Err(Error::InvalidParameterValue(text.into()));
        }
        if !seen.insert(name) {
            let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Error::InvalidParameterValue(text.into()));
        }
        parsed.0.insert(tag.key, tag.value);
    }
    Ok(parsed)
}

/// The condition keys of the tags that a request brings; none, if it brings none.
pub(super) fn describe_tags(conditions: &mut Conditions, tags: &Tags) {
    if !tags.0.is_empty() {
        conditions.add_request_tags(tags);
    }
}

/// The session policies of a request: well-formed, not too long, not too many.
#[derive(Debug)]
pub(super) struct SessionPolicies {
    pub text: Option<String>,
    pub arns: Vec<String>,
}

impl SessionPolicies {
    pub fn parse(text: Option<String>, arns: Option<Vec<PolicyDescriptor>>) -> Result<Self, Error> {
        if let Some(text) = &text {
            if text.chars().count() > POLICY_CHARS {
                return Err(Error::Validation(format!(
                    "1 validation error detected: Value at 'policy' failed to satisfy constraint: \
                     Member must have length less than or equal to {POLICY_CHARS}"
                )));
            }
            Policy::parse(text, Kind::Identity)
                .map_err(|error| Error::MalformedPolicy(error.to_string()))?;
        }
        // One that names nothing would limit nothing.
        let named = |policy: PolicyDescriptor| {
            let text = "A member of policyArns has no arn.";
            policy.arn.ok_or_else(|| Error::Validation(text.into()))
        };
        let arns =
            arns.unwrap_or_default().into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
        if arns.len() > POLICY_ARNS {
            return Err(Error::Validation(format!(
                "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: \
                 Member must have length less than or equal to {POLICY_ARNS}"
            )));
        }
        Ok(Self { text, arns })
    }

    /// Whether the managed policies are there: the account's own, or AWS's.
    pub async fn check(&self, call: &mut Call<'_>, account: &AccountId) -> Result<(), Error> {
        for arn in &self.arns {
            let found = ManagedPolicy::by_arn(&mut call.tx, arn).await?;
            let ours = |policy: &ManagedPolicy| {
                policy.account.as_ref().is_none_or(|owner| owner == account)
            };
            if !found.is_some_and(|policy| ours(&policy)) {
                let text = format!("Policy {arn} does not exist or is not attachable.");
                return Err(Error::Validation(text));
            }
        }
        Ok(())
    }

    /// How much of what a token may carry these policies and tags take up, in percent; none if there
    /// are neither.
    pub fn packed(&self, tags: &Tags) -> Result<Option<i64>, Error> {
        let texts = self.text.iter().chain(&self.arns);
        let pairs = tags.0.iter().map(|(name, value)| name.len() + value.len());
        let bytes = texts.map(String::len).chain(pairs).sum::<usize>();
        if bytes == 0 {
            return Ok(None);
        }
        let percent = (bytes * 100).div_ceil(PACKED_BYTES);
        if percent > 100 {
            return Err(Error::PackedPolicyTooLarge(percent));
        }
        Ok(i64::try_from(percent).ok())
    }
}

/// A one-time code of the caller's MFA device, if the request brings one. Answers when it was proved.
pub(super) async fn proved_mfa(
    call: &mut Call<'_>,
    serial: Option<&str>,
    code: Option<&str>,
) -> Result<Option<Timestamp>, Error> {
    let (serial, code) = match (serial, code) {
        (None, None) => return Ok(None),
        (Some(serial), Some(code)) => (serial, code),
        _ => {
            let text = "SerialNumber and TokenCode must be provided together.";
            return Err(Error::Validation(text.into()));
        }
    };
    let unknown = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify \
                   your MFA serial number is valid and associated with this user.";
    let unknown = || Error::Denied(unknown.into());
    // Devices belong to users: a role or a root has none.
    let principal = call.principal();
    let name = principal.user_name.as_deref().ok_or_else(unknown)?;
    let user = User::load(&mut call.tx, &principal.account, name).await?.ok_or_else(unknown)?;
    if !user.mfa_devices.contains(serial) {
        return Err(unknown());
    }
    call.guess(Secret::Code, &user.id)?;
    let step = mfa::verify(&mut call.tx, &user, serial, code, call.now).await?;
    let (request, now) = (&call.arrival.request_id, call.now.secs());
    // What the call writes is gone if it fails later on, and the code must be used up all the same.
    if !step.is_some_and(|step| call.server.guesses.use_up(serial, step, request, now)) {
        let text = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";
        return Err(Error::Denied(text.into()));
    }
    call.server.guesses.forgive(Secret::Code, &user.id);
    Ok(Some(call.now))
}

/// How long a session lasts that only its asker limits.
pub(super) fn own_session_seconds(call: &Call<'_>, asked: Option<i64>) -> i64 {
    // The model holds it between 15 minutes and 36 hours.
    let seconds = asked.unwrap_or(DEFAULT_SECONDS);
    match call.principal().kind {
        PrincipalKind::Root => seconds.min(ROOT_SECONDS),
        _ => seconds,
    }
}

/// The long-term access key that the chain of sessions began with.
pub(super) fn issuer_key(call: &Call<'_>) -> Option<String> {
    match &call.caller.session {
        None => Some(call.caller.access_key_id.clone()),
        Some(session) => session.issuer_key.clone(),
    }
}
