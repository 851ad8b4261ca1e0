//! Decisions kept as data: the files in `tests/it/policies/` hold policies, callers' requests, what must
//! be decided and by which statements. What they expect was written down from AWS's documents.

use super::super::{Decision, Effect, How, Reason, ResourceRule};
use super::case::{Asked, Compiled, Names, Papers};
use super::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Named policies and single cases.
const COMMON: &str = include_str!("../../../tests/it/policies/decisions.json");
/// Groups of cases that differ from their group's base in what they say, a topic each.
const TOPICS: [&str; 15] = [
    include_str!("../../../tests/it/policies/actions.json"),
    include_str!("../../../tests/it/policies/boundary.json"),
    include_str!("../../../tests/it/policies/cross-account.json"),
    include_str!("../../../tests/it/policies/delegation.json"),
    include_str!("../../../tests/it/policies/grants.json"),
    include_str!("../../../tests/it/policies/guardrails.json"),
    include_str!("../../../tests/it/policies/not-forms.json"),
    include_str!("../../../tests/it/policies/operators.json"),
    include_str!("../../../tests/it/policies/principals.json"),
    include_str!("../../../tests/it/policies/resources.json"),
    include_str!("../../../tests/it/policies/root.json"),
    include_str!("../../../tests/it/policies/session.json"),
    include_str!("../../../tests/it/policies/trust.json"),
    include_str!("../../../tests/it/policies/unique-ids.json"),
    include_str!("../../../tests/it/policies/variables.json"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(rename = "about")]
    _about: String,
    /// By the kind they are parsed as, then by name.
    policies: BTreeMap<String, BTreeMap<String, Value>>,
    resources: BTreeMap<String, String>,
    cases: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    about: String,
    base: Map<String, Value>,
    decisions: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    name: String,
    /// What differs from the base; of facts, those that do. Null takes away.
    but: Map<String, Value>,
    decision: String,
    reason: String,
}

/// Policies are named, or written where they stand: a whole policy, a statement or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    caller: String,
    action: String,
    resource: String,
    rule: String,
    #[serde(default)]
    identity: Vec<Value>,
    #[serde(default)]
    resource_policy: Option<Value>,
    #[serde(default)]
    trust: bool,
    #[serde(default)]
    boundary: Option<Value>,
    #[serde(default)]
    session: Option<Vec<Value>>,
    #[serde(default)]
    guardrails: Vec<(String, Vec<Value>)>,
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

/// Cases that belong together: a group's, or the single ones.
pub struct Chapter {
    pub about: String,
    cases: Vec<(Case, Map<String, Value>)>,
}

/// Everything in the files.
pub struct Book {
    common: Common,
    pub chapters: Vec<Chapter>,
}

impl Book {
    pub fn read() -> Self {
        let common: Common = serde_json::from_str(COMMON).unwrap();
        let case = |raw: &Map<String, Value>| -> (Case, Map<String, Value>) {
            let case = serde_json::from_value(Value::Object(raw.clone()));
            (case.unwrap_or_else(|error| panic!("{error}: {raw:?}")), raw.clone())
        };
        let single = Chapter {
            about: "single cases".into(),
            cases: common.cases.iter().map(case).collect(),
        };
        let mut chapters = vec![single];
        for topic in TOPICS {
            for group in serde_json::from_str::<Vec<Group>>(topic).unwrap() {
                let whole = |variant: &Variant| case(&group.whole(variant));
                let cases = group.decisions.iter().map(whole).collect();
                chapters.push(Chapter { about: group.about, cases });
            }
        }
        Self { common, chapters }
    }

    /// All cases as what may be asked, with the decision that must come.
    pub fn questions(&self) -> impl Iterator<Item = (String, Asked, Papers, String)> {
        self.chapters.iter().flat_map(|chapter| &chapter.cases).map(|(case, _)| {
            let (asked, papers, _) = self.question(case);
            (case.name.clone(), asked, papers, case.decision.clone())
        })
    }

    /// A policy and its name.
    fn policy(&self, found: &Value) -> (String, Value) {
        if let Value::String(name) = found {
            let by_name = |kind: &BTreeMap<String, Value>| kind.get(name).cloned();
            let policy = self.common.policies.values().find_map(by_name);
            return (name.clone(), policy.unwrap_or_else(|| panic!("no policy {name}")));
        }
        let policy = match found.get("Statement") {
            Some(_) => found.clone(),
            None => json!({"Version": "2012-10-17", "Statement": found}),
        };
        ("inline".into(), policy)
    }

