//! The evaluation: any Deny first, then who has to say yes, in AWS's order.
//!
//! ```text
//! a Deny anywhere ─────────────────────────────────────────────▶ explicit deny
//! guardrails (SCP, RCP, endpoint), each ── no Allow ───────────▶ implicit deny
//! resource policy ── names the caller itself, same account ────▶ allow (no boundary asked)
//!        │           names its role or anyone, same account ──┐
//!        └ names the account, or another account's caller ─┐  │
//! identity policies ── no Allow ──▶ implicit deny          │  │
//!        └──────────────── Allow ◀─────────────────────────┘  │
//! boundary, session policy ── no Allow ──▶ implicit deny ◀────┘
//! ```
//!
//! Source: IAM User Guide, "How AWS enforcement code logic evaluates requests" and "Cross-account
//! policy evaluation logic"; KMS Developer Guide, "Troubleshooting key access".

use super::condition_keys::Conditions;
use super::decision::{Decision, Effect, PolicyKind, Reason};
use super::document::Policy;
use super::principal::{How, Principal, PrincipalKind};
use super::statement::Mark;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub principal: Principal<'a>,
    /// `kms:Decrypt`.
    pub action: &'a str,
    /// The ARN of the resolved resource, or `*` for an action that has none.
    pub resource: &'a str,
    pub conditions: &'a Conditions<'a>,
}

/// A policy and the name by which reasons call it.
#[derive(Debug, Clone, Copy)]
pub struct PolicyRef<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
}

/// Policies of which one must allow, whoever the caller is: one level of service control policies,
/// the resource control policies, the policy of an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Guardrail<'a> {
    pub kind: PolicyKind,
    pub policies: &'a [PolicyRef<'a>],
}

/// A KMS grant that covers the request; whether it does is the caller's business.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    pub id: &'a str,
    /// How the grantee is the caller: itself, the role of its session, or its account.
    pub how: How,
}

/// All that may speak about a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// The caller's own and its groups'. For a session, those of its role; for a federated user,
    /// those of its user.
    pub identity: &'a [PolicyRef<'a>],
    /// The key policy, the secret's policy, the role's trust policy.
    pub resource: Option<PolicyRef<'a>>,
    pub boundary: Option<PolicyRef<'a>>,
    /// `None`: the session was made without policies. `Some(&[])`: it may do nothing.
    pub session: Option<&'a [PolicyRef<'a>]>,
    pub guardrails: &'a [Guardrail<'a>],
    /// One more allow for [`ResourceRule::KeyPolicy`]. It does not override a Deny.
    pub grant: Option<Grant<'a>>,
}

/// How resource and identity policies combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceRule {
    /// In one account either is enough, save that naming the account alone grants nothing; between
    /// accounts both are needed. Secrets.
    Ordinary,
    /// The resource's policy must allow: the caller itself, or its account, and then its identity
    /// policies must allow too. Between accounts both are needed. KMS keys, and roles to assume.
    KeyPolicy,
    /// No resource policy can exist: identity policies decide, and only in their own account.
    None,
}

/// A statement that allows.
#[derive(Debug, Clone, Copy)]
struct Allow<'a> {
    kind: PolicyKind,
    by: PolicyRef<'a>,
    statement: usize,
    how: How,
}

impl Allow<'_> {
    fn reason(&self) -> Reason {
        let sid = self.by.policy.statements().get(self.statement).and_then(|s| s.sid());
        Reason {
            statement: Some(self.statement),
            sid: sid.map(str::to_owned),
            ..Reason::allow(self.kind, self.by.name, Some(self.how))
        }
    }
}

/// Decides. Pure: the same arguments, the same decision.
pub fn evaluate(
    request: &Request<'_>,
    policies: &Policies<'_>,
    resource_account: &str,
    rule: ResourceRule,
) -> Decision {
    match decide(request, policies, resource_account, rule) {
        Ok(allowed) => Decision { effect: Effect::Allow, reasons: allowed.reasons() },
        Err(reason) => Decision::denied(*reason),
    }
}

