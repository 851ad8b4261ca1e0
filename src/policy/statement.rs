//! A statement, compiled: whom and what it speaks of, and whether a request is meant.

use super::condition::Condition;
use super::condition_keys::Conditions;
use super::evaluate::Request;
use super::pattern::{Case, Pattern};
use super::principal::{How, Principals};
use smallvec::SmallVec;

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
    Only(SmallVec<[Pattern; 1]>),
    AllBut(SmallVec<[Pattern; 1]>),
}

impl Scope {
    /// The keys of the variables in it.
    fn variables(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Scope::Everything | Scope::Nothing => &[],
            Scope::Only(list) | Scope::AllBut(list) => list.as_slice(),
        };
        list.iter().flat_map(Pattern::variables)
    }

    /// `allows`: whether the statement allows, or denies.
    fn covers(&self, text: &str, request: &Conditions<'_>, case: Case, allows: bool) -> bool {
        let found = |list: &[Pattern]| list.iter().any(|p| p.matches(text, request, case));
        match self {
            Scope::Everything => true,
            Scope::Nothing => false,
            Scope::Only(list) => found(list),
            // A pattern whose variable has no value matches nothing, so it leaves nothing out. That
            // may deny more; it must not allow more.
            Scope::AllBut(list) => {
                let known = !allows || list.iter().all(|pattern| pattern.resolves(request));
                known && !found(list)
            }
        }
    }
}

/// A resource's mark: one bit of 64, by its last eight bytes, in which names differ most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(resource: &str) -> Self {
        // The multiplier spreads neighbours (Knuth, The Art of Computer Programming 3, 6.4). Shorter texts
        // may be anything.
        let spread = |tail: &[u8; 8]| u64::from_le_bytes(*tail).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let tail = resource.as_bytes().last_chunk();
        Self(tail.map_or(u64::MAX, |tail| 1 << (spread(tail) >> 58)))
    }

    /// Those of all resources that a statement can speak of.
    pub(super) fn of_all(statement: &Statement) -> Self {
        Self(match &statement.resources {
            Scope::Nothing => 0,
            Scope::Everything | Scope::AllBut(_) => u64::MAX,
            Scope::Only(list) => list.iter().fold(0, |all, pattern| {
                all | pattern.literal().map_or(u64::MAX, |literal| Self::of(literal).0)
            }),
        })
    }

    /// Whether the statements that have this may speak of a resource that has the other.
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
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

    /// How the statement speaks of this request, if it does. `bounded`: whether the caller has a
    /// permissions boundary, with which NotPrincipal spares nobody.
    pub fn applies(&self, request: &Request<'_>, bounded: bool) -> Option<How> {
        self.examine(request, bounded).ok()
    }

    /// The same, or the first element that does not fit. The cheap questions come first.
    pub fn examine(&self, request: &Request<'_>, bounded: bool) -> Result<How, Element> {
        let facts = request.conditions;
        if !self.actions.covers(request.action, facts, Case::Insensitive, self.allows) {
            return Err(Element::Action);
        }
        let how = match &self.principals {
            None => How::Attached,
            Some(principals) => {
                principals.admit(&request.principal, bounded).ok_or(Element::Principal)?
            }
        };
        if !self.resources.covers(request.resource, facts, Case::Sensitive, self.allows) {
            return Err(Element::Resource);
        }
        if !self.conditions.iter().all(|condition| condition.holds(facts, self.allows)) {
            return Err(Element::Condition);
        }
        Ok(how)
    }

    /// The conditions that do not hold.
    pub(super) fn unmet<'s>(
        &'s self,
        request: &Request<'_>,
    ) -> impl Iterator<Item = &'s Condition> {
        self.conditions.iter().filter(|c| !c.holds(request.conditions, self.allows))
    }

    /// The condition keys that it asks about, as the policy writes them.
    pub fn condition_keys(&self) -> impl Iterator<Item = &str> {
        let asked = self.conditions.iter().flat_map(|c| c.variables().into_iter().chain([c.key()]));
        self.resources.variables().chain(asked)
    }
}

/// What of a statement does not fit a request. Later ones are nearer misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    Action,
    Principal,
    Resource,
    Condition,
}

#[cfg(test)]
mod tests {
    use super::super::document::{Kind, Policy};
    use super::Mark;

    fn may_concern(resource: &str, asked: &str) -> bool {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*",{resource}}}}}"#
        );
        let policy = Policy::parse(&text, Kind::Identity).unwrap();
        policy.concerning(Mark::of(asked)).count() == 1
    }

    #[test]
    fn who_names_other_resources_is_passed_over_and_nobody_else() {
        const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
        for (resource, expected) in [
            (r#""Resource":"arn:aws:kms:us-east-1:111122223333:key/1234abcd""#, true),
            (r#""Resource":"arn:aws:kms:us-east-1:111122223333:key/1234abce""#, false),
            // Told apart by what they end with, and only later by the rest.
            (r#""Resource":"arn:aws:kms:eu-west-1:111122223333:key/1234abcd""#, true),
            (
                r#""Resource":["arn:aws:s3:::other-one","arn:aws:kms:us-east-1:111122223333:key/1234abcd"]"#,
                true,
            ),
            (r#""Resource":["arn:aws:s3:::other-one","arn:aws:s3:::other-two"]"#, false),
            (r#""Resource":["arn:aws:s3:::other-one","arn:aws:kms:*"]"#, true),
            (r#""Resource":"*""#, true),
            (r#""Resource":"arn:aws:kms:*:*:key/1234abc?""#, true),
            (r#""Resource":"arn:aws:kms:us-east-1:111122223333:key/${aws:username}""#, true),
            (r#""Resource":"arn:a:b""#, true),
            (r#""NotResource":"arn:aws:s3:::other-one""#, true),
        ] {
            assert_eq!(may_concern(resource, KEY), expected, "{resource}");
            // Nothing is known of a text so short.
            assert!(may_concern(resource, "*"), "{resource}");
        }
    }
}
