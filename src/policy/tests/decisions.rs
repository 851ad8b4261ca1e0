//! Decisions kept as data: `tests/it/policies/decisions.json` names policies, callers' requests, what
//! is decided and by which statements.

use super::super::{Decision, Effect, Grant, Guardrail, How, Policies, PolicyKind, ResourceRule};
use super::super::{Reason, evaluate};
use super::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: String,
    /// By the kind they are parsed as, then by name.
    policies: BTreeMap<String, BTreeMap<String, Value>>,
    resources: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    caller: String,
    action: String,
    resource: String,
    rule: String,
    #[serde(default)]
    identity: Vec<String>,
    #[serde(default)]
    resource_policy: Option<String>,
    #[serde(default)]
    boundary: Option<String>,
    #[serde(default)]
    session: Option<Vec<String>>,
    #[serde(default)]
    guardrails: Vec<(String, Vec<String>)>,
    #[serde(default)]
    grant: Option<String>,
    /// An identity policy of one statement that allows everything under this condition.
    #[serde(default)]
    condition: Option<Value>,
    #[serde(default)]
    facts: BTreeMap<String, Value>,
    decision: String,
    /// Of an Allow: kind, policy, statement and how of each reason. Of a denial: AWS's words.
    reason: String,
}

fn read() -> File {
    serde_json::from_str(include_str!("../../../tests/it/policies/decisions.json")).unwrap()
}

fn how(name: &str) -> How {
    match name {
        "Exact" => How::Exact,
        "RoleOfSession" => How::RoleOfSession,
        "Account" => How::Account,
        other => panic!("no how {other}"),
    }
}

fn guardrail(name: &str) -> PolicyKind {
    match name {
        "ServiceControl" => PolicyKind::ServiceControl,
        "ResourceControl" => PolicyKind::ResourceControl,
        "Endpoint" => PolicyKind::Endpoint,
        other => panic!("no guardrail {other}"),
    }
}

fn facts(case: &Case) -> Conditions<'_> {
    let mut conditions = Conditions::new();
    for (key, value) in &case.facts {
        match value {
            Value::String(text) => conditions.set(key, text),
            Value::Array(list) => {
                conditions.set_list(key, list.iter().map(|value| value.as_str().unwrap()));
            }
            other => panic!("{other} is no fact"),
        }
    }
    conditions
}

fn decide(case: &Case, policies: &BTreeMap<&str, Policy>, resource: &str) -> Decision {
    let by_name = |name: &String| {
        let (name, policy) = policies
            .get_key_value(name.as_str())
            .unwrap_or_else(|| panic!("{}: no policy {name}", case.name));
        named(name, policy)
    };
    let inline = case.condition.as_ref().map(|condition| {
        identity(&format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#
        ))
    });
    let mut identity: Vec<_> = case.identity.iter().map(by_name).collect();
    identity.extend(inline.as_ref().map(|policy| named("inline", policy)));
    let session: Option<Vec<_>> =
        case.session.as_ref().map(|list| list.iter().map(by_name).collect());
    let levels: Vec<(PolicyKind, Vec<_>)> = case
        .guardrails
        .iter()
        .map(|(kind, list)| (guardrail(kind), list.iter().map(by_name).collect()))
        .collect();
    let guardrails: Vec<_> =
        levels.iter().map(|(kind, policies)| Guardrail { kind: *kind, policies }).collect();
    let policies = Policies {
        identity: &identity,
        resource: case.resource_policy.as_ref().map(by_name),
        boundary: case.boundary.as_ref().map(by_name),
        session: session.as_deref(),
        guardrails: &guardrails,
        grant: case.grant.as_deref().map(|name| Grant { id: "g", how: how(name) }),
    };
    let rule = match case.rule.as_str() {
        "KeyPolicy" => ResourceRule::KeyPolicy,
        "Ordinary" => ResourceRule::Ordinary,
        "None" => ResourceRule::None,
        other => panic!("no rule {other}"),
    };
    let conditions = facts(case);
    let principal = caller(&case.caller);
    let account = resource.split(':').nth(4).unwrap_or(principal.account);
    let request = Request { principal, action: &case.action, resource, conditions: &conditions };
    evaluate(&request, &policies, account, rule)
}

fn describe(reason: &Reason) -> String {
    let mut words = vec![format!("{:?}", reason.kind)];
    words.extend(Some(&reason.policy).filter(|name| !name.is_empty()).cloned());
    words.extend(reason.statement.map(|index| index.to_string()));
    words.extend(reason.how.map(|how| format!("{how:?}")));
    words.join(" ")
}

#[test]
fn decisions_are_as_written() {
    let file = read();
    let mut policies = BTreeMap::new();
    for (kind, list) in &file.policies {
        for (name, document) in list {
            let kind = match kind.as_str() {
                "Identity" => Kind::Identity,
                "Resource" => Kind::Resource,
                "Trust" => Kind::Trust,
                other => panic!("no kind {other}"),
            };
            let text = document.to_string();
            let policy = match name.starts_with("broken") {
                true => Policy::parse_stored(&text, kind),
                false => Policy::parse(&text, kind).unwrap_or_else(|e| panic!("{name}: {e}")),
            };
            assert!(policies.insert(name.as_str(), policy).is_none(), "{name} twice");
        }
    }
    let mut wrong = Vec::new();
    for case in &file.cases {
        let resource = file.resources.get(&case.resource).unwrap_or(&case.resource);
        let decision = decide(case, &policies, resource);
        let reason = match decision.effect {
            Effect::Allow => decision.reasons.iter().map(describe).collect::<Vec<_>>().join(" + "),
            _ => decision.because(&case.action),
        };
        let got = (format!("{:?}", decision.effect), reason);
        if got != (case.decision.clone(), case.reason.clone()) {
            wrong.push(format!("{}: {got:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(file.cases.len() >= 120, "{} decisions", file.cases.len());
}

#[test]
fn names_of_decisions_are_unique() {
    let file = read();
    let mut names = std::collections::BTreeSet::new();
    assert!(file.cases.iter().all(|case| names.insert(&case.name)));
    let allowed = file.cases.iter().filter(|case| case.decision == "Allow").count();
    assert!(allowed * 2 < file.cases.len(), "more is to be refused than allowed");
}
