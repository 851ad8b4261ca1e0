//! What the policy engine would say of a request that nobody made: for IAM's simulation and for
//! `claviger explain`. It is the server's own evaluation of the server's own policies, and changes
//! nothing.
//!
//! ```text
//! caller (by ARN, or made by hand) ┐
//! Target (by ARN)                  ├─ Hypothetical ── explain ──▶ Answer: decision, facts,
//! action, context, policies        ┘                              statements, grant, what is missing
//! ```
//!
//! - Who: [`caller_named`] loads a user, group, role, session or root with its policies; a policy more
//!   or less is a change of [`Caller`]'s members.
//! - What: [`Target::load`] loads a key, secret, role … with its policy; what does not exist, or is not
//!   in [`Sight`], stands as if it had no policy.
//! - [`Answer::policies`] has every statement with how it applied or what did not fit;
//!   [`Answer::matched`] those that applied; [`Answer::missing`] the condition keys that policies ask
//!   about and of which nothing is known.
mod target;
mod who;

pub use target::{Named, Sight, Target};
pub use who::caller_named;

use crate::authorize::{self, Caller, Conditions};
use crate::keys::Found;
use crate::keys::grant::{Asked, Grant, GrantOperation, covering};
use crate::policy::{Decision, Effect, Examined, Policy, Spoken};
use crate::store::{StoreError, Tx};
use crate::types::Timestamp;
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Condition keys with their values, as somebody gives them: they stand before what would be known.
pub type Context = Vec<(String, Vec<String>)>;

/// A request that could be made.
#[derive(Debug)]
pub struct Hypothetical {
    pub caller: Caller,
    /// `kms:Decrypt`
    pub action: String,
    pub target: Target,
    /// In place of the policy that the target has.
    pub resource_policy: Option<Arc<Policy>>,
    /// What is known of the request: its encryption context, address, and so on.
    pub context: Context,
    /// For `aws:CurrentTime`. Without it the time is unknown.
    pub now: Option<Timestamp>,
}

/// What the server would do, and why.
#[derive(Debug)]
pub struct Answer {
    pub decision: Decision,
    /// Every condition key that had a value, in lower case.
    pub facts: BTreeMap<String, Vec<String>>,
    /// Every policy that was asked.
    pub policies: Vec<Examined>,
    /// The grant on which the decision rests, if it does.
    pub grant: Option<Arc<Grant>>,
    /// Condition keys that the policies ask about and that had no value, as the policies write them.
    pub missing: Vec<String>,
}

impl Answer {
    pub fn is_allowed(&self) -> bool {
        self.decision.is_allowed()
    }

    /// The statements that spoke of the request, each with its policy.
    pub fn matched(&self) -> impl Iterator<Item = (&Examined, &Spoken)> {
        self.policies.iter().flat_map(|policy| {
            let spoke = policy.statements.iter().filter(|statement| statement.outcome.is_ok());
            spoke.map(move |statement| (policy, statement))
        })
    }
}

/// Asks as a call would: policies first, and where none decides, grants.
pub async fn explain(tx: &mut Tx<'_>, asked: &Hypothetical) -> Result<Answer, StoreError> {
    let known = asked.known();
    let first = asked.evaluate(asked.target.protected(), known.clone());
    let Some((key, operation)) = asked.grantable(first.decision.effect) else {
        return Ok(answer(first, None));
    };
    // What grants look at is what is known of the request itself.
    let asking = Asked::Use(operation, &first.conditions);
    let Some(found) = covering(tx, key, &asked.caller.principal, asking).await? else {
        return Ok(answer(first, None));
    };
    let grant = found.grant.clone();
    let granted = Found { grant: Some(found), ..key.clone() };
    let second = asked.evaluate(&granted, known);
    let used = second.decision.is_allowed().then_some(grant);
    Ok(answer(second, used))
}

impl Hypothetical {
    /// What is known of every call of this kind, before anything is said about this one.
    fn known(&self) -> Conditions {
        let mut known = Conditions::default();
        if let Some(region) = self.target.region() {
            known.add("aws:requestedregion", region);
        }
        if let Some(now) = self.now {
            known.add("aws:currenttime", now.whole_secs().to_string());
            known.add("aws:epochtime", now.secs().to_string());
        }
        if matches!(self.target, Target::Key(_)) {
            known.add("kms:calleraccount", self.caller.principal.account.as_str());
        }
        known
    }

    fn evaluate(&self, what: &dyn authorize::Protected, known: Conditions) -> authorize::Explained {
        let policy = self.resource_policy.as_deref().or(what.policy());
        authorize::explain(&self.caller, &self.action, what, policy, known, &self.context)
    }

    /// The key and the operation, if a grant could allow what no policy does.
    fn grantable(&self, effect: Effect) -> Option<(&Found, GrantOperation)> {
        let Target::Key(key) = &self.target else { return None };
        let action = GrantOperation::ALL.into_iter().find(|operation| {
            let name = self.action.get(.."kms:".len()).zip(self.action.get("kms:".len()..));
            name.is_some_and(|(service, name)| {
                service.eq_ignore_ascii_case("kms:")
                    && name.eq_ignore_ascii_case(operation.as_str())
            })
        })?;
        let by_itself = GrantOperation::of_action(&format!("kms:{}", action.as_str()))?;
        (effect == Effect::ImplicitDeny && key.granted).then_some((key, by_itself))
    }
}

fn answer(explained: authorize::Explained, grant: Option<Arc<Grant>>) -> Answer {
    let text = |(key, values): (&str, &[SmolStr])| {
        (key.to_owned(), values.iter().map(|value| value.to_string()).collect())
    };
    let facts: BTreeMap<String, Vec<String>> = explained.conditions.all().map(text).collect();
    let mut missing = BTreeMap::new();
    for key in explained.policies.iter().flat_map(|policy| &policy.asks) {
        let lower = key.to_lowercase();
        if facts.get(&lower).is_none_or(Vec::is_empty) {
            missing.entry(lower).or_insert_with(|| key.clone());
        }
    }
    Answer {
        decision: explained.decision,
        facts,
        policies: explained.policies,
        grant,
        missing: missing.into_values().collect(),
    }
}
