//! What is asked of each statement by itself, and of the policy as a whole.

use super::written::{Asked, Quantifier, Written};
use super::{Finding, Report, Severity};
use crate::policy::document::Policy;
use crate::policy::position;

const NEW: &str = "2012-10-17";

pub(super) fn whole(policy: &Policy, text: &str, report: &mut Report) {
    if policy.version() == NEW {
        return;
    }
    let written = position::members(text).get("Version").copied();
    report.findings.push(Finding {
        severity: Severity::Note,
        rule: "old-version",
        message: format!("the policy is of version 2008-10-17; {NEW} has policy variables"),
        statement: None,
        sid: None,
        position: written.map(|part| position::position_of(text, part)),
    });
}

pub(super) fn statement(statement: &Written, version: &str, report: &mut Report) {
    not_forms(statement, report);
    for_all_values(statement, report);
    if version != NEW {
        variables(statement, report);
    }
}

/// The Not-forms: whoever lists what is excepted allows everything that will ever be added.
fn not_forms(statement: &Written, report: &mut Report) {
    if statement.allows && statement.actions.negated {
        let message = "NotAction with Allow allows every other action there is or will be";
        report.add(Severity::Warning, "not-action", statement, "Action", message.into());
    }
    if statement.allows && statement.resources.negated {
        let message = "NotResource with Allow allows every other resource there is or will be";
        report.add(Severity::Warning, "not-resource", statement, "Resource", message.into());
    }
    if statement.principals.there && statement.principals.negated {
        let message = "NotPrincipal denies whoever it does not name in all forms: account, role and \
                       session; aws:PrincipalArn in a condition is easier to get right";
        report.add(Severity::Note, "not-principal", statement, "Principal", message.into());
    }
}

/// `ForAllValues` is true of no values.
fn for_all_values(statement: &Written, report: &mut Report) {
    let all = |asked: &&Asked| asked.quantifier == Quantifier::ForAllValues;
    for asked in statement.conditions.iter().filter(all) {
        let mut same = statement.conditions.iter().filter(|other| other.is_about(&asked.key));
        if statement.allows && !same.any(|other| other.needs_its_key()) {
            let message = format!(
                "ForAllValues also holds for requests without {0}; add \"Null\": {{\"{0}\": \
                 \"false\"}}",
                asked.key
            );
            report.add(Severity::Warning, "for-all-values", statement, "Condition", message);
        }
    }
}

/// Before 2012-10-17 a variable is plain text.
fn variables(statement: &Written, report: &mut Report) {
    let has = |texts: &[String]| texts.iter().any(|text| text.contains("${"));
    let place = if has(&statement.resources.texts) {
        "Resource"
    } else if statement.conditions.iter().any(|asked| has(&asked.values)) {
        "Condition"
    } else {
        return;
    };
    let message = format!("policy variables are plain text without \"Version\": \"{NEW}\"");
    report.add(Severity::Warning, "old-version-variable", statement, place, message);
}
