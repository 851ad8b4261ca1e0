//! Where the policies of a simulation come from, and who is imagined as the caller.
use super::shapes::MatchedStatement;
use crate::api::iam::Error;
use crate::api::iam::common::authorized_user_if;
use crate::authorize::Conditions;
use crate::call::Call;
use crate::policy::{Kind, Policy, Span, statement_spans};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Tags};
use std::sync::Arc;

/// The id of a user who does not exist: no policy and no grant can name it.
const NOBODY: &str = "nobody";

/// A policy, and what the answer calls it.
#[derive(Debug)]
pub struct Source {
    pub id: String,
    /// AWS's `PolicySourceType`.
    pub kind: &'static str,
    pub policy: Arc<Policy>,
    spans: Vec<Span>,
}

impl Source {
    /// One that is stored.
    pub fn stored(id: String, kind: &'static str, text: &str, policy: Arc<Policy>) -> Self {
        Self { id, kind, policy, spans: statement_spans(text) }
    }

    /// One that came with the request.
    pub fn given(id: String, kind: &'static str, text: &str, of: Kind) -> Result<Self, Error> {
        let policy =
            Policy::parse(text, of).map_err(|e| Error::InvalidInput(format!("{id}: {e}")))?;
        Ok(Self::stored(id, kind, text, Arc::new(policy)))
    }

    /// `PolicyInputList.1` and so on.
    pub fn given_list(list: &str, texts: &[String]) -> Result<Vec<Self>, Error> {
        let numbered = (1..).zip(texts);
        numbered
            .map(|(n, text)| Self::given(format!("{list}.{n}"), "none", text, Kind::Identity))
            .collect()
    }

    pub fn matched(&self, statement: usize) -> MatchedStatement {
        MatchedStatement::new(&self.id, self.kind, self.spans.get(statement))
    }
}

/// The boundary that comes with the request: one at most.
pub fn given_boundary(texts: Option<Vec<String>>) -> Result<Option<Source>, Error> {
    let texts = texts.unwrap_or_default();
    if texts.len() > 1 {
        let text = "You can input only one permissions boundary.";
        return Err(Error::InvalidInput(text.into()));
    }
    Ok(Source::given_list("PermissionsBoundaryPolicyInputList", &texts)?.pop())
}

/// Who is to be imagined as the caller, and what is not known of them.
#[derive(Debug)]
pub struct Who {
    pub principal: Principal,
    pub tags: Tags,
    /// Condition keys that somebody who is not fully known has no value for.
    pub unknown: &'static [&'static str],
}

impl Who {
    /// Somebody of the account.
    pub fn anybody(account: &AccountId) -> Self {
        let arn = Arn::new("iam", "", account.as_str(), "user/");
        let unknown = &["aws:principalarn", "aws:userid"];
        Self { principal: imagined(account.clone(), arn, None), tags: Tags::default(), unknown }
    }

    /// The user of `CallerArn`, as far as whoever asks may know it.
    pub async fn user(call: &mut Call<'_>, named: &str) -> Result<Self, Error> {
        let invalid = || Error::InvalidInput(format!("Invalid Caller Arn: {named}"));
        let arn: Arn = named.parse().map_err(|_| invalid())?;
        let account: AccountId = arn.account().parse().map_err(|_| invalid())?;
        let path = arn.resource().strip_prefix("user/").filter(|_| arn.service() == "iam");
        let name = path.ok_or_else(invalid)?.rsplit('/').next().unwrap_or_default().to_owned();
        if name.is_empty() || name.contains(['*', '?', ':']) {
            return Err(invalid());
        }
        if account == *call.account() {
            let action = "iam:SimulatePrincipalPolicy";
            match authorized_user_if(call, Some(&name), action, Conditions::default()).await {
                Ok((user, _)) if user.arn == arn => {
                    let (principal, tags) = (user.principal(), user.tags.clone());
                    return Ok(Self { principal, tags, unknown: &[] });
                }
                // Then only the name is known, as at AWS: tags could be guessed one by one.
                Ok(_) | Err(Error::AccessDenied(_) | Error::NoSuchEntity(_)) => {
                    call.leave_unexplained();
                }
                Err(error) => return Err(error),
            }
        }
        let principal = imagined(account, arn, Some(name));
        Ok(Self { principal, tags: Tags::default(), unknown: &["aws:userid"] })
    }
}

fn imagined(account: AccountId, arn: Arn, user_name: Option<String>) -> Principal {
    Principal { account, arn, unique_id: NOBODY.into(), user_name, kind: PrincipalKind::User }
}
