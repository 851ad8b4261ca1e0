use super::common::{
    Credentials, PolicyDescriptor, SessionPolicies, Tag, describe_tags, issuer_key, proved_mfa,
    request_tags,
};
use super::{Error, Sts};
use crate::authorize::{AccessDenied, Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::identity::{Assumable, Role, Session};
use crate::types::{Arn, PrincipalKind, Tags};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// AWS: how long a session lasts if nobody says, and at most if a role session asked for it.
const DEFAULT_SECONDS: i64 = 3600;
const CHAINED_SECONDS: i64 = 3600;

/// Gives credentials of a role to whoever its trust policy and their own policies allow it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRole {
    role_arn: String,
    role_session_name: String,
    policy_arns: Option<Vec<PolicyDescriptor>>,
    policy: Option<String>,
    duration_seconds: Option<i64>,
    tags: Option<Vec<Tag>>,
    transitive_tag_keys: Option<Vec<String>>,
    external_id: Option<String>,
    serial_number: Option<String>,
    token_code: Option<String>,
    source_identity: Option<String>,
    provided_contexts: Option<Vec<ProvidedContext>>,
    minimum_session_token_size: Option<i64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProvidedContext {
    provider_arn: Option<String>,
    context_assertion: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssumeRoleResponse {
    credentials: Credentials,
    assumed_role_user: AssumedRoleUser,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed_policy_size: Option<i64>,
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

/// The tags of a session to be.
struct SessionTags {
    /// What the request brings.
    asked: Tags,
    /// With what the caller's session hands down.
    all: Tags,
    transitive: BTreeSet<String>,
}

impl Operation for AssumeRole {
    type Service = Sts;
    type Response = AssumeRoleResponse;
    const NAME: &'static str = "AssumeRole";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &[
        "RoleArn",
        "RoleSessionName",
        "PolicyArns",
        "Policy",
        "DurationSeconds",
        "Tags",
        "TransitiveTagKeys",
        "ExternalId",
        "SerialNumber",
        "SourceIdentity",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &[
        "Credentials.AccessKeyId",
        "Credentials.Expiration",
        "AssumedRoleUser",
        "PackedPolicySize",
        "SourceIdentity",
    ];

    async fn execute(mut self, call: &mut Call<'_>) -> Result<AssumeRoleResponse, Error> {
        let bad_arn = |_| Error::Validation(format!("{} is invalid", self.role_arn));
        let arn: Arn = self.role_arn.parse().map_err(bad_arn)?;
        if arn.service() != "iam" || !arn.resource().starts_with("role/") {
            return Err(Error::Validation(format!("{arn} is invalid")));
        }
        if self.provided_contexts.is_some() {
            let text = "ProvidedContexts are not supported.";
            return Err(Error::Validation(text.into()));
        }
        if call.principal().is_root() {
            return Err(Error::Denied("Roles may not be assumed by root accounts.".into()));
        }
        let tags = session_tags(call, self.tags.take(), self.transitive_tag_keys.take())?;
        let policies = SessionPolicies::parse(self.policy.take(), self.policy_arns.take())?;
        let source_identity = source_identity(call, self.source_identity.take())?;
        let role = self.authorized_role(call, &arn, &tags, source_identity.as_deref()).await?;
        policies.check(call, &role.0.account).await?;
        let packed_policy_size = policies.packed(&tags.all)?;
        let chained = is_role_session(call);
        let seconds = self.duration_seconds.unwrap_or(DEFAULT_SECONDS);
        check_duration(seconds, role.0.max_session_seconds, chained)?;
        let name = self.role_session_name;
        let principal = role.0.principal(Some(&name));
        let expires = call.now.plus_secs(seconds).whole_secs();
        // AWS: a role's credentials say nothing of a second factor, even if one was asked for.
        let session = Session {
            policy: policies.text,
            policy_arns: policies.arns,
            tags: tags.all,
            transitive: tags.transitive,
            source_identity: source_identity.clone(),
            issuer_key: issuer_key(call),
            chained,
            ..Session::new(role.0.actor(name), &*call.random(), call.now, expires)
        };
        let issued = session.issue(&call.server.root, &*call.random())?;
        let credentials = Credentials::from(issued);
        let size = credentials.token_size(self.minimum_session_token_size)?;
        Ok(AssumeRoleResponse {
            credentials,
            assumed_role_user: AssumedRoleUser {
                assumed_role_id: principal.unique_id,
                arn: principal.arn,
            },
            packed_policy_size,
            source_identity,
            session_token_size: Some(size),
            session_token_utilization: None,
        })
    }
}

impl AssumeRole {
    /// The role, if the caller may assume it in this way. A role that does not exist and one that is
    /// not the caller's to assume look the same.
    async fn authorized_role(
        &self,
        call: &mut Call<'_>,
        arn: &Arn,
        tags: &SessionTags,
        source_identity: Option<&str>,
    ) -> Result<Authorized<Assumable>, Error> {
        call.touched("AWS::IAM::Role", arn);
        let (serial, code) = (self.serial_number.as_deref(), self.token_code.as_deref());
        let proved = proved_mfa(call, serial, code).await?;
        let Some(role) = Role::by_arn(&mut call.tx, arn).await? else {
            let what = format!("resource: {arn}");
            let denied = AccessDenied::unknown_resource(call.principal(), "sts:AssumeRole", &what);
            return Err(denied.unexplained().into());
        };
        let mut conditions = Conditions::default();
        conditions.add("sts:rolesessionname", self.role_session_name.as_str());
        if let Some(id) = &self.external_id {
            conditions.add("sts:externalid", id.as_str());
        }
        if let Some(seconds) = self.duration_seconds {
            conditions.add("sts:durationseconds", seconds.to_string());
        }
        if let Some(identity) = source_identity {
            conditions.add("sts:sourceidentity", identity);
        }
        describe_tags(&mut conditions, &tags.asked);
        conditions.add_all("sts:transitivetagkeys", tags.transitive.iter());
        if proved.is_some() {
            conditions.add("aws:multifactorauthpresent", "true");
            conditions.add("aws:multifactorauthage", "0");
        }
        let mut actions = vec!["sts:AssumeRole"];
        // What a session hands down is set anew, and must be allowed anew.
        if source_identity.is_some() {
            actions.push("sts:SetSourceIdentity");
        }
        if !tags.all.0.is_empty() {
            actions.push("sts:TagSession");
        }
        let mut allowed = None;
        for action in actions {
            let what = Assumable(Arc::clone(&role));
            let outcome = call.authorize(action, what, conditions.clone());
            let proof = outcome.map_err(|denied| {
                call.leave_unexplained();
                denied.unexplained()
            })?;
            // The first is the one to assume it.
            allowed.get_or_insert(proof);
        }
        allowed.ok_or_else(|| Error::Denied(String::new()))
    }
}

fn is_role_session(call: &Call<'_>) -> bool {
    matches!(call.principal().kind, PrincipalKind::AssumedRole { .. })
}

fn check_duration(seconds: i64, most: i64, chained: bool) -> Result<(), Error> {
    let text = if chained && seconds > CHAINED_SECONDS {
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
         chaining."
    } else if seconds > most {
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    } else {
        return Ok(());
    };
    Err(Error::Validation(text.into()))
}

/// Once set, it stays with everything that the session leads to.
fn source_identity(call: &Call<'_>, asked: Option<String>) -> Result<Option<String>, Error> {
    let session = call.caller.session.as_ref();
    let handed_down = session.and_then(|session| session.source_identity.clone());
    match (handed_down, asked) {
        (Some(own), Some(asked)) if own != asked => {
            let text = "The source identity of a session cannot be changed.";
            Err(Error::Denied(text.into()))
        }
        (own, asked) => Ok(own.or(asked)),
    }
}

fn session_tags(
    call: &Call<'_>,
    tags: Option<Vec<Tag>>,
    transitive: Option<Vec<String>>,
) -> Result<SessionTags, Error> {
    let invalid = |text: &str| Err(Error::InvalidParameterValue(text.into()));
    let asked = request_tags(tags)?;
    let mut keep = BTreeSet::new();
    for name in transitive.unwrap_or_default() {
        let Some(tag) = asked.0.keys().find(|tag| tag.to_lowercase() == name.to_lowercase()) else {
            return invalid(
                "The specified transitive tag key must be included in the requested tags.",
            );
        };
        keep.insert(tag.clone());
    }
    let mut all = asked.clone();
    let handed_down = call.caller.session.as_ref().map(|session| &session.transitive);
    for name in handed_down.into_iter().flatten() {
        if asked.0.keys().any(|tag| tag.to_lowercase() == name.to_lowercase()) {
            return invalid(
                "One of the specified transitive tag keys can't be set because it conflicts with a \
                 transitive tag key from the calling session.",
            );
        }
        if let Some(value) = call.caller.tags.0.get(name) {
            all.0.insert(name.clone(), value.clone());
            keep.insert(name.clone());
        }
    }
    Ok(SessionTags { asked, all, transitive: keep })
}
