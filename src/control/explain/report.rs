//! The path to one decision, as data: what `--json` prints, and what the text is made from.
use crate::policy::{Effect, Element, Examined, How, Spoken};
use crate::simulate::{Answer, Hypothetical};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub principal: String,
    pub action: String,
    pub resource: String,
    pub allowed: bool,
    /// `allowed`, `explicitDeny` or `implicitDeny`, as IAM's simulation says it.
    pub decision: String,
    /// What the caller would read.
    pub sentence: String,
    /// What the decision rests on.
    pub because: Vec<String>,
    /// Condition keys in lower case, with their values.
    pub facts: BTreeMap<String, Vec<String>>,
    pub policies: Vec<PolicyPart>,
    pub grant: Option<GrantPart>,
    /// Condition keys that policies ask about and of which nothing is known.
    pub unknown: Vec<String>,
    pub notes: Vec<String>,
}

/// What one policy said.
#[derive(Debug, Serialize, Deserialize)]
pub struct PolicyPart {
    pub kind: String,
    pub name: String,
    /// Why it denies everything, if it cannot be read.
    pub defect: Option<String>,
    pub applied: Vec<StatementPart>,
    /// Statements about this action that do not fit, the nearest first.
    pub missed: Vec<StatementPart>,
    /// How many statements are about other actions.
    pub others: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct StatementPart {
    /// From zero.
    pub statement: usize,
    pub sid: Option<String>,
    pub effect: String,
    /// How it speaks of the caller, or what does not fit.
    pub why: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct GrantPart {
    pub id: String,
    pub key: String,
    pub grantee: String,
    pub operations: Vec<String>,
}

impl Report {
    pub fn of(asked: &Hypothetical, answer: Answer, notes: Vec<String>) -> Self {
        let (action, resource) = (&asked.action, asked.target.protected().arn());
        let (principal, decision) = (asked.caller.principal.arn.as_str(), &answer.decision);
        let sentence = match decision.is_allowed() {
            true => format!(
                "User: {principal} is authorized to perform: {action} on resource: {resource}"
            ),
            false => format!(
                "User: {principal} is not authorized to perform: {action} on resource: {resource} {}",
                decision.because(action)
            ),
        };
        let effect = match decision.effect {
            Effect::Allow => "allowed",
            Effect::ExplicitDeny => "explicitDeny",
            Effect::ImplicitDeny => "implicitDeny",
        };
        Self {
            principal: principal.to_owned(),
            action: action.clone(),
            resource: resource.to_owned(),
            allowed: decision.is_allowed(),
            decision: effect.to_owned(),
            sentence,
            because: decision.reasons.iter().map(ToString::to_string).collect(),
            policies: answer.policies.iter().map(PolicyPart::of).collect(),
            grant: answer.grant.map(|grant| GrantPart {
                id: grant.id.clone(),
                key: grant.key.to_string(),
                grantee: grant.grantee.id().to_owned(),
                operations: grant.terms.operations.iter().map(|o| o.as_str().to_owned()).collect(),
            }),
            facts: answer.facts,
            unknown: answer.missing,
            notes,
        }
    }
}

impl PolicyPart {
    fn of(policy: &Examined) -> Self {
        let mut missed: Vec<&Spoken> = Vec::new();
        let (mut applied, mut others) = (Vec::new(), 0);
        for spoken in &policy.statements {
            match spoken.outcome {
                Ok(_) => applied.push(StatementPart::of(spoken)),
                Err(Element::Action) => others += 1,
                Err(_) => missed.push(spoken),
            }
        }
        missed.sort_by_key(|spoken| std::cmp::Reverse(spoken.outcome.err()));
        Self {
            kind: policy.kind.name().to_owned(),
            name: policy.policy.clone(),
            defect: policy.defect.clone(),
            applied,
            missed: missed.into_iter().map(StatementPart::of).collect(),
            others,
        }
    }
}

impl StatementPart {
    fn of(spoken: &Spoken) -> Self {
        Self {
            statement: spoken.index,
            sid: spoken.sid.clone(),
            effect: if spoken.allows { "Allow" } else { "Deny" }.to_owned(),
            why: match spoken.outcome {
                Ok(how) => applied(how).to_owned(),
                Err(element) => missed(element, spoken),
            },
        }
    }
}

fn applied(how: How) -> &'static str {
    match how {
        How::Attached => "applies",
        How::Exact => "names the caller",
        How::RoleOfSession => "names the role, or the user, behind the session",
        How::Anyone => "speaks of anyone",
        How::Account => "names the account, and so leaves it to the account's policies",
    }
}

fn missed(element: Element, spoken: &Spoken) -> String {
    match element {
        Element::Action => "speaks of other actions".into(),
        Element::Principal => "does not name the caller".into(),
        Element::Resource => "does not cover the resource".into(),
        Element::Condition => {
            let unmet = spoken.unmet.iter().map(|unmet| {
                let found = match &*unmet.found {
                    [] => "the request has no such key".to_owned(),
                    found => format!("the request has {}", found.join(", ")),
                };
                format!("the condition {} {} does not hold: {found}", unmet.operator, unmet.key)
            });
            unmet.collect::<Vec<_>>().join("; ")
        }
    }
}
