//! The one door between "someone asks" and "the server acts".
//!
//! Only this module makes an [`Authorized`], and it does so only after the policy engine allowed the
//! call; what changes or uses something guarded is a method of `Authorized<…>`.
mod caller;
mod conditions;
mod endpoint;

pub use caller::{Caller, Door, SessionFacts};
pub use conditions::Conditions;
pub use endpoint::pass;

use crate::policy::{
    self, Decision, Effect, Guardrail, Policies, Policy, PolicyKind, PolicyRef, ResourceRule,
};
use crate::types::{AccountId, Arn, Principal, PrincipalKind, Tags};
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::ops::Deref;
use std::sync::Arc;

/// Proof that the policy engine allowed this call to act on `T`.
#[derive(Debug)]
pub struct Authorized<T>(T);

impl<T> Deref for Authorized<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// How a resource's own policy and the caller's policies combine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// No resource policy can exist: the caller's policies decide.
    Identity,
    /// The key policy must allow, or delegate to the account.
    KeyPolicy,
    /// Within an account either is enough.
    Ordinary,
}

/// Something a policy can guard.
pub trait Protected {
    /// The ARN that policies name, or `*` for an operation without a resource.
    fn arn(&self) -> &str;
    /// The same to be kept: without a copy, where the text is shared.
    fn shared_arn(&self) -> SmolStr {
        self.arn().into()
    }
    /// The account that owns it.
    fn account(&self) -> &str;
    fn rule(&self) -> Rule;
    fn policy(&self) -> Option<&Policy>;
    /// CloudTrail's resource type.
    fn kind(&self) -> &'static str;
    /// Adds the condition keys that come from the resource.
    fn describe(&self, _conditions: &mut Conditions) {}
    /// A grant that covers what is asked, if one was looked for and found.
    fn grant(&self) -> Option<policy::Grant<'_>> {
        None
    }
}

/// The account as a whole: what operations that name no resource act on.
#[derive(Debug)]
pub struct Account(pub AccountId);

impl Protected for Account {
    fn arn(&self) -> &str {
        "*"
    }
    fn account(&self) -> &str {
        self.0.as_str()
    }
    fn rule(&self) -> Rule {
        Rule::Identity
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        "AWS::Account"
    }
}

/// A resource that has no policy of its own, known by its ARN: IAM's users.
#[derive(Debug)]
pub struct Resource {
    pub arn: Arn,
    pub kind: &'static str,
    pub tags: Tags,
}

impl Resource {
    pub fn user(arn: Arn, tags: Tags) -> Self {
        Self { arn, kind: "AWS::IAM::User", tags }
    }
    pub fn group(arn: Arn) -> Self {
        Self { arn, kind: "AWS::IAM::Group", tags: Tags::default() }
    }
    pub fn role(arn: Arn, tags: Tags) -> Self {
        Self { arn, kind: "AWS::IAM::Role", tags }
    }
    pub fn mfa_device(arn: Arn, tags: Tags) -> Self {
        Self { arn, kind: "AWS::IAM::VirtualMFADevice", tags }
    }
    pub fn oidc_provider(arn: Arn, tags: Tags) -> Self {
        Self { arn, kind: "AWS::IAM::OIDCProvider", tags }
    }
}

impl Protected for Resource {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn shared_arn(&self) -> SmolStr {
        (&self.arn).into()
    }
    fn account(&self) -> &str {
        self.arn.account()
    }
    fn rule(&self) -> Rule {
        Rule::Identity
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn describe(&self, conditions: &mut Conditions) {
        conditions.add_tags("aws:resourcetag/", &self.tags);
        conditions.add_tags("iam:resourcetag/", &self.tags);
    }
}

/// A policy and the name by which reasons call it.
#[derive(Clone, Debug)]
pub struct NamedPolicy {
    pub name: String,
    pub policy: Arc<Policy>,
}

impl NamedPolicy {
    fn reference(&self) -> PolicyRef<'_> {
        PolicyRef { name: &self.name, policy: &self.policy }
    }
}

/// A refusal. Its text is AWS's (IAM user guide, "Troubleshoot access denied error messages").
#[derive(Clone, Debug, thiserror::Error)]
#[error("User: {principal} is not authorized to perform: {action} on {what}{because}")]
pub struct AccessDenied {
    principal: Arn,
    action: String,
    what: String,
    /// With a space before it.
    because: String,
    explicit: bool,
    grounds: Option<Box<Grounds>>,
}

/// What a refusal rests on: for whoever may decode the message about it.
#[derive(Clone, Debug)]
pub struct Grounds {
    pub decision: Decision,
    pub conditions: Conditions,
    pub resource: String,
    /// The account that owns the resource.
    pub owner: String,
}

impl AccessDenied {
    /// Whether a policy says no, which nothing overrides, or merely none says yes.
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// None if the policy engine was not asked.
    pub fn grounds(&self) -> Option<&Grounds> {
        self.grounds.as_deref()
    }