/// The same decision for whoever asks for reasons only when it is a denial.
pub fn permit(
    request: &Request<'_>,
    policies: &Policies<'_>,
    resource_account: &str,
    rule: ResourceRule,
) -> Result<(), Decision> {
    match decide(request, policies, resource_account, rule) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Decision::denied(*reason)),
    }
}

fn decide<'a>(
    request: &Request<'_>,
    policies: &Policies<'a>,
    resource_account: &str,
    rule: ResourceRule,
) -> Result<Allowed<'a>, Box<Reason>> {
    // Every policy is read before anything is allowed: a Deny may stand in the last of them.
    let bounded = policies.boundary.is_some();
    let speak = |kind, list| speak(request, bounded, kind, list);
    let identity = speak(PolicyKind::Identity, policies.identity)?;
    let resource = speak(PolicyKind::Resource, policies.resource.as_slice())?;
    let boundary = speak(PolicyKind::Boundary, policies.boundary.as_slice())?;
    let session = speak(PolicyKind::Session, policies.session.unwrap_or_default())?;
    let mut unguarded = None;
    for guardrail in policies.guardrails {
        let allowed = speak(guardrail.kind, guardrail.policies)?.is_some();
        unguarded = unguarded.or((!allowed).then_some(guardrail.kind));
    }
    if let Some(kind) = unguarded {
        return Err(missing(kind));
    }
    let own = OwnSide {
        root: request.principal.kind == PrincipalKind::Root,
        identity,
        boundary: policies.boundary.map(|_| boundary),
        session: policies.session.map(|_| session),
    };
    let origin = match request.principal.kind {
        PrincipalKind::Service | PrincipalKind::Federated { .. } | PrincipalKind::Anonymous => {
            Origin::Nowhere
        }
        _ if request.principal.account == resource_account => Origin::SameAccount,
        _ => Origin::OtherAccount,
    };
    let by_policy = own.needed(rule, origin, resource.map(|allow| allow.how));
    let denial = match by_policy {
        Ok(needed) => {
            let by = resource.filter(|_| needed.resource).map(Ground::Policy);
            return Ok(Allowed { by, own, needed });
        }
        Err(kind) => kind,
    };
    match policies.grant.filter(|_| rule == ResourceRule::KeyPolicy) {
        None => Err(missing(denial)),
        Some(grant) => {
            let needed = own.needed_with_grant(origin, grant.how).map_err(|_| missing(denial))?;
            Ok(Allowed { by: Some(Ground::Grant(grant)), own, needed })
        }
    }
}

fn missing(kind: PolicyKind) -> Box<Reason> {
    Box::new(Reason::missing(kind))
}

/// Where the caller stands to the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    SameAccount,
    OtherAccount,
    /// A service, a web identity, nobody: no account whose policies could allow anything.
    Nowhere,
}

/// Which sides an allow rests on.
#[derive(Debug, Clone, Copy)]
struct Needed {
    resource: bool,
    identity: bool,
    /// The boundary and the session policies.
    limits: bool,
}

/// What of the resource's side allows.
#[derive(Debug, Clone, Copy)]
enum Ground<'a> {
    Policy(Allow<'a>),
    Grant(Grant<'a>),
}

/// An allow, and what it rests on.
#[derive(Debug, Clone, Copy)]
struct Allowed<'a> {
    by: Option<Ground<'a>>,
    own: OwnSide<'a>,
    needed: Needed,
}

impl Allowed<'_> {
    /// Every allow that was needed.
    fn reasons(&self) -> Vec<Reason> {
        let by = self.by.map(|by| match by {
            Ground::Policy(allow) => allow.reason(),
            Ground::Grant(grant) => Reason::allow(PolicyKind::Grant, grant.id, Some(grant.how)),
        });
        let own = self.own;
        let identity = self.needed.identity.then(|| match own.root {
            true => Some(Reason::allow(PolicyKind::AccountRoot, "", None)),
            false => own.identity.map(|allow| allow.reason()),
        });
        let limits = [own.boundary, own.session].into_iter().filter(|_| self.needed.limits);
        let limits = limits.flatten().flatten().map(|allow| allow.reason());
        by.into_iter().chain(identity.flatten()).chain(limits).collect()
    }
}

