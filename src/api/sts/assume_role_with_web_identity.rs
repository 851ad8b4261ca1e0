use super::common::{Credentials, PolicyDescriptor, SessionPolicies};
use super::{Error, Sts};
use crate::authorize::{Authorized, Caller, Conditions};
use crate::call::{Call, Operation};
use crate::federation::{Claims, InvalidToken, Token};
use crate::identity::oidc_provider::{Issuer, OidcProvider};
use crate::identity::{Assumable, Role, Session};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, SecretText, Tags};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// AWS: how long a session lasts if nobody says.
const DEFAULT_SECONDS: i64 = 3600;
const DENIED: &str = "Not authorized to perform sts:AssumeRoleWithWebIdentity";

/// Gives credentials of a role to whoever brings the token of a provider that the role trusts. Nobody
/// signs the request.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRoleWithWebIdentity {
    role_arn: String,
    role_session_name: String,
    web_identity_token: SecretText,
    provider_id: Option<String>,
    policy_arns: Option<Vec<PolicyDescriptor>>,
    policy: Option<String>,
    duration_seconds: Option<i64>,
    minimum_session_token_size: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRoleWithWebIdentityResponse {
    credentials: Credentials,
    subject_from_web_identity_token: Option<String>,
    assumed_role_user: AssumedRoleUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<i64>,
    provider: Option<String>,
    audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token_utilization: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumedRoleUser {
    assumed_role_id: String,
    arn: Arn,
}

/// A token that was checked, and the provider that vouches.
struct Vouched {
    provider: Arc<OidcProvider>,
    claims: Claims,
    audience: String,
}

impl Operation for AssumeRoleWithWebIdentity {
    type Service = Sts;
    type Response = AssumeRoleWithWebIdentityResponse;
    const NAME: &'static str = "AssumeRoleWithWebIdentity";
    const READ_ONLY: bool = true;
    const UNSIGNED: bool = true;
    const RECORDED: &'static [&'static str] =
        &["RoleArn", "RoleSessionName", "PolicyArns", "Policy", "DurationSeconds"];
    const ANSWER_RECORDED: &'static [&'static str] = &[
        "Credentials.AccessKeyId",
        "Credentials.Expiration",
        "SubjectFromWebIdentityToken",
        "AssumedRoleUser",
        "Provider",
        "Audience",
    ];

    async fn execute(
        mut self,
        call: &mut Call<'_>,
    ) -> Result<AssumeRoleWithWebIdentityResponse, Error> {
        let bad_arn = || Error::Validation(format!("{} is invalid", self.role_arn));
        let arn: Arn = self.role_arn.parse().map_err(|_| bad_arn())?;
        let account: AccountId = arn.account().parse().map_err(|_| bad_arn())?;
        if arn.service() != "iam" || !arn.resource().starts_with("role/") {
            return Err(bad_arn());
        }
        if self.provider_id.is_some() {
            let text = "ProviderId must not be specified for OpenID Connect tokens.";
            return Err(Error::Validation(text.into()));
        }
        let policies = SessionPolicies::parse(self.policy.take(), self.policy_arns.take())?;
        let vouched = vouched(call, &account, self.web_identity_token.expose()).await?;
        let role = self.authorized_role(call, &arn, &vouched).await?;
        policies.check(call, &account).await?;
        let packed_policy_size = policies.packed(&Tags::default())?;
        let seconds = self.duration_seconds.unwrap_or(DEFAULT_SECONDS);
        if seconds > role.0.max_session_seconds {
            let text =
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Error::Validation(text.into()));
        }
        let name = self.role_session_name;
        let principal = role.0.principal(Some(&name));
        let provider = vouched.provider.arn.to_string();
        let expires = call.now.plus_secs(seconds).whole_secs();
        let session = Session {
            policy: policies.text,
            policy_arns: policies.arns,
            provider: Some(provider.clone()),
            ..Session::new(role.0.actor(name), &*call.random(), call.now, expires)
        };
        let credentials = Credentials::from(session.issue(&call.server.root, &*call.random())?);
        let size = credentials.token_size(self.minimum_session_token_size)?;
        Ok(AssumeRoleWithWebIdentityResponse {
            credentials,
            subject_from_web_identity_token: Some(vouched.claims.subject),
            assumed_role_user: AssumedRoleUser {
                assumed_role_id: principal.unique_id,
                arn: principal.arn,
            },
            packed_policy_size,
            provider: Some(provider),
            audience: Some(vouched.audience),
            source_identity: None,
            session_token_size: Some(size),
            session_token_utilization: None,
        })
    }
}