    /// The same refusal without its reason, as AssumeRole tells it.
    #[must_use]
    pub fn unexplained(self) -> Self {
        Self { because: String::new(), ..self }
    }

    /// For what may not exist: a stranger learns nothing from it.
    pub fn unknown_resource(principal: &Principal, action: &str, what: &str) -> Self {
        Self {
            principal: principal.arn.clone(),
            action: action.to_owned(),
            what: what.to_owned(),
            because: " because the resource does not exist in this Region, no resource-based \
                      policies allow access, or a resource-based policy explicitly denies access"
                .into(),
            explicit: false,
            grounds: None,
        }
    }

    /// The same refusal in the caller's own words for the resource: what it is really called is not
    /// for everybody to learn.
    #[must_use]
    pub fn of(self, named: &str) -> Self {
        Self { what: format!("resource: {named}"), ..self }
    }
}

/// Asks the policy engine about the resource's own policy and the caller's policies together; if the
/// request came through an endpoint with a policy, that one must allow it as well.
pub fn authorize<T: Protected>(
    caller: &Caller,
    action: &str,
    what: T,
    mut conditions: Conditions,
    endpoint: Option<&NamedPolicy>,
) -> Result<Authorized<T>, AccessDenied> {
    what.describe(&mut conditions);
    match decide(caller, action, &what, what.policy(), &mut conditions, endpoint) {
        Ok(()) => Ok(Authorized(what)),
        Err(denied) => Err(refusal(caller, action, &what, denied, conditions)),
    }
}

fn refusal(
    caller: &Caller,
    action: &str,
    what: &dyn Protected,
    decision: Decision,
    conditions: Conditions,
) -> AccessDenied {
    AccessDenied {
        principal: caller.principal.arn.clone(),
        action: action.to_owned(),
        what: format!("resource: {}", what.arn()),
        because: format!(" {}", decision.because(action)),
        explicit: decision.effect == Effect::ExplicitDeny,
        grounds: Some(Box::new(Grounds {
            decision,
            conditions,
            resource: what.arn().to_owned(),
            owner: what.account().to_owned(),
        })),
    }
}

/// Whether the caller could do `action` if the key had `key_policy`: the lock-out check of KMS.
pub fn would_allow(
    caller: &Caller,
    action: &str,
    key: &Arn,
    key_policy: &Policy,
    mut conditions: Conditions,
) -> bool {
    decide(caller, action, &UnderPolicy(key), Some(key_policy), &mut conditions, None).is_ok()
}

/// A key that would have the policy in question.
struct UnderPolicy<'a>(&'a Arn);

impl Protected for UnderPolicy<'_> {
    fn arn(&self) -> &str {
        self.0.as_str()
    }
    fn account(&self) -> &str {
        self.0.account()
    }
    fn rule(&self) -> Rule {
        Rule::KeyPolicy
    }
    fn policy(&self) -> Option<&Policy> {
        None
    }
    fn kind(&self) -> &'static str {
        "AWS::KMS::Key"
    }
}

fn decide(
    caller: &Caller,
    action: &str,
    what: &dyn Protected,
    resource_policy: Option<&Policy>,
    conditions: &mut Conditions,
    endpoint: Option<&NamedPolicy>,
) -> Result<(), Decision> {
    describe_call(caller, what, conditions);
    ask(caller, action, what, resource_policy, conditions, endpoint, policy::permit)
}

/// A decision with the path to it.
#[derive(Clone, Debug)]
pub struct Explained {
    pub decision: Decision,
    /// Everything that was known of the request.
    pub conditions: Conditions,
    /// Every policy that was asked, and what its statements made of the request.
    pub policies: Vec<policy::Examined>,
}

/// Decides as [`authorize`] does and says how, but lets nobody do anything. `resource_policy` is what
/// the resource has or would have. `instead` are values that stand before what would be known.
pub fn explain(
    caller: &Caller,
    action: &str,
    what: &dyn Protected,
    resource_policy: Option<&Policy>,
    mut conditions: Conditions,
    instead: &[(String, Vec<String>)],
) -> Explained {
    what.describe(&mut conditions);
    describe_call(caller, what, &mut conditions);
    for (key, values) in instead {
        conditions.0.replace(key, values.iter().cloned());
    }
    let (decision, policies) = ask(
        caller,
        action,
        what,
        resource_policy,
        &conditions,
        None,
        |request, policies, owner, rule| {
            let decision = policy::evaluate(request, policies, owner, rule);
            (decision, policy::examine(request, policies))
        },
    );
    Explained { decision, conditions, policies }
}

