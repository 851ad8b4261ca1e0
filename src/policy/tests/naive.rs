//! A second evaluator, written from AWS's documents and nothing else: slow, plain, and without any of
//! the compiled forms of the first. Whoever of the two is wrong, they differ.
//!
//! Source: IAM User Guide, "Policy evaluation logic", "Cross-account policy evaluation logic",
//! "Permissions boundaries", "NotPrincipal"; KMS Developer Guide, "Key policies" and "Grants".

use super::super::{Effect, How, PolicyKind, ResourceRule};
use super::case::{Asked, Papers, kind_of_guardrail};
use super::naive_values::{Facts, condition_holds, fits, symbols};
use super::{Kind, Principal, PrincipalKind, caller};
use serde_json::Value;

/// Everything that is true of one request.
struct World<'a> {
    caller: Principal<'a>,
    asked: &'a Asked,
    facts: Facts,
    has_boundary: bool,
}

/// How a statement of a resource's policy speaks of the caller.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// By its own ARN or id.
    Itself,
    /// By the role or the user behind its session.
    Behind,
    Everyone,
    ItsAccount,
}

pub fn decide(asked: &Asked, papers: &Papers) -> Effect {
    let caller = caller(&asked.caller);
    let facts = Facts::of(&asked.facts);
    let world = World { caller, asked, facts, has_boundary: papers.boundary.is_some() };
    // Every policy, with what it is attached to.
    let resource_kind = if papers.trust { Kind::Trust } else { Kind::Resource };
    let mut all: Vec<(&Value, Kind)> = Vec::new();
    all.extend(papers.identity.iter().map(|policy| (policy, Kind::Identity)));
    all.extend(papers.resource.iter().map(|policy| (policy, resource_kind)));
    all.extend(papers.boundary.iter().map(|policy| (policy, Kind::Identity)));
    all.extend(papers.session.iter().flatten().map(|policy| (policy, Kind::Identity)));
    for (guard, list) in &papers.guardrails {
        all.extend(list.iter().map(|policy| (policy, kind_of_guardrail(*guard))));
    }
    // "An explicit deny in any of these policies overrides the allow." What cannot be read may hide one.
    let denies = |(policy, kind): &(&Value, Kind)| {
        !is_readable(policy) || !world.ways(policy, *kind, "Deny").is_empty()
    };
    if all.iter().any(denies) {
        return Effect::ExplicitDeny;
    }
    let allows = |policy: &Value, kind| !world.ways(policy, kind, "Allow").is_empty();
    let any_allows = |list: &[Value]| list.iter().any(|policy| allows(policy, Kind::Identity));
    for (guard, list) in &papers.guardrails {
        if !list.iter().any(|policy| allows(policy, kind_of_guardrail(*guard))) {
            return Effect::ImplicitDeny;
        }
    }
    let identity = caller.kind == PrincipalKind::Root || any_allows(&papers.identity);
    let boundary = papers.boundary.as_ref().is_none_or(|policy| allows(policy, Kind::Identity));
    let limits = boundary && papers.session.as_ref().is_none_or(|list| any_allows(list));
    let resource = papers.resource.as_ref();
    let resource =
        resource.map(|policy| world.ways(policy, resource_kind, "Allow")).unwrap_or_default();
    if world.is_allowed(&resource, identity, limits) { Effect::Allow } else { Effect::ImplicitDeny }
}

/// Whether every statement has an effect, and no element that is unknown here.
fn is_readable(policy: &Value) -> bool {
    let known = |name: &String| {
        let plain = name.strip_prefix("Not").unwrap_or(name);
        ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"].contains(&plain)
    };
    let clear = |statement: &Value| {
        matches!(statement["Effect"].as_str(), Some("Allow" | "Deny"))
            && statement.as_object().is_some_and(|elements| elements.keys().all(known))
    };
    let list = many(&policy["Statement"]);
    !list.is_empty() && list.into_iter().all(clear)
}

/// A member that may be one value or a list of them.
pub fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    many(value).into_iter().filter_map(Value::as_str).collect()
}

