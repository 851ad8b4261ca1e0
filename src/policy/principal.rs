//! Who asks, whom a policy names, and how the two fit. The *how* matters: naming a user grants at
//! once, naming the account only lets the account's own policies decide.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal" and "… NotPrincipal".

use super::error::PolicyError;
use super::json::Json;
use std::collections::BTreeMap;

/// The caller.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// The ARN of the user, the session or the root; the name of a service
    /// (`secretsmanager.amazonaws.com`); empty for an anonymous caller.
    pub arn: &'a str,
    /// `AIDA…`, or `AROA…:session` of a role session (what `aws:userid` holds).
    pub unique_id: &'a str,
    /// Twelve digits; empty for a service, a web identity or an anonymous caller.
    pub account: &'a str,
    pub kind: PrincipalKind<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind<'a> {
    /// The root user of the account.
    Root,
    User,
    AssumedRole {
        role_arn: &'a str,
    },
    /// A session of GetFederationToken. Policies that name its user reach it like a role's session.
    FederatedUser {
        user_arn: &'a str,
        user_id: &'a str,
    },
    Service,
    /// A web or SAML identity that asks for a role: matched by its provider, in trust policies.
    Federated {
        provider: &'a str,
    },
    Anonymous,
}

/// How a statement came to speak of the caller, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The account was named: what it says is delegated to the account's identity policies.
    Account,
    /// `*`.
    Anyone,
    /// The role (or federated user's user) behind the session was named.
    RoleOfSession,
    /// This very principal was named: user, session, service, provider.
    Exact,
    /// The policy names nobody: it is attached to the caller.
    Attached,
}

/// One principal that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalPattern {
    Anyone,
    /// The account's number, however it was written.
    Account(Box<str>),
    User(Box<str>),
    Role(Box<str>),
    RoleSession(Box<str>),
    FederatedUser(Box<str>),
    /// What the ARN of a user, a role or a session of a role becomes when a policy is stored
    /// (`AIDA…`, `AROA…`, `AROA…:session`), and all that is left of a deleted one.
    UniqueId(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
    /// S3's; accepted, never the caller.
    CanonicalUser(Box<str>),
}

impl std::fmt::Display for PrincipalPattern {
    /// As IAM's errors quote it: `"AWS":"arn:aws:iam::111122223333:user/ann"`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, text) = match self {
            Self::Anyone => ("AWS", "*"),
            Self::Account(text)
            | Self::User(text)
            | Self::Role(text)
            | Self::RoleSession(text)
            | Self::FederatedUser(text)
            | Self::UniqueId(text) => ("AWS", &**text),
            Self::Service(text) => ("SERVICE", &**text),
            Self::Federated(text) => ("FEDERATED", &**text),
            Self::CanonicalUser(text) => ("CANONICAL_USER", &**text),
        };
        write!(f, "\"{kind}\":\"{text}\"")
    }
}

impl PrincipalPattern {
    /// One value under one principal type.
    fn parse(kind: &str, text: &str) -> Result<PrincipalPattern, PolicyError> {
        let pattern = match kind {
            "AWS" => aws(text),
            "Service" => host_name(text).then(|| PrincipalPattern::Service(text.into())),
            "Federated" => (host_name(text) || provider(text))
                .then(|| PrincipalPattern::Federated(text.into())),
            "CanonicalUser" => {
                let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
                hex.then(|| PrincipalPattern::CanonicalUser(text.into()))
            }
            _ => return Err(PolicyError::PrincipalType(kind.to_owned())),
        };
        pattern.ok_or_else(|| PolicyError::Principal(text.to_owned()))
    }

    /// Whether this is how one principal is written: by its ARN, or by the id that a deleted one
    /// leaves behind.
    pub fn is_principal(text: &str) -> bool {
        (text.starts_with("arn:") || text.starts_with("AIDA") || text.starts_with("AROA"))
            && aws(text).is_some()
    }

    /// Whether, and how, this names the caller.
    pub fn matches(&self, caller: &Principal<'_>) -> Option<How> {
        use PrincipalKind as Kind;
        let exactly = |yes: bool| yes.then_some(How::Exact);
        match (self, caller.kind) {
            (Self::Anyone, _) => Some(How::Anyone),
            (
                Self::Account(id),
                Kind::Root | Kind::User | Kind::AssumedRole { .. } | Kind::FederatedUser { .. },
            ) => (**id == *caller.account).then_some(How::Account),
            (Self::User(arn), Kind::User) => exactly(**arn == *caller.arn),
            (Self::User(arn), Kind::FederatedUser { user_arn, .. }) => {
                (**arn == *user_arn).then_some(How::RoleOfSession)
            }
            (Self::Role(arn), Kind::AssumedRole { role_arn }) => {
                (**arn == *role_arn).then_some(How::RoleOfSession)
            }
            (Self::RoleSession(arn), Kind::AssumedRole { .. })
            | (Self::FederatedUser(arn), Kind::FederatedUser { .. }) => {
                exactly(**arn == *caller.arn)
            }
            (Self::UniqueId(id), Kind::User) => exactly(**id == *caller.unique_id),
            (Self::UniqueId(id), Kind::AssumedRole { .. }) => {
                let whole = caller.unique_id;
                match whole.split_once(':').map_or(whole, |(role, _)| role) {
                    role if **id == *role => Some(How::RoleOfSession),
                    _ => exactly(**id == *whole),
                }
            }
            (Self::UniqueId(id), Kind::FederatedUser { user_id, .. }) => {
                (**id == *user_id).then_some(How::RoleOfSession)
            }
            (Self::Service(name), Kind::Service) => exactly(**name == *caller.arn),
            (Self::Federated(name), Kind::Federated { provider }) => exactly(**name == *provider),
            _ => None,
        }
    }
}

