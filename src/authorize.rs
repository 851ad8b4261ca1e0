//! The one door between "someone asks" and "the server acts".
//!
//! Only this module makes an [`Authorized`], and it does so only after the policy engine allowed the
//! call; what changes or uses something guarded is a method of `Authorized<…>`.
use crate::policy::{
    self, Decision, Effect, Policies, Policy, PolicyRef, PrincipalKind, ResourceRule,
};
use crate::types::{AccountId, Arn, Principal, Tags};
use std::borrow::Cow;
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
}

impl Protected for Resource {
    fn arn(&self) -> &str {
        self.arn.as_str()
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

/// Condition keys and their values. Names are compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Conditions(policy::Conditions<'static>);

impl Conditions {
    pub fn add(&mut self, key: &'static str, value: impl Into<String>) {
        self.0.set(key, value.into());
    }
    pub fn add_all<'v>(&mut self, key: &'static str, values: impl Iterator<Item = &'v String>) {
        self.0.set_list(key, values.cloned());
    }
    fn is_absent(&self, key: &str) -> bool {
        self.0.values(key).is_empty()
    }
    /// `prefix` followed by each tag's name: `aws:ResourceTag/…`.
    pub fn add_tags(&mut self, prefix: &str, tags: &Tags) {
        for (name, value) in &tags.0 {
            self.0.set(format!("{prefix}{name}"), value.clone());
        }
    }
    /// `aws:RequestTag/…` and `aws:TagKeys`.
    pub fn add_request_tags(&mut self, tags: &Tags) {
        self.add_tags("aws:requesttag/", tags);
        self.add_all("aws:tagkeys", tags.0.keys());
    }
    /// `kms:EncryptionContext:…` and `kms:EncryptionContextKeys`.
    pub fn add_encryption_context(&mut self, context: &std::collections::BTreeMap<String, String>) {
        for (name, value) in context {
            self.0.set(format!("kms:encryptioncontext:{name}"), value.clone());
        }
        self.add_all("kms:encryptioncontextkeys", context.keys());
    }
    /// The pairs of the encryption context: each key in lower case, with its values. Keys that
    /// differ in case only are one key with several.
    pub fn encryption_context(&self) -> impl Iterator<Item = (&str, &[Cow<'static, str>])> {
        let key = |name| str::strip_prefix(name, "kms:encryptioncontext:").map(|key| (key, name));
        self.0.keys().filter_map(key).map(|(key, name)| (key, self.0.values(name)))
    }
    /// The value of a condition key in lower case that has exactly one.
    pub fn single(&self, key: &str) -> Option<&str> {
        self.0.single(key)
    }
}

/// Who calls, and the policies that came with the verified identity.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// The access key that signed.
    pub access_key_id: String,
    /// The caller's own policies, by name, compiled.
    pub policies: Arc<Vec<(String, Policy)>>,
}

/// A refusal. Its text is AWS's (IAM user guide, "Troubleshoot access denied error messages").
#[derive(Clone, Debug, thiserror::Error)]
#[error("User: {principal} is not authorized to perform: {action} on {what} {because}")]
pub struct AccessDenied {
    principal: Arn,
    action: String,
    what: String,
    because: String,
    explicit: bool,
}

impl AccessDenied {
    /// Whether a policy says no, which nothing overrides, or merely none says yes.
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// For what may not exist: a stranger learns nothing from it.
    pub fn unknown_resource(principal: &Principal, action: &str, what: &str) -> Self {
        Self {
            principal: principal.arn.clone(),
            action: action.to_owned(),
            what: what.to_owned(),
            because: "because the resource does not exist in this Region, no resource-based \
                      policies allow access, or a resource-based policy explicitly denies access"
                .into(),
            explicit: false,
        }
    }

    /// The same refusal in the caller's own words for the resource: what it is really called is not
    /// for everybody to learn.
    #[must_use]
    pub fn of(self, named: &str) -> Self {
        Self { what: format!("resource: {named}"), ..self }
    }
}

/// Asks the policy engine about the resource's own policy and the caller's policies together.
pub fn authorize<T: Protected>(
    caller: &Caller,
    action: &str,
    what: T,
    mut conditions: Conditions,
) -> Result<Authorized<T>, AccessDenied> {
    what.describe(&mut conditions);
    let decision = decide(caller, action, &what, what.policy(), conditions);
    if decision.is_allowed() {
        return Ok(Authorized(what));
    }
    Err(AccessDenied {
        principal: caller.principal.arn.clone(),
        action: action.to_owned(),
        what: format!("resource: {}", what.arn()),
        because: decision.because(action),
        explicit: decision.effect == Effect::ExplicitDeny,
    })
}

/// Whether the caller could do `action` if the key had `key_policy`: the lock-out check of KMS.
pub fn would_allow(
    caller: &Caller,
    action: &str,
    key: &Arn,
    key_policy: &Policy,
    conditions: Conditions,
) -> bool {
    decide(caller, action, &UnderPolicy(key), Some(key_policy), conditions).is_allowed()
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
    mut conditions: Conditions,
) -> Decision {
    let principal = &caller.principal;
    conditions.add("aws:principalarn", principal.arn.as_str());
    conditions.add("aws:principalaccount", principal.account.as_str());
    conditions.add("aws:userid", principal.unique_id.as_str());
    let kind = match &principal.user_name {
        Some(name) => {
            conditions.add("aws:principaltype", "User");
            conditions.add("aws:username", name.as_str());
            PrincipalKind::User
        }
        None => {
            conditions.add("aws:principaltype", "Account");
            PrincipalKind::Root
        }
    };
    conditions.add("aws:resourceaccount", what.account());
    // Always there, so that a Deny on "not through a service" holds for whoever calls directly.
    conditions.add("aws:principalisawsservice", "false");
    if conditions.is_absent("aws:viaawsservice") {
        conditions.add("aws:viaawsservice", "false");
    }
    let request = policy::Request {
        principal: policy::Principal {
            arn: principal.arn.as_str(),
            unique_id: &principal.unique_id,
            account: principal.account.as_str(),
            kind,
        },
        action,
        resource: what.arn(),
        conditions: &conditions.0,
    };
    let identity: Vec<PolicyRef<'_>> =
        caller.policies.iter().map(|(name, policy)| PolicyRef { name, policy }).collect();
    let policies = Policies {
        identity: &identity,
        resource: resource_policy.map(|policy| PolicyRef { name: "resource policy", policy }),
        grant: what.grant(),
        ..Policies::default()
    };
    let rule = match what.rule() {
        Rule::Identity => ResourceRule::None,
        Rule::KeyPolicy => ResourceRule::KeyPolicy,
        Rule::Ordinary => ResourceRule::Ordinary,
    };
    policy::evaluate(&request, &policies, what.account(), rule)
}