    fn question(&self, case: &Case) -> (Asked, Papers, Names) {
        let policies = |list: &[Value]| -> (Vec<String>, Vec<Value>) {
            list.iter().map(|policy| self.policy(policy)).unzip()
        };
        let mut identity = case.identity.clone();
        identity.extend(case.condition.as_ref().map(|condition| {
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition})
        }));
        let (identity_names, identity) = policies(&identity);
        let (session_names, session) = case.session.as_deref().map(policies).unzip();
        let (resource_name, resource) =
            case.resource_policy.as_ref().map(|p| self.policy(p)).unzip();
        let (boundary_name, boundary) = case.boundary.as_ref().map(|p| self.policy(p)).unzip();
        let is_trust = |name: &String| self.common.policies["Trust"].contains_key(name);
        let guardrail =
            |(kind, list): &(String, Vec<Value>)| (naive::guardrail(kind), policies(list).1);
        let papers = Papers {
            identity,
            trust: case.trust || resource_name.as_ref().is_some_and(is_trust),
            resource,
            boundary,
            session,
            guardrails: case.guardrails.iter().map(guardrail).collect(),
        };
        let names = Names {
            identity: identity_names,
            resource: resource_name.unwrap_or_default(),
            boundary: boundary_name.unwrap_or_default(),
            session: session_names.unwrap_or_default(),
        };
        let resource = self.common.resources.get(&case.resource).unwrap_or(&case.resource).clone();
        let owner = resource.split(':').nth(4).unwrap_or(caller(&case.caller).account).to_owned();
        let asked = Asked {
            caller: case.caller.clone(),
            action: case.action.clone(),
            resource,
            owner,
            rule: match case.rule.as_str() {
                "KeyPolicy" => ResourceRule::KeyPolicy,
                "Ordinary" => ResourceRule::Ordinary,
                "None" => ResourceRule::None,
                other => panic!("no rule {other}"),
            },
            grant: case.grant.as_deref().map(|how| match how {
                "Exact" => How::Exact,
                "RoleOfSession" => How::RoleOfSession,
                "Account" => How::Account,
                other => panic!("no how {other}"),
            }),
            facts: case.facts.iter().map(fact).collect(),
        };
        (asked, papers, names)
    }
}

fn fact((key, value): (&String, &Value)) -> (String, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let values = match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => vec![text(one)],
    };
    (key.clone(), values)
}

impl Group {
    /// The base with what the variant changes.
    fn whole(&self, variant: &Variant) -> Map<String, Value> {
        let mut whole = self.base.clone();
        for (member, value) in &variant.but {
            match (whole.get_mut(member), value) {
                (Some(Value::Object(facts)), Value::Object(changed)) if member == "facts" => {
                    facts.extend(changed.clone());
                    facts.retain(|_, value| !value.is_null());
                }
                _ => drop(whole.insert(member.clone(), value.clone())),
            }
        }
        whole.retain(|_, value| !value.is_null());
        let said =
            [("name", &variant.name), ("decision", &variant.decision), ("reason", &variant.reason)];
        whole.extend(said.map(|(member, text)| (member.to_owned(), json!(text))));
        whole
    }
}

fn describe(reason: &Reason) -> String {
    let mut words = vec![format!("{:?}", reason.kind)];
    words.extend(Some(&reason.policy).filter(|name| !name.is_empty()).cloned());
    words.extend(reason.statement.map(|index| index.to_string()));
    words.extend(reason.how.map(|how| format!("{how:?}")));
    words.join(" ")
}

/// In how many members two cases differ; each fact is one.
fn distance(a: &Map<String, Value>, b: &Map<String, Value>) -> usize {
    let parts = |case: &Map<String, Value>| -> BTreeMap<String, Value> {
        let mut parts = BTreeMap::new();
        for (member, value) in case {
            match (member.as_str(), value) {
                ("name" | "decision" | "reason", _) => {}
                ("facts", Value::Object(facts)) => {
                    parts.extend(facts.iter().map(|(key, v)| (format!("fact {key}"), v.clone())));
                }
                _ => drop(parts.insert(member.clone(), value.clone())),
            }
        }
        parts
    };
    let (a, b) = (parts(a), parts(b));
    let members: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    members.into_iter().filter(|member| a.get(*member) != b.get(*member)).count()
}

#[test]
fn decisions_are_as_written() {
    let book = Book::read();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (case, _) in book.chapters.iter().flat_map(|chapter| &chapter.cases) {
        let (asked, papers, names) = book.question(case);
        let compiled = Compiled::of(&papers);
        let is_broken =
            names.identity.iter().chain([&names.resource]).any(|n| n.starts_with("broken"));
        assert_eq!(
            compiled.defect().is_some(),
            is_broken,
            "{}: {:?}",
            case.name,
            compiled.defect()
        );
        let decision: Decision = compiled.decide(&asked, &names);
        let reason = match decision.effect {
            Effect::Allow => decision.reasons.iter().map(describe).collect::<Vec<_>>().join(" + "),
            _ => decision.because(&case.action),
        };
        let got = (format!("{:?}", decision.effect), reason);
        if got != (case.decision.clone(), case.reason.clone()) {
            wrong.push(format!("{}: {got:?}, not {} {}", case.name, case.decision, case.reason));
        }
        let naive = format!("{:?}", naive::decide(&asked, &papers));
        if naive != case.decision {
            wrong.push(format!("{}: {naive} by the naive one", case.name));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 900, "{count} decisions");
}

/// A test that only ever sees yes proves little: what is allowed has a neighbour, one member away, that
/// is refused.
#[test]
fn each_allowed_decision_stands_beside_its_nearest_denied_one() {
    let book = Book::read();
    let mut names = BTreeSet::new();
    let mut alone = Vec::new();
    for chapter in &book.chapters {
        for (case, raw) in &chapter.cases {
            let name = format!("{}: {}", chapter.about, case.name);
            assert!(names.insert(name.clone()), "{name} twice");
            let is_near = |(other, its): &(Case, Map<String, Value>)| {
                other.decision != "Allow" && distance(raw, its) == 1
            };
            if case.decision == "Allow" && !chapter.cases.iter().any(is_near) {
                alone.push(name);
            }
        }
    }
    assert!(alone.is_empty(), "{}", alone.join("\n"));
}