/// A `Principal` or `NotPrincipal` element.
#[derive(Debug, Clone)]
pub struct Principals {
    negated: bool,
    patterns: Vec<PrincipalPattern>,
}

impl Principals {
    pub fn parse(json: &Json, negated: bool) -> Result<Principals, PolicyError> {
        if let Json::String(text) = json {
            let anyone = || Principals { negated, patterns: vec![PrincipalPattern::Anyone] };
            let is_star = (text == "*").then(anyone);
            return is_star.ok_or_else(|| PolicyError::Principal(text.clone()));
        }
        let mut patterns = Vec::new();
        for (kind, values) in json.object("Principal")? {
            for text in values.strings("a list of principals")? {
                patterns.push(PrincipalPattern::parse(kind, text)?);
            }
        }
        match patterns.is_empty() {
            true => Err(PolicyError::Empty("Principal")),
            false => Ok(Principals { negated, patterns }),
        }
    }

    /// Puts unique ids in the place of the ARNs whose bearers can change.
    pub(super) fn bind(&mut self, ids: &BTreeMap<String, String>) -> Result<(), PolicyError> {
        for pattern in &mut self.patterns {
            if let PrincipalPattern::User(arn)
            | PrincipalPattern::Role(arn)
            | PrincipalPattern::RoleSession(arn) = &*pattern
            {
                let unbound = || PolicyError::Unbound(arn.to_string());
                let id = ids.get(&**arn).ok_or_else(unbound)?.as_str().into();
                *pattern = PrincipalPattern::UniqueId(id);
            }
        }
        Ok(())
    }

    pub fn patterns(&self) -> &[PrincipalPattern] {
        &self.patterns
    }

    /// Whether the statement speaks of the caller; of several ways, the strongest. NotPrincipal "will
    /// always deny any IAM principal that has a permissions boundary policy attached, regardless of
    /// the values specified" (IAM User Guide, "NotPrincipal").
    pub fn admit(&self, caller: &Principal<'_>, bounded: bool) -> Option<How> {
        match self.negated {
            false => self.patterns.iter().filter_map(|pattern| pattern.matches(caller)).max(),
            true => (bounded || !self.except(caller)).then_some(How::Anyone),
        }
    }

    /// NotPrincipal, which occurs with Deny only: a caller is spared when it is listed at each of its
    /// levels: account, then role, then session. AWS "might validate the account first, then the role,
    /// and then the assumed-role user", so whoever lists less may deny more, never the other way.
    fn except(&self, caller: &Principal<'_>) -> bool {
        let listed = |how: How| {
            let fits = |found: How| found == how || found == How::Anyone;
            self.patterns.iter().filter_map(|pattern| pattern.matches(caller)).any(fits)
        };
        match caller.kind {
            PrincipalKind::Root => listed(How::Account),
            PrincipalKind::User => listed(How::Account) && listed(How::Exact),
            PrincipalKind::AssumedRole { .. } | PrincipalKind::FederatedUser { .. } => {
                listed(How::Account) && listed(How::RoleOfSession) && listed(How::Exact)
            }
            PrincipalKind::Service | PrincipalKind::Federated { .. } | PrincipalKind::Anonymous => {
                listed(How::Exact)
            }
        }
    }
}

/// The forms below `AWS`. Wildcards inside an ARN are refused, as AWS does: they would not match.
fn aws(text: &str) -> Option<PrincipalPattern> {
    if text == "*" {
        return Some(PrincipalPattern::Anyone);
    }
    if is_account(text) {
        return Some(PrincipalPattern::Account(text.into()));
    }
    let unique = |prefix: &str| text.starts_with(prefix);
    if unique("AIDA") || unique("AROA") {
        let id = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let well_formed = id && (16..=128).contains(&text.len());
        return well_formed.then(|| PrincipalPattern::UniqueId(text.into()));
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = *parts.as_slice() else { return None };
    if !is_partition(partition) || !is_account(account) {
        return None;
    }
    if service == "iam" && resource == "root" {
        return Some(PrincipalPattern::Account(account.into()));
    }
    let (kind, name) = resource.split_once('/')?;
    let segments = name.split('/').count();
    if !name.split('/').all(is_name) {
        return None;
    }
    match (service, kind) {
        ("iam", "user") => Some(PrincipalPattern::User(text.into())),
        ("iam", "role") => Some(PrincipalPattern::Role(text.into())),
        ("sts", "assumed-role") if segments == 2 => {
            Some(PrincipalPattern::RoleSession(text.into()))
        }
        ("sts", "federated-user") if segments == 1 => {
            Some(PrincipalPattern::FederatedUser(text.into()))
        }
        _ => None,
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_partition(text: &str) -> bool {
    text.starts_with("aws") && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

/// Names of users, roles and sessions; paths may hold any other printable ASCII, wildcards excepted.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'?')
}

fn host_name(text: &str) -> bool {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'/' | b'_' | b':');
    text.contains('.')
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(allowed)
        && !text.starts_with("arn:")
}

/// `arn:aws:iam::111122223333:oidc-provider/…` or `…:saml-provider/…`.
fn provider(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = *parts.as_slice() else { return false };
    let named = resource.strip_prefix("oidc-provider/").or(resource.strip_prefix("saml-provider/"));
    is_partition(partition) && is_account(account) && named.is_some_and(is_name)
}