impl AssumeRoleWithWebIdentity {
    /// The role, if its trust policy allows it to whom the token speaks of. A role that does not exist
    /// looks like one that does not.
    async fn authorized_role(
        &self,
        call: &mut Call<'_>,
        arn: &Arn,
        vouched: &Vouched,
    ) -> Result<Authorized<Assumable>, Error> {
        let Vouched { provider, claims, audience } = vouched;
        let denied = || Error::Denied(DENIED.into());
        let role = Role::by_arn(&mut call.tx, arn).await?.ok_or_else(denied)?;
        let issuer = provider.issuer.as_str();
        let mut conditions = Conditions::default();
        conditions.add_claims(issuer, "sub", std::iter::once(&claims.subject));
        conditions.add_claims(issuer, "aud", std::iter::once(audience));
        conditions.add_claims(issuer, "amr", claims.methods.iter());
        conditions.add("sts:rolesessionname", self.role_session_name.as_str());
        if let Some(seconds) = self.duration_seconds {
            conditions.add("sts:durationseconds", seconds.to_string());
        }
        let who = Caller::of(Principal {
            account: provider.account.clone(),
            arn: provider.arn.clone(),
            // CloudTrail: provider, audience, subject.
            unique_id: format!("{}:{audience}:{}", provider.arn, claims.subject),
            user_name: Some(claims.subject.clone()),
            kind: PrincipalKind::WebIdentity { provider: Some(provider.arn.clone()) },
        });
        let action = "sts:AssumeRoleWithWebIdentity";
        call.authorize_as(&who, action, Assumable(role), conditions).map_err(|_| {
            call.leave_unexplained();
            denied()
        })
    }
}

/// Checks the token: the account knows its issuer, the issuer's key signed it, it is meant for one of
/// the provider's clients, and it is good now.
async fn vouched(call: &mut Call<'_>, account: &AccountId, text: &str) -> Result<Vouched, Error> {
    let token = Token::parse(text).map_err(refused)?;
    let provider = match Issuer::parse(token.issuer()) {
        Some(issuer) => OidcProvider::load(&mut call.tx, account, &issuer).await?,
        None => None,
    };
    let Some(provider) = provider else {
        // The issuer's name is the caller's own text.
        let issuer: String = token.issuer().chars().take(128).collect();
        let text = format!("No OpenIDConnect provider found in your account for {issuer}");
        return Err(Error::InvalidIdentityToken(text));
    };
    let now = call.now.secs();
    let keys = call.server.issuers.keys(&token, now).await;
    let unreachable = |_| Error::ProviderUnreachable(InvalidToken::Key.to_string());
    let claims = token.verify(&*keys.map_err(unreachable)?, now).map_err(refused)?;
    let audience = claims.audience(&provider.client_ids).map_err(refused)?;
    Ok(Vouched { provider, claims, audience })
}

fn refused(why: InvalidToken) -> Error {
    let text = why.to_string();
    match why {
        InvalidToken::Expired { .. } => Error::ExpiredToken(text),
        InvalidToken::TooEarly | InvalidToken::Subject => Error::RejectedClaim(text),
        _ => Error::InvalidIdentityToken(text),
    }
}
