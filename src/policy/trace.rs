//! What each statement of each policy makes of a request: the path to a decision, for whoever asks why.
//! Nothing is decided here; the evaluation asks the same questions of the same statements.

use super::decision::PolicyKind;
use super::evaluate::{Policies, PolicyRef, Request};
use super::principal::How;
use super::statement::Element;
use std::collections::HashMap;
use std::sync::Arc;

/// One policy, and what its statements make of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    pub kind: PolicyKind,
    pub policy: String,
    /// Why the stored policy denies everything, if it does.
    pub defect: Option<String>,
    pub statements: Vec<Spoken>,
    /// The condition keys that the policy asks about, as it writes them.
    pub asks: Vec<String>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoken {
    /// From zero.
    pub index: usize,
    pub sid: Option<String>,
    pub allows: bool,
    /// How it speaks of the caller, or the first element that does not fit.
    pub outcome: Result<How, Element>,
    /// If the conditions do not fit: those that do not.
    pub unmet: Vec<Unmet>,
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    pub operator: String,
    pub key: String,
    /// What the request has for the key; nothing, if it has not the key.
    pub found: Arc<[String]>,
}

/// Asks every statement of every policy, in the order in which the evaluation asks them.
pub fn examine(request: &Request<'_>, policies: &Policies<'_>) -> Vec<Examined> {
    let groups = [
        (PolicyKind::Identity, policies.identity),
        (PolicyKind::Resource, policies.resource.as_slice()),
        (PolicyKind::Boundary, policies.boundary.as_slice()),
        (PolicyKind::Session, policies.session.unwrap_or_default()),
    ];
    let guardrails = policies.guardrails.iter().map(|g| (g.kind, g.policies));
    let all = groups.into_iter().chain(guardrails);
    let bounded = policies.boundary.is_some();
    let mut values = HashMap::new();
    let examined = |(kind, list): (_, &[PolicyRef<'_>])| -> Vec<Examined> {
        list.iter().map(|by| examined(request, bounded, kind, by, &mut values)).collect()
    };
    all.flat_map(examined).collect()
}

/// The values of condition keys, copied once however many conditions do not hold because of them.
type Seen = HashMap<String, Arc<[String]>>;

fn examined(
    request: &Request<'_>,
    bounded: bool,
    kind: PolicyKind,
    by: &PolicyRef<'_>,
    values: &mut Seen,
) -> Examined {
    let statements = by.policy.statements();
    let spoken = statements.iter().enumerate().map(|(index, statement)| {
        let outcome = statement.examine(request, bounded);
        let unmet = match outcome {
            Err(Element::Condition) => statement
                .unmet(request)
                .map(|condition| Unmet {
                    operator: condition.operator().to_owned(),
                    key: condition.key().to_owned(),
                    found: values
                        .entry(condition.key().to_lowercase())
                        .or_insert_with(|| {
                            let found = condition.found(request.conditions);
                            found.iter().map(ToString::to_string).collect()
                        })
                        .clone(),
                })
                .collect(),
            _ => Vec::new(),
        };
        let (sid, allows) = (statement.sid().map(str::to_owned), statement.is_allow());
        Spoken { index, sid, allows, outcome, unmet }
    });
    let mut asks: Vec<String> =
        statements.iter().flat_map(|s| s.condition_keys()).map(str::to_owned).collect();
    asks.sort();
    asks.dedup();
    Examined {
        kind,
        policy: by.name.to_owned(),
        defect: by.policy.unreadable().map(ToString::to_string),
        statements: spoken.collect(),
        asks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Conditions, Kind, Policy, Principal, PrincipalKind};

    /// However many conditions ask about a key, its values are not copied for each of them.
    #[test]
    fn what_was_found_is_there_once() {
        let text = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition":
                {"StringEquals": {"aws:a": "x", "AWS:A": "y"}, "StringLike": {"aws:a": "z*"}}},
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition":
                {"StringEquals": {"aws:a": "w"}}}]}"#;
        let policy = Policy::parse(text, Kind::Identity).unwrap();
        let mut conditions = Conditions::default();
        conditions.set("aws:a", "long");
        let principal = Principal {
            arn: "arn:aws:iam::111122223333:user/ann",
            unique_id: "AIDAANN",
            account: "111122223333",
            kind: PrincipalKind::User,
        };
        let request =
            Request { principal, action: "s3:GetObject", resource: "*", conditions: &conditions };
        let identity = [PolicyRef { name: "p", policy: &policy }];
        let examined = examine(&request, &Policies { identity: &identity, ..Policies::default() });
        let unmet: Vec<&Unmet> =
            examined.iter().flat_map(|p| &p.statements).flat_map(|s| &s.unmet).collect();
        assert_eq!(unmet.len(), 4);
        for one in &unmet {
            assert_eq!(*one.found, ["long".to_owned()]);
            assert!(Arc::ptr_eq(&one.found, &unmet[0].found));
        }
    }
}