/// What the caller's own account says.
#[derive(Debug, Clone, Copy)]
struct OwnSide<'a> {
    root: bool,
    identity: Option<Allow<'a>>,
    boundary: Option<Option<Allow<'a>>>,
    session: Option<Option<Allow<'a>>>,
}

impl OwnSide<'_> {
    /// What an allow rests on, given how the resource's policy allows; or what is missing for it.
    fn needed(
        &self,
        rule: ResourceRule,
        origin: Origin,
        how: Option<How>,
    ) -> Result<Needed, PolicyKind> {
        let resource = how.is_some();
        let direct = Needed { resource, identity: false, limits: false };
        let limited = Needed { limits: true, ..direct };
        let both = Needed { identity: true, ..limited };
        let needed = match (rule, origin, how) {
            (ResourceRule::None, Origin::SameAccount, _) => Needed { resource: false, ..both },
            (ResourceRule::None, ..) => return Err(PolicyKind::Resource),
            (ResourceRule::Ordinary, Origin::SameAccount, None) => both,
            (_, _, None) => return Err(PolicyKind::Resource),
            (_, Origin::Nowhere, Some(_)) => direct,
            (_, Origin::OtherAccount, Some(_)) => both,
            (_, Origin::SameAccount, Some(How::Exact)) => direct,
            (_, Origin::SameAccount, Some(How::RoleOfSession | How::Anyone)) => limited,
            // `Attached` does not come from here, see `speak`; it would get the least.
            (_, Origin::SameAccount, Some(How::Account | How::Attached)) => both,
        };
        self.check(needed)
    }

    /// A grant stands where a key policy's allow would, and reaches a grantee of another account
    /// without that account's policies, unless it is the account itself that was granted.
    fn needed_with_grant(&self, origin: Origin, how: How) -> Result<Needed, PolicyKind> {
        let delegated = matches!(how, How::Account | How::Attached | How::Anyone);
        let limits = how != How::Exact && origin != Origin::Nowhere;
        self.check(Needed { resource: false, identity: delegated, limits })
    }

    fn check(&self, needed: Needed) -> Result<Needed, PolicyKind> {
        let absent = |limit: &Option<Option<_>>| needed.limits && matches!(limit, Some(None));
        match needed {
            _ if needed.identity && !self.root && self.identity.is_none() => {
                Err(PolicyKind::Identity)
            }
            _ if absent(&self.boundary) => Err(PolicyKind::Boundary),
            _ if absent(&self.session) => Err(PolicyKind::Session),
            _ => Ok(needed),
        }
    }
}

/// What these policies say together: the first Deny, or the strongest Allow, or nothing. An Allow
/// counts only in the place it was written for: a policy without principals allows nothing as a
/// resource's, one that names them nothing as an identity's.
fn speak<'a>(
    request: &Request<'_>,
    bounded: bool,
    kind: PolicyKind,
    policies: &[PolicyRef<'a>],
) -> Result<Option<Allow<'a>>, Box<Reason>> {
    let mut best: Option<Allow<'a>> = None;
    let asked = Mark::of(request.resource);
    for &by in policies {
        if let Some(defect) = by.policy.unreadable() {
            return Err(Box::new(Reason {
                effect: Effect::ExplicitDeny,
                defect: Some(defect.to_string()),
                ..Reason::allow(kind, by.name, None)
            }));
        }
        for (index, statement) in by.policy.concerning(asked) {
            // Once attached policies allow, only a Deny can change anything.
            if statement.is_allow() && best.is_some_and(|allow| allow.how == How::Attached) {
                continue;
            }
            let Some(how) = statement.applies(request, bounded) else { continue };
            let found = Allow { kind, by, statement: index, how };
            if !statement.is_allow() {
                return Err(Box::new(Reason {
                    effect: Effect::ExplicitDeny,
                    written: by.policy.written(index).map(Box::from),
                    ..found.reason()
                }));
            }
            if (how == How::Attached) == kind.is_attached()
                && best.is_none_or(|allow| allow.how < how)
            {
                best = Some(found);
            }
        }
    }
    Ok(best)
}
