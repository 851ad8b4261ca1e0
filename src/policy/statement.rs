//! A statement, compiled: whom and what it speaks of, and whether a request is meant.

use super::condition::Condition;
use super::condition_keys::Conditions;
use super::evaluate::Request;
use super::pattern::{Case, Pattern};
use super::principal::{How, Principals};

/// One statement of a policy.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) allows: bool,
    /// `None` in identity policies, which speak of whom they are attached to.
    pub(super) principals: Option<Principals>,
    pub(super) actions: Scope,
    pub(super) resources: Scope,
    pub(super) conditions: Vec<Condition>,
}

/// What an Action/NotAction or Resource/NotResource element covers.
#[derive(Debug, Clone)]
pub enum Scope {
    /// The element does not exist in this kind of policy: a trust policy's resource is its role.
    Everything,
    /// The element is missing where KMS takes the statement without it, and ignores it.
    Nothing,
    Only(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

impl Scope {
    fn covers(&self, text: &str, request: &Conditions<'_>, case: Case) -> bool {
        let found = |list: &[Pattern]| list.iter().any(|p| p.matches(text, request, case));
        match self {
            Scope::Everything => true,
            Scope::Nothing => false,
            Scope::Only(list) => found(list),
            // "All but something unknown" would be everything: it covers nothing.
            Scope::AllBut(list) => list.iter().all(|p| p.resolves(request)) && !found(list),
        }
    }
}

impl Statement {
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Whether the effect is Allow; otherwise it is Deny.
    pub fn is_allow(&self) -> bool {
        self.allows
    }

    /// How the statement speaks of this request, if it does. The cheap questions come first.
    pub fn applies(&self, request: &Request<'_>) -> Option<How> {
        let facts = request.conditions;
        if !self.actions.covers(request.action, facts, Case::Insensitive) {
            return None;
        }
        let how = match &self.principals {
            None => How::Attached,
            Some(principals) => principals.admit(&request.principal)?,
        };
        let meant = self.resources.covers(request.resource, facts, Case::Sensitive)
            && self.conditions.iter().all(|condition| condition.holds(facts, self.allows));
        meant.then_some(how)
    }
}
