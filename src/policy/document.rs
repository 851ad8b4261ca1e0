//! From a policy's text to its statements, checked and compiled once.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language"; KMS Developer Guide, "Creating
//! a key policy".

use super::condition::Condition;
use super::error::PolicyError;
use super::json::Json;
use super::pattern::Pattern;
use super::position;
use super::principal::{PrincipalPattern, Principals};
use super::statement::{Mark, Scope, Statement};
use super::template::Syntax;
use std::collections::{BTreeMap, BTreeSet};

/// A statement of some use takes 64 bytes; a 32 KB key policy of only such has this many.
const MAX_STATEMENTS: usize = 512;
const MAX_SID_CHARS: usize = 256;
const MAX_ACTION_CHARS: usize = 256;

/// What a policy is attached to, which decides the elements it may and must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Identity policies, boundaries, session and service control policies: no Principal.
    Identity,
    /// Key policies, policies of secrets, resource control and endpoint policies: a Principal.
    Resource,
    /// A role's trust policy: a Principal, and no Resource.
    Trust,
}

/// A policy, compiled.
#[derive(Debug, Clone)]
pub struct Policy {
    id: Option<Box<str>>,
    version: &'static str,
    statements: Vec<Statement>,
    /// What resources each of them can speak of. A caller may have a thousand statements, of which a request
    /// concerns a few: side by side these take an eighth of a cache line each, a statement several lines.
    marks: Box<[Mark]>,
    unreadable: Option<PolicyError>,
    /// As it was written, for whoever may know what denied.
    text: Box<str>,
}

impl Policy {
    /// Reads a policy that somebody wants to write.
    pub fn parse(text: &str, kind: Kind) -> Result<Policy, PolicyError> {
        let json = Json::read(text)?;
        let (mut id, mut version, mut list) = (None, "2008-10-17", None);
        for (name, value) in json.object("the policy")? {
            match name.as_str() {
                "Id" => id = Some(value.string("Id")?.into()),
                "Version" => version = parse_version(value)?,
                "Statement" => list = Some(value.one_or_many("Statement")?),
                _ => return Err(PolicyError::UnknownElement(name.clone())),
            }
        }
        let list = list.ok_or(PolicyError::Missing("Statement"))?;
        if list.len() > MAX_STATEMENTS {
            return Err(PolicyError::TooMany { what: "statements", limit: MAX_STATEMENTS });
        }
        let rules = Rules { kind, variables: version == "2012-10-17" };
        let statements: Vec<_> =
            list.iter().map(|json| rules.statement(json)).collect::<Result<_, _>>()?;
        let mut sids = BTreeSet::new();
        match statements.iter().filter_map(Statement::sid).find(|sid| !sids.insert(*sid)) {
            Some(twice) => Err(PolicyError::DuplicateSid(twice.to_owned())),
            None => {
                let marks = statements.iter().map(Mark::of_all).collect();
                let text = text.into();
                Ok(Policy { id, version, statements, marks, unreadable: None, text })
            }
        }
    }

    /// Reads a policy that was stored. One that no longer parses could hide a Deny: it denies all.
    pub fn parse_stored(text: &str, kind: Kind) -> Policy {
        Self::parse(text, kind).unwrap_or_else(Self::denying)
    }

    fn denying(error: PolicyError) -> Policy {
        Policy {
            id: None,
            version: "2008-10-17",
            statements: Vec::new(),
            marks: Box::default(),
            unreadable: Some(error),
            text: Box::default(),
        }
    }

    /// The same, with unique ids in the place of the ARNs of users and roles. An ARN without an id
    /// would mean whoever bears the name: such a policy denies all.
    pub(super) fn bound(mut self, ids: &BTreeMap<String, String>) -> Policy {
        let mut named = self.statements.iter_mut().filter_map(|s| s.principals.as_mut());
        match named.try_for_each(|principals| principals.bind(ids)) {
            Ok(()) => self,
            Err(error) => Self::denying(error),
        }
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn version(&self) -> &'static str {
        self.version
    }

    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Those that may speak of a resource with this mark, each with its place.
    pub(super) fn concerning(&self, asked: Mark) -> impl Iterator<Item = (usize, &Statement)> {
        let marked = self.marks.iter().zip(&self.statements).enumerate();
        marked.filter(move |(_, (mark, _))| mark.meets(asked)).map(|(at, (_, found))| (at, found))
    }