/// Adds what is known of the caller and of whose resource it is.
fn describe_call(caller: &Caller, what: &dyn Protected, conditions: &mut Conditions) {
    let principal = &caller.principal;
    // Of a session, the role's (IAM user guide, "aws:PrincipalArn").
    let arn = match &principal.kind {
        PrincipalKind::AssumedRole { role, .. } => role,
        _ => &principal.arn,
    };
    // Whoever asks for a role is not in an account yet.
    let nowhere =
        matches!(principal.kind, PrincipalKind::WebIdentity { .. } | PrincipalKind::Service { .. });
    if !nowhere {
        conditions.add("aws:principalarn", arn);
        conditions.add("aws:principalaccount", principal.account.as_str());
        conditions.add("aws:userid", principal.unique_id.as_str());
    }
    if let PrincipalKind::WebIdentity { provider: Some(provider) } = &principal.kind {
        conditions.add("aws:federatedprovider", provider);
    }
    conditions.add("aws:principaltype", asking_as(principal).1);
    // Of a web identity it is what its issuer says.
    if let (PrincipalKind::User, Some(name)) = (&principal.kind, &principal.user_name) {
        conditions.add("aws:username", name.as_str());
    }
    conditions.add_tags("aws:principaltag/", &caller.tags);
    if let Some(session) = &caller.session {
        session.describe(conditions);
    }
    conditions.add("aws:resourceaccount", what.account());
    // Always there, so that a Deny on "not through a service" holds for whoever calls directly.
    let service = match &principal.kind {
        PrincipalKind::Service { name } => Some(*name),
        _ => None,
    };
    let is_service = if service.is_some() { "true" } else { "false" };
    conditions.add("aws:principalisawsservice", is_service);
    if let Some(name) = service {
        conditions.add("aws:principalservicename", name);
    }
    if conditions.is_absent("aws:viaawsservice") {
        conditions.add("aws:viaawsservice", "false");
    }
}

/// The caller as policies see it, and what `aws:PrincipalType` calls it.
fn asking_as(principal: &Principal) -> (policy::PrincipalKind<'_>, &'static str) {
    use policy::PrincipalKind as Kind;
    match &principal.kind {
        PrincipalKind::Root => (Kind::Root, "Account"),
        PrincipalKind::User => (Kind::User, "User"),
        PrincipalKind::AssumedRole { role, .. } => {
            (Kind::AssumedRole { role_arn: role.as_str() }, "AssumedRole")
        }
        PrincipalKind::FederatedUser { by, by_id } => {
            (Kind::FederatedUser { user_arn: by.as_str(), user_id: by_id }, "FederatedUser")
        }
        PrincipalKind::WebIdentity { provider: Some(provider) } => {
            (Kind::Federated { provider: provider.as_str() }, "WebIdentityUser")
        }
        PrincipalKind::WebIdentity { provider: None } => (Kind::Anonymous, "Anonymous"),
        PrincipalKind::Service { .. } => (Kind::Service, "Service"),
    }
}

/// Brings together the request and all that may speak about it, and asks.
fn ask<R>(
    caller: &Caller,
    action: &str,
    what: &dyn Protected,
    resource_policy: Option<&Policy>,
    conditions: &Conditions,
    endpoint: Option<&NamedPolicy>,
    answer: impl FnOnce(&policy::Request<'_>, &Policies<'_>, &str, ResourceRule) -> R,
) -> R {
    let principal = &caller.principal;
    let request = policy::Request {
        principal: policy::Principal {
            arn: match &principal.kind {
                PrincipalKind::Service { name } => name,
                _ => principal.arn.as_str(),
            },
            unique_id: &principal.unique_id,
            account: principal.account.as_str(),
            kind: asking_as(principal).0,
        },
        action,
        resource: what.arn(),
        conditions: &conditions.0,
    };
    // Few callers have more policies than lie here without an allocation.
    let identity: SmallVec<[PolicyRef<'_>; 8]> =
        caller.policies.iter().map(NamedPolicy::reference).collect();
    let session: Option<Vec<PolicyRef<'_>>> = caller
        .session
        .as_ref()
        .and_then(|s| s.policies.as_ref())
        .map(|all| all.iter().map(NamedPolicy::reference).collect());
    let through = endpoint.map(NamedPolicy::reference);
    // What a registered service may do limits it like session policies, but whoever allows.
    let limits = caller.door().map(|door| door.limits.each_ref().map(NamedPolicy::reference));
    let guard = |kind| move |policies| Guardrail { kind, policies };
    let limits = limits.as_slice().as_flattened().chunks(1).map(guard(PolicyKind::Session));
    let endpoint = through.as_slice().chunks(1).map(guard(PolicyKind::Endpoint));
    let guardrails: Vec<Guardrail<'_>> = limits.chain(endpoint).collect();
    let policies = Policies {
        identity: &identity,
        boundary: caller.boundary.as_ref().map(NamedPolicy::reference),
        session: session.as_deref(),
        resource: resource_policy.map(|policy| PolicyRef { name: "resource policy", policy }),
        guardrails: &guardrails,
        grant: what.grant(),
    };
    let rule = match what.rule() {
        Rule::Identity => ResourceRule::None,
        Rule::KeyPolicy => ResourceRule::KeyPolicy,
        Rule::Ordinary => ResourceRule::Ordinary,
    };
    answer(&request, &policies, what.account(), rule)
}
