//! Statements without effect: what can never apply, and what others already say. Only what is so for
//! every request is reported; a statement that is not reported may be useless all the same.

use super::written::{Asked, List, Principals, Written};
use super::{Report, Severity, Subject};

/// The longest ARN of AWS. Longer patterns are compared as they are only.
const MAX_PATTERN_BYTES: usize = 2048;

pub(super) fn check(all: &[Written], subject: Subject, report: &mut Report) {
    let mut useless = vec![false; all.len()];
    for statement in all {
        if let Some((element, reason)) = never_applies(statement, subject) {
            let message = format!("never applies: {reason}");
            report.add(Severity::Warning, "unused-statement", statement, element, message);
            mark(&mut useless, statement);
        }
    }
    for statement in all {
        let lives = |other: &&Written| !useless.get(other.index).copied().unwrap_or_default();
        if !lives(&statement) {
            continue;
        }
        // Of two that say the same, the later one is the useless one, and only that.
        let mut others = all.iter().filter(|other| other.index != statement.index).filter(lives);
        let Some(other) = others.find(|other| covers(other, statement)) else {
            continue;
        };
        if covers(statement, other) && statement.index < other.index {
            continue;
        }
        let name = other.sid.as_ref().map_or_else(String::new, |sid| format!(" ({sid})"));
        let verb = match (statement.allows, other.allows) {
            (true, false) => "denies",
            _ => "already says",
        };
        let message = format!("has no effect: statement {}{name} {verb} all of it", other.index);
        report.add(Severity::Warning, "unused-statement", statement, "", message);
        mark(&mut useless, statement);
    }
}

fn mark(useless: &mut [bool], statement: &Written) {
    if let Some(place) = useless.get_mut(statement.index) {
        *place = true;
    }
}

/// Why no request can be what the statement speaks of, and where it says so.
fn never_applies(statement: &Written, subject: Subject) -> Option<(&'static str, String)> {
    let of_resource = matches!(subject, Subject::Key { .. } | Subject::Secret);
    if of_resource && !statement.actions.there {
        return Some(("", "it has no Action".into()));
    }
    if of_resource && !statement.resources.there {
        return Some(("", "it has no Resource".into()));
    }
    let others = |list: &List, other: fn(&str, &str) -> bool, service: &str| {
        list.there && !list.negated && list.texts.iter().all(|text| other(text, service))
    };
    if let Some(service) = subject.service() {
        if others(&statement.actions, is_action_elsewhere, service) {
            return Some(("Action", format!("only actions of {service} are asked here")));
        }
        if others(&statement.resources, is_resource_elsewhere, service) {
            return Some(("Resource", format!("only resources of {service} are asked about here")));
        }
    }
    let named = &statement.principals;
    if named.there
        && !named.negated
        && !named.anyone
        && named.named.iter().all(|(kind, _)| kind == "CanonicalUser")
    {
        return Some(("Principal", "canonical users are S3's alone".into()));
    }
    let absent = |asked: &&Asked| {
        let only_true = asked.values.iter().all(|value| value.eq_ignore_ascii_case("true"));
        asked.operator == "Null" && only_true && !asked.values.is_empty()
    };
    let contradiction = statement.conditions.iter().filter(absent).find(|null| {
        let same = |asked: &&Asked| asked.needs_its_key() && asked.is_about(&null.key);
        statement.conditions.iter().any(|asked| same(&asked))
    });
    contradiction.map(|null| {
        ("Condition", format!("{} must be absent and have a value at the same time", null.key))
    })
}

fn is_action_elsewhere(action: &str, service: &str) -> bool {
    let prefix = action.split(':').next().unwrap_or_default();
    prefix != "*" && !prefix.eq_ignore_ascii_case(service)
}

fn is_resource_elsewhere(resource: &str, service: &str) -> bool {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let [_, _, named, ..] = parts.as_slice() else { return false };
    // A wildcard before the service may stand for anything, colons included.
    let begin = parts.iter().take(3).any(|part| part.contains(['*', '?', '$']));
    let is_alias = service == "kms" && parts.get(5).is_some_and(|r| r.starts_with("alias/"));
    let exact = !parts.iter().any(|part| part.contains(['*', '?', '$']));
    !begin && (*named != service || (is_alias && exact))
}

/// Whether every request that `small` speaks of is decided by `big` at least as strongly.
fn covers(big: &Written, small: &Written) -> bool {
    // Nothing that allows makes a Deny useless.
    (big.allows == small.allows || small.allows)
        && contains_principals(&big.principals, &small.principals, big.allows)
        && contains_actions(big, small)
        && contains_resources(big, small)
        && big.conditions.iter().all(|asked| small.conditions.contains(asked))
}

/// An Allow that names somebody is worth more than one for `*` (it needs no other policy), so of those
/// only the same names count.
fn contains_principals(big: &Principals, small: &Principals, allows: bool) -> bool {
    match (big.there, big.negated, small.negated) {
        (false, ..) => true,
        (true, false, _) if big.anyone && !allows => true,
        (true, false, false) => (big.anyone || !small.anyone) && small.named.is_subset(&big.named),
        (true, true, true) => big.anyone == small.anyone && big.named == small.named,
        _ => false,
    }
}

pub(super) fn contains_actions(big: &Written, small: &Written) -> bool {
    contains(&big.actions, &small.actions, |text| text.to_ascii_lowercase())
}

pub(super) fn contains_resources(big: &Written, small: &Written) -> bool {
    contains(&big.resources, &small.resources, str::to_owned)
}

fn contains(big: &List, small: &List, fold: fn(&str) -> String) -> bool {
    let folded = |list: &List| list.texts.iter().map(|text| fold(text)).collect::<Vec<_>>();
    let (wide, narrow) = (folded(big), folded(small));
    match (big.negated, small.negated) {
        _ if !big.there && !small.there => true,
        _ if !big.there || !small.there => false,
        (false, false) => narrow.iter().all(|s| wide.iter().any(|b| includes(b, s))),
        // All but more is less.
        (true, true) => wide.iter().all(|b| narrow.iter().any(|s| includes(s, b))),
        (false, true) => wide.iter().any(|b| b == "*"),
        (true, false) => false,
    }
}

/// Whether every text that the pattern `small` matches is one that `big` matches. A wildcard of
/// `small` is a character here that only a wildcard of `big` can stand for.
pub(super) fn includes(big: &str, small: &str) -> bool {
    if big == small || big == "*" {
        return true;
    }
    // What a policy variable becomes is not known; and comparing takes the product of the lengths.
    if big.contains("${") || small.contains("${") || big.len().max(small.len()) > MAX_PATTERN_BYTES
    {
        return false;
    }
    let (big, small): (Vec<char>, Vec<char>) = (big.chars().collect(), small.chars().collect());
    let (mut b, mut s) = (0, 0);
    let mut last_star = None;
    while let Some(&found) = small.get(s) {
        let fits = match big.get(b) {
            Some('*') => {
                last_star = Some((b, s));
                b += 1;
                continue;
            }
            Some('?') => found != '*',
            Some(&wanted) => wanted == found,
            None => false,
        };
        match (fits, last_star) {
            (true, _) => (b, s) = (b + 1, s + 1),
            (false, None) => return false,
            (false, Some((star, from))) => {
                (b, s) = (star + 1, from + 1);
                last_star = Some((star, from + 1));
            }
        }
    }
    big.get(b..).is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}
