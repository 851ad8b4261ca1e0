//! A request with all that may speak about it, as JSON documents: what the evaluator, the naive one and
//! others' can be asked about alike.

use super::super::{Decision, Grant, Guardrail, How, Policies, PolicyKind, ResourceRule, evaluate};
use super::*;
use serde_json::{Value, json};

/// The policies, before anything has read them.
#[derive(Clone, Debug, Default)]
pub struct Papers {
    pub identity: Vec<Value>,
    pub resource: Option<Value>,
    /// The resource's policy is a role's trust policy.
    pub trust: bool,
    pub boundary: Option<Value>,
    pub session: Option<Vec<Value>>,
    pub guardrails: Vec<(PolicyKind, Vec<Value>)>,
}

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Asked {
    /// One of [`caller`]'s.
    pub caller: String,
    pub action: String,
    pub resource: String,
    /// The account that owns the resource.
    pub owner: String,
    pub rule: ResourceRule,
    pub grant: Option<How>,
    /// Condition keys, in whatever case, each with its values.
    pub facts: Vec<(String, Vec<String>)>,
}

/// The policies as the evaluator has them.
#[derive(Debug)]
pub struct Compiled {
    identity: Vec<Policy>,
    resource: Option<Policy>,
    boundary: Option<Policy>,
    session: Option<Vec<Policy>>,
    guardrails: Vec<(PolicyKind, Vec<Policy>)>,
}

impl Compiled {
    pub fn of(papers: &Papers) -> Self {
        let one = |kind| move |json: &Value| Policy::parse_stored(&json.to_string(), kind);
        let all = |kind, list: &[Value]| list.iter().map(one(kind)).collect::<Vec<_>>();
        let kind = if papers.trust { Kind::Trust } else { Kind::Resource };
        let guardrail = |(guard, list): &(PolicyKind, Vec<Value>)| {
            (*guard, all(kind_of_guardrail(*guard), list))
        };
        Self {
            identity: all(Kind::Identity, &papers.identity),
            resource: papers.resource.as_ref().map(one(kind)),
            boundary: papers.boundary.as_ref().map(one(Kind::Identity)),
            session: papers.session.as_ref().map(|list| all(Kind::Identity, list)),
            guardrails: papers.guardrails.iter().map(guardrail).collect(),
        }
    }

    /// A policy of a sample that did not parse would only ever deny, and prove nothing.
    pub fn defect(&self) -> Option<String> {
        let listed = self.guardrails.iter().flat_map(|(_, list)| list);
        let single = self.resource.iter().chain(&self.boundary);
        let session = self.session.iter().flatten();
        let mut all = self.identity.iter().chain(single).chain(session).chain(listed);
        all.find_map(|policy| policy.unreadable().map(ToString::to_string))
    }

    /// What the evaluator decides. Policies are called by their places: `names` has those of the
    /// identity, and of the session.
    pub fn decide(&self, asked: &Asked, names: &Names) -> Decision {
        fn list<'a>(all: &'a [Policy], names: &'a [String]) -> Vec<PolicyRef<'a>> {
            let name = |at: usize| names.get(at).map_or("", String::as_str);
            all.iter().enumerate().map(|(at, policy)| named(name(at), policy)).collect()
        }
        let identity = list(&self.identity, &names.identity);
        let session = self.session.as_ref().map(|all| list(all, &names.session));
        let levels: Vec<(PolicyKind, Vec<PolicyRef<'_>>)> = self
            .guardrails
            .iter()
            .map(|(kind, all)| (*kind, all.iter().map(|policy| named("guard", policy)).collect()))
            .collect();
        let guardrails: Vec<Guardrail<'_>> =
            levels.iter().map(|(kind, policies)| Guardrail { kind: *kind, policies }).collect();
        let policies = Policies {
            identity: &identity,
            resource: self.resource.as_ref().map(|policy| named(&names.resource, policy)),
            boundary: self.boundary.as_ref().map(|policy| named(&names.boundary, policy)),
            session: session.as_deref(),
            guardrails: &guardrails,
            grant: asked.grant.map(|how| Grant { id: "g", how }),
        };
        let mut conditions = Conditions::new();
        for (key, values) in &asked.facts {
            conditions.set_list(key, values.iter().map(String::as_str));
        }
        let request = Request {
            principal: caller(&asked.caller),
            action: &asked.action,
            resource: &asked.resource,
            conditions: &conditions,
        };
        evaluate(&request, &policies, &asked.owner, asked.rule)
    }
}

/// What reasons call the policies.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub identity: Vec<String>,
    pub resource: String,
    pub boundary: String,
    pub session: Vec<String>,
}

/// Policies of resources' owners name principals, the others do not.
pub fn kind_of_guardrail(kind: PolicyKind) -> Kind {
    match kind {
        PolicyKind::ServiceControl => Kind::Identity,
        _ => Kind::Resource,
    }
}

/// For others to read: all of the case, and the caller taken apart.
pub fn export(asked: &Asked, papers: &Papers) -> Value {
    let principal = caller(&asked.caller);
    let issuer = match principal.kind {
        PrincipalKind::AssumedRole { role_arn } => Some(role_arn),
        PrincipalKind::FederatedUser { user_arn, .. } => Some(user_arn),
        PrincipalKind::Federated { provider } => Some(provider),
        _ => None,
    };
    let kind = format!("{:?}", principal.kind);
    let guardrails: Vec<Value> = papers
        .guardrails
        .iter()
        .map(|(kind, list)| json!({"kind": format!("{kind:?}"), "policies": list}))
        .collect();
    json!({
        "principal": {
            "kind": kind.split([' ', '{']).next(), "arn": principal.arn,
            "unique_id": principal.unique_id, "account": principal.account, "issuer": issuer,
        },
        "action": asked.action, "resource": asked.resource, "owner": asked.owner,
        "rule": format!("{:?}", asked.rule), "grant": asked.grant.map(|how| format!("{how:?}")),
        "facts": asked.facts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "identity": papers.identity, "resource_policy": papers.resource, "trust": papers.trust,
        "boundary": papers.boundary, "session": papers.session, "guardrails": guardrails,
    })
}
