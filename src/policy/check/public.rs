//! Whether a policy opens its resource to everybody.
//!
//! Public is an Allow for `*` that no condition holds to fixed callers: to accounts, organisations,
//! principals, services acting for fixed resources, or networks. AWS's definition for S3 (S3 user
//! guide, "The meaning of public") with the keys of KMS added. A value is fixed if it has neither a
//! wildcard nor a policy variable; of ARNs the account must be, and networks must be narrower than
//! AWS's bounds. A Deny for everybody outside such values closes what it covers.

use super::cover::{contains_actions, contains_resources, includes};
use super::written::{Asked, List, Quantifier, Written};
use super::{Report, Severity};
use crate::policy::condition_value::Network;
use crate::policy::document::{Kind, Policy};
use crate::policy::error::PolicyError;

/// AWS: networks at least this narrow are not "everybody".
const IPV4_BITS: u8 = 8;
const IPV6_BITS: u8 = 32;
/// What opens a role. The other actions that its trust policy is asked about come with one of these.
const ASSUMING: [&str; 3] =
    ["sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity"];

/// A statement that opens the resource to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The statement's index from zero.
    pub statement: usize,
    pub sid: Option<String>,
}

/// The statements that open a resource's policy to everybody: none, if it is not public.
pub fn is_public(text: &str, kind: Kind) -> Result<Vec<Opening>, PolicyError> {
    Policy::parse(text, kind)?;
    let all = Written::all(text);
    let openings = all.iter().filter(|statement| is_open(statement, &all, kind));
    Ok(openings.map(|s| Opening { statement: s.index, sid: s.sid.clone() }).collect())
}

fn is_open(statement: &Written, all: &[Written], kind: Kind) -> bool {
    admits_anyone(statement, kind) && narrowed(statement).is_none() && !is_closed(statement, all)
}

/// An Allow for `*` that can allow something.
fn admits_anyone(statement: &Written, kind: Kind) -> bool {
    let speaks = match kind {
        Kind::Trust => assumes(&statement.actions),
        Kind::Identity | Kind::Resource => statement.actions.there && statement.resources.there,
    };
    statement.allows && statement.principals.anyone && !statement.principals.negated && speaks
}

/// Whether a role can be assumed by these actions. Its trust policy may say them in any way that a
/// key's may: `*`, `*:AssumeRole`, all but others.
fn assumes(actions: &List) -> bool {
    let named = |asked: &str| {
        let mut texts = actions.texts.iter();
        texts.any(|written| includes(&written.to_ascii_lowercase(), asked))
    };
    actions.there && ASSUMING.iter().any(|asked| named(asked) != actions.negated)
}

/// What a condition narrows to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Narrowing {
    /// Whoever is in a network, of whatever account.
    Network,
    /// Known accounts, principals or resources.
    Callers,
}

/// The strongest narrowing of a statement's conditions: they must all hold.
fn narrowed(statement: &Written) -> Option<Narrowing> {
    let bounds = statement.conditions.iter().filter(|asked| asked.needs_its_key());
    bounds.filter_map(narrowing).max()
}

fn narrowing(asked: &Asked) -> Option<Narrowing> {
    let key = asked.key.to_ascii_lowercase();
    let text = asked.operator.starts_with("String");
    let arn = asked.operator.starts_with("Arn");
    let network = asked.operator.contains("IpAddress");
    // In an operator without wildcards they are characters, and no such value exists.
    let all = |fixed: fn(&str) -> bool| {
        !asked.values.is_empty() && asked.values.iter().all(|v| !v.contains("${") && fixed(v))
    };
    let is = |yes: bool, what| yes.then_some(what);
    match key.as_str() {
        "aws:principalaccount"
        | "aws:principalorgid"
        | "aws:sourceaccount"
        | "aws:sourceorgid"
        | "aws:sourceowner"
        | "kms:calleraccount" => is(text && all(is_literal), Narrowing::Callers),
        "aws:principalorgpaths" | "aws:sourceorgpaths" => {
            is(text && all(is_org_path), Narrowing::Callers)
        }
        "aws:userid" => is(text && all(is_user_id), Narrowing::Callers),
        "aws:principalarn" | "aws:sourcearn" => {
            is((text || arn) && all(is_arn_of_account), Narrowing::Callers)
        }
        "aws:sourcevpc" | "aws:sourcevpce" => is(text && all(is_literal), Narrowing::Network),
        "aws:sourceip" => is(network && all(is_narrow_network), Narrowing::Network),
        _ => None,
    }
}

fn is_literal(value: &str) -> bool {
    !value.is_empty() && !value.contains(['*', '?'])
}

/// `o-a1b2/r-ab12/*`: the organisation is fixed.
fn is_org_path(value: &str) -> bool {
    value.split_once('/').is_some_and(|(org, _)| org.starts_with("o-") && is_literal(org))
}

/// `AIDA…`, or `AROA…:*`: any session of one role.
fn is_user_id(value: &str) -> bool {
    let id = value.split(':').next().unwrap_or_default();
    is_literal(value) || (value.contains(':') && is_literal(id) && id.starts_with("ARO"))
}

/// What stands before the first wildcard names the account, or there is no wildcard.
fn is_arn_of_account(value: &str) -> bool {
    let fixed = value.split(['*', '?']).next().unwrap_or_default();
    let account = fixed.split(':').nth(4).unwrap_or_default();
    let named = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let whole = fixed.split(':').count() > 5;
    value.starts_with("arn:") && (fixed == value || (named && whole))
}

fn is_narrow_network(value: &str) -> bool {
    Network::parse(value).is_some_and(|network| network.is_within(IPV4_BITS, IPV6_BITS))
}

/// Whether a Deny for everybody but fixed callers covers the statement. Its one condition is a
/// negated one, which holds for whoever lacks the key.
fn is_closed(statement: &Written, all: &[Written]) -> bool {
    all.iter().any(|deny| {
        let everybody = deny.principals.anyone && !deny.principals.negated && !deny.allows;
        let [asked] = deny.conditions.as_slice() else { return false };
        let but_fixed = asked.quantifier == Quantifier::One
            && asked.is_negated()
            && narrowing(&positive(asked)).is_some();
        everybody
            && but_fixed
            && contains_actions(deny, statement)
            && contains_resources(deny, statement)
    })
}

/// The condition that a negated one is the opposite of.
fn positive(asked: &Asked) -> Asked {
    Asked { operator: asked.operator.replace("Not", ""), ..asked.clone() }
}

pub(super) fn check(all: &[Written], kind: Kind, report: &mut Report) {
    for statement in all.iter().filter(|statement| admits_anyone(statement, kind)) {
        let tried: Vec<&str> = statement.conditions.iter().map(|c| c.key.as_str()).collect();
        match narrowed(statement) {
            Some(Narrowing::Callers) => {}
            Some(Narrowing::Network) => report.add(
                Severity::Warning,
                "wildcard-principal",
                statement,
                "Principal",
                "allows every principal of every account that comes from a network; name the \
                 accounts too, with aws:PrincipalAccount or aws:PrincipalOrgID"
                    .into(),
            ),
            None if is_closed(statement, all) => report.add(
                Severity::Note,
                "wildcard-principal",
                statement,
                "Principal",
                "allows everybody, and only a Deny statement keeps strangers out".into(),
            ),
            None => report.add(
                Severity::Error,
                "public-access",
                statement,
                "Principal",
                match tried.is_empty() {
                    true => "allows everybody, of any account".into(),
                    false => format!(
                        "allows everybody, of any account: {} does not narrow it to fixed callers",
                        tried.join(", ")
                    ),
                },
            ),
        }
    }
}