    /// A statement as it was written.
    pub fn written(&self, statement: usize) -> Option<&str> {
        position::statements(&self.text).get(statement).copied()
    }

    /// Why the stored policy denies everything, if it does.
    pub fn unreadable(&self) -> Option<&PolicyError> {
        self.unreadable.as_ref()
    }

    /// Whom the policy names, for the check that they exist.
    pub fn principals(&self) -> impl Iterator<Item = &PrincipalPattern> {
        let named = self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        named.flat_map(Principals::patterns)
    }
}

fn parse_version(json: &Json) -> Result<&'static str, PolicyError> {
    match json.string("Version")? {
        "2012-10-17" => Ok("2012-10-17"),
        "2008-10-17" => Ok("2008-10-17"),
        _ => Err(PolicyError::Version),
    }
}

/// The elements of a statement as they were found. Which of them are *there* is what counts, not
/// whether they are empty.
#[derive(Default)]
struct Elements<'j> {
    sid: Option<&'j Json>,
    effect: Option<&'j Json>,
    principal: Option<&'j Json>,
    not_principal: Option<&'j Json>,
    action: Option<&'j Json>,
    not_action: Option<&'j Json>,
    resource: Option<&'j Json>,
    not_resource: Option<&'j Json>,
    condition: Option<&'j Json>,
}

impl<'j> Elements<'j> {
    fn of(json: &'j Json) -> Result<Self, PolicyError> {
        let mut elements = Elements::default();
        for (name, value) in json.object("a statement")? {
            let place = match name.as_str() {
                "Sid" => &mut elements.sid,
                "Effect" => &mut elements.effect,
                "Principal" => &mut elements.principal,
                "NotPrincipal" => &mut elements.not_principal,
                "Action" => &mut elements.action,
                "NotAction" => &mut elements.not_action,
                "Resource" => &mut elements.resource,
                "NotResource" => &mut elements.not_resource,
                "Condition" => &mut elements.condition,
                _ => return Err(PolicyError::UnknownElement(name.clone())),
            };
            *place = Some(value);
        }
        Ok(elements)
    }
}

/// What decides how a statement is read.
#[derive(Clone, Copy)]
struct Rules {
    kind: Kind,
    variables: bool,
}

impl Rules {
    fn statement(self, json: &Json) -> Result<Statement, PolicyError> {
        let found = Elements::of(json)?;
        let allows = match found.effect.ok_or(PolicyError::Missing("Effect"))?.string("Effect")? {
            "Allow" => true,
            "Deny" => false,
            _ => return Err(PolicyError::Effect),
        };
        Ok(Statement {
            sid: found.sid.map(|json| self.sid(json)).transpose()?.flatten(),
            allows,
            principals: self.principals(&found, allows)?,
            actions: self.actions(&found)?,
            resources: self.resources(&found)?,
            conditions: match found.condition {
                None => Vec::new(),
                Some(json) => {
                    Condition::parse_all(json, self.variables, self.kind == Kind::Resource)?
                }
            },
        })
    }

    /// IAM takes letters and digits. KMS takes blanks too ("Enable IAM User Permissions"), and its
    /// users write sentences. An empty ID is none.
    fn sid(self, json: &Json) -> Result<Option<Box<str>>, PolicyError> {
        let sid = json.string("Sid")?;
        let allowed = |c: char| match self.kind {
            Kind::Resource => c.is_ascii_alphanumeric() || " -_.,:;/()'@+=".contains(c),
            Kind::Identity | Kind::Trust => c.is_ascii_alphanumeric(),
        };
        match sid.chars().all(allowed) && sid.len() <= MAX_SID_CHARS {
            true => Ok(Some(sid).filter(|sid| !sid.is_empty()).map(Box::from)),
            false => Err(PolicyError::Sid(sid.to_owned())),
        }
    }