impl World<'_> {
    fn is_allowed(&self, resource: &[Way], identity: bool, limits: bool) -> bool {
        let has = |way| resource.contains(&way);
        let own_account = self.caller.account == self.asked.owner;
        let granted = self.asked.rule == ResourceRule::KeyPolicy
            && match self.asked.grant {
                None => false,
                // A grant stands for a key policy's allow, and needs no policy of the grantee's account.
                Some(How::Exact) => true,
                Some(How::RoleOfSession) => limits,
                Some(_) => identity && limits,
            };
        if self.caller.account.is_empty() {
            // Services, web identities, strangers: only the resource's policy knows them.
            let named = self.asked.rule != ResourceRule::None && !resource.is_empty();
            return named || granted;
        }
        let by_policies = match self.asked.rule {
            ResourceRule::None => own_account && identity && limits,
            _ if !own_account => !resource.is_empty() && identity && limits,
            rule => {
                // "… do not limit what a resource-based policy grants to an IAM user ARN or a session
                // ARN"; they do limit what it grants to a role, and to everyone.
                has(Way::Itself)
                    || (has(Way::Behind) || has(Way::Everyone)) && limits
                    || (has(Way::ItsAccount) || rule == ResourceRule::Ordinary)
                        && identity
                        && limits
            }
        };
        by_policies || granted
    }

    /// The ways in which statements of this effect apply; of attached policies, `Itself`.
    fn ways(&self, policy: &Value, kind: Kind, effect: &str) -> Vec<Way> {
        let variables = policy["Version"] == "2012-10-17";
        let mut ways = Vec::new();
        for statement in many(&policy["Statement"]) {
            if statement["Effect"] == effect && self.matches(statement, kind, variables) {
                match kind {
                    Kind::Identity => ways.push(Way::Itself),
                    _ => ways.extend(self.named_by(statement)),
                }
            }
        }
        ways
    }

    /// All elements but the principals.
    fn matches(&self, statement: &Value, kind: Kind, variables: bool) -> bool {
        let action = |pattern: &str| {
            let pattern = symbols(pattern, true, false, &self.facts);
            pattern.is_some_and(|pattern| fits(&pattern, &self.asked.action, true))
        };
        let acts = match (&statement["Action"], &statement["NotAction"]) {
            (Value::Null, Value::Null) => false,
            (Value::Null, but) => !texts(but).into_iter().any(action),
            (only, _) => texts(only).into_iter().any(action),
        };
        acts && (kind == Kind::Trust || self.covers_resource(statement, variables))
            && self.conditions_hold(
                &statement["Condition"],
                variables,
                statement["Effect"] == "Allow",
            )
    }

    /// "The resource that includes a policy variable with no value will not match any resource." Where
    /// that would make an Allow with NotResource wider, this server does not allow.
    fn covers_resource(&self, statement: &Value, variables: bool) -> bool {
        let pattern = |text: &str| symbols(text, true, variables, &self.facts);
        let found = |text: &str| {
            pattern(text).is_some_and(|pattern| fits(&pattern, &self.asked.resource, false))
        };
        match (&statement["Resource"], &statement["NotResource"]) {
            (Value::Null, Value::Null) => false,
            (Value::Null, but) => {
                let unknown = texts(but).into_iter().any(|text| pattern(text).is_none());
                !(texts(but).into_iter().any(found) || unknown && statement["Effect"] == "Allow")
            }
            (only, _) => texts(only).into_iter().any(found),
        }
    }

    fn conditions_hold(&self, condition: &Value, variables: bool, allows: bool) -> bool {
        let Value::Object(operators) = condition else { return true };
        operators.iter().all(|(operator, keys)| {
            keys.as_object().is_some_and(|keys| {
                keys.iter().all(|(key, values)| {
                    condition_holds(operator, key, values, &self.facts, variables, allows)
                })
            })
        })
    }

    fn named_by(&self, statement: &Value) -> Vec<Way> {
        let listed = |element: &Value| -> Vec<Way> {
            if *element == "*" {
                return vec![Way::Everyone];
            }
            let Value::Object(kinds) = element else { return Vec::new() };
            let each = kinds.iter().flat_map(|(kind, list)| {
                texts(list).into_iter().filter_map(|text| self.named(kind, text))
            });
            each.collect()
        };
        match &statement["NotPrincipal"] {
            Value::Null => listed(&statement["Principal"]),
            but if self.has_boundary || !self.is_spared(&listed(but)) => vec![Way::Everyone],
            _ => Vec::new(),
        }
    }

    /// How one value of a Principal element names the caller.
    fn named(&self, kind: &str, text: &str) -> Option<Way> {
        let Principal { arn, unique_id, account, kind: caller } = self.caller;
        let role_id = unique_id.split(':').next().unwrap_or_default();
        let (issuer, issuer_id, provider) = match caller {
            PrincipalKind::AssumedRole { role_arn } => (role_arn, role_id, ""),
            PrincipalKind::FederatedUser { user_arn, user_id } => (user_arn, user_id, ""),
            PrincipalKind::Federated { provider } => ("", "", provider),
            _ => ("", "", ""),
        };
        let has_account = !account.is_empty();
        let is_id = text.starts_with("AIDA") || text.starts_with("AROA");
        match kind {
            "AWS" if text == "*" => Some(Way::Everyone),
            "AWS"
                if has_account
                    && (text == account || text == format!("arn:aws:iam::{account}:root")) =>
            {
                Some(Way::ItsAccount)
            }
            "AWS" if has_account && text == arn => Some(Way::Itself),
            "AWS" if has_account && text == issuer => Some(Way::Behind),
            "AWS" if is_id && text == unique_id => Some(Way::Itself),
            "AWS" if is_id && text == issuer_id => Some(Way::Behind),
            "Service" if caller == PrincipalKind::Service && text == arn => Some(Way::Itself),
            "Federated" if !provider.is_empty() && text == provider => Some(Way::Itself),
            _ => None,
        }
    }

    /// NotPrincipal spares whom it lists at every level, as "AWS might validate the account first, then
    /// the role, and then the assumed-role user".
    fn is_spared(&self, listed: &[Way]) -> bool {
        let levels: &[Way] = match self.caller.kind {
            PrincipalKind::Root => &[Way::ItsAccount],
            PrincipalKind::User => &[Way::ItsAccount, Way::Itself],
            PrincipalKind::AssumedRole { .. } | PrincipalKind::FederatedUser { .. } => {
                &[Way::ItsAccount, Way::Behind, Way::Itself]
            }
            _ => &[Way::Itself],
        };
        listed.contains(&Way::Everyone) || levels.iter().all(|level| listed.contains(level))
    }
}

/// The guardrails' kinds are the evaluator's own; that they are all known here is checked by `match`.
pub fn guardrail(name: &str) -> PolicyKind {
    match name {
        "ServiceControl" => PolicyKind::ServiceControl,
        "ResourceControl" => PolicyKind::ResourceControl,
        "Endpoint" => PolicyKind::Endpoint,
        other => panic!("no guardrail {other}"),
    }
}