    fn principals(
        self,
        found: &Elements<'_>,
        allows: bool,
    ) -> Result<Option<Principals>, PolicyError> {
        let found = either(("Principal", found.principal), ("NotPrincipal", found.not_principal))?;
        match (self.kind, found) {
            (Kind::Identity, None) => Ok(None),
            (Kind::Identity, Some(_)) => Err(PolicyError::NotHere("Principal")),
            (_, None) => Err(PolicyError::Missing("Principal")),
            (Kind::Trust, Some((_, true))) => Err(PolicyError::NotHere("NotPrincipal")),
            (_, Some((_, true))) if allows => Err(PolicyError::NotPrincipalAllows),
            (_, Some((json, negated))) => Principals::parse(json, negated).map(Some),
        }
    }

    fn actions(self, found: &Elements<'_>) -> Result<Scope, PolicyError> {
        match either(("Action", found.action), ("NotAction", found.not_action))? {
            Some((json, negated)) => scope(json.strings("Action")?, negated, action),
            None if self.kind == Kind::Resource => Ok(Scope::Nothing),
            None => Err(PolicyError::Missing("Action")),
        }
    }

    fn resources(self, found: &Elements<'_>) -> Result<Scope, PolicyError> {
        let found = either(("Resource", found.resource), ("NotResource", found.not_resource))?;
        match (self.kind, found) {
            (Kind::Trust, None) => Ok(Scope::Everything),
            (Kind::Trust, Some(_)) => Err(PolicyError::NotHere("Resource")),
            (Kind::Resource, None) => Ok(Scope::Nothing),
            (Kind::Identity, None) => Err(PolicyError::Missing("Resource")),
            (_, Some((json, negated))) => {
                scope(json.strings("Resource")?, negated, |text| self.resource(text))
            }
        }
    }

    fn resource(self, text: &str) -> Result<Pattern, PolicyError> {
        if text != "*" && !text.starts_with("arn:") {
            return Err(PolicyError::Resource(text.to_owned()));
        }
        Pattern::compile(text, Syntax { wildcards: true, variables: self.variables })
    }
}

/// The element or its negation, and which: not both.
fn either<'j>(
    (plain, value): (&'static str, Option<&'j Json>),
    (negated, but): (&'static str, Option<&'j Json>),
) -> Result<Option<(&'j Json, bool)>, PolicyError> {
    match (value, but) {
        (Some(_), Some(_)) => Err(PolicyError::Both(plain, negated)),
        (Some(json), None) => Ok(Some((json, false))),
        (None, Some(json)) => Ok(Some((json, true))),
        (None, None) => Ok(None),
    }
}

fn scope(
    texts: Vec<&str>,
    negated: bool,
    compile: impl Fn(&str) -> Result<Pattern, PolicyError>,
) -> Result<Scope, PolicyError> {
    let patterns = texts.into_iter().map(compile).collect::<Result<_, _>>()?;
    Ok(if negated { Scope::AllBut(patterns) } else { Scope::Only(patterns) })
}

/// `*`, or `service:Name` with wildcards in the name. The service is spelt out, or `*`.
fn action(text: &str) -> Result<Pattern, PolicyError> {
    let service = |s: &str| {
        let spelt = s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        s == "*" || (!s.is_empty() && spelt)
    };
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?' | b'-' | b'_');
    let name = |n: &str| !n.is_empty() && n.bytes().all(name_byte);
    let well_formed = text.split_once(':').is_some_and(|(s, n)| service(s) && name(n));
    if (text != "*" && !well_formed) || text.len() > MAX_ACTION_CHARS {
        return Err(PolicyError::Action(text.to_owned()));
    }
    Pattern::compile(text, Syntax { wildcards: true, variables: false })
}
