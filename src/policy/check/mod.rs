//! What is wrong with a policy although it can be read: what opens it to everybody, what never has an
//! effect, what was misspelt. Pure, like the evaluator beside it; and certain: what is reported as
//! unused is unused for every request, what is reported as public is public unless another policy
//! says no.

mod cover;
mod names;
mod public;
mod rules;
mod secrets;
mod written;

pub use public::{Opening, is_public};

use super::document::{Kind, Policy};
use super::error::PolicyError;
use super::position::{self, Position};
use serde::Serialize;
use std::collections::BTreeMap;
use written::Written;

/// How much a finding matters. Notes do not fail a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a policy is attached to, and so what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Identity,
    /// A KMS key; `of_secrets`: one that is to encrypt secrets only.
    Key {
        of_secrets: bool,
    },
    Secret,
    Trust,
}

impl Subject {
    fn kind(self) -> Kind {
        match self {
            Subject::Identity => Kind::Identity,
            Subject::Key { .. } | Subject::Secret => Kind::Resource,
            Subject::Trust => Kind::Trust,
        }
    }

    /// The service whose actions can be asked of it; of identities, every service's.
    fn service(self) -> Option<&'static str> {
        match self {
            Subject::Identity => None,
            Subject::Key { .. } => Some("kms"),
            Subject::Secret => Some("secretsmanager"),
            Subject::Trust => Some("sts"),
        }
    }

    /// What a policy looks like to be: for whoever does not say. None if it is no policy at all.
    pub fn guess(text: &str) -> Option<Subject> {
        let statements = position::statements(text);
        let has = |names: [&str; 2]| {
            let mut members = statements.iter().map(|statement| position::members(statement));
            members.any(|m| names.iter().any(|name| m.contains_key(*name)))
        };
        if statements.is_empty() {
            return None;
        }
        Some(match (has(["Principal", "NotPrincipal"]), has(["Resource", "NotResource"])) {
            (false, _) => Subject::Identity,
            (true, false) => Subject::Trust,
            (true, true) if text.contains("\"secretsmanager:") => Subject::Secret,
            (true, true) => Subject::Key { of_secrets: false },
        })
    }
}

/// The operations of the services that are known, by the services' prefixes.
pub type Services<'s> = BTreeMap<&'s str, Vec<&'s str>>;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// `public-access`: a name that does not change.
    pub rule: &'static str,
    pub message: String,
    /// The statement's index from zero; none if the policy as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(flatten)]
    pub position: Option<Position>,
}

/// Reads a policy and says what is wrong with it, in the order of its text.
pub fn check(text: &str, subject: Subject, services: &Services<'_>) -> Vec<Finding> {
    let mut report = Report::default();
    match Policy::parse(text, subject.kind()) {
        Err(error) => syntax(text, subject, &error, &mut report),
        Ok(policy) => {
            let all = Written::all(text);
            rules::whole(&policy, text, &mut report);
            for statement in &all {
                rules::statement(statement, policy.version(), &mut report);
                names::check(statement, services, &mut report);
                if subject == (Subject::Key { of_secrets: true }) {
                    secrets::check(statement, &mut report);
                }
            }
            public::check(&all, subject.kind(), &mut report);
            cover::check(&all, subject, &mut report);
        }
    }
    let mut findings = report.findings;
    findings.sort_by_key(|finding| (finding.position, std::cmp::Reverse(finding.severity)));
    findings
}

/// Every statement that cannot be read, or the policy if it is not one of them.
fn syntax(text: &str, subject: Subject, error: &PolicyError, report: &mut Report) {
    let version = position::members(text).get("Version").copied().unwrap_or("\"2008-10-17\"");
    let of_whole =
        matches!(error, PolicyError::Version | PolicyError::TooLong(_) | PolicyError::Json(_));
    let statements = if of_whole { Vec::new() } else { position::statements(text) };
    let finding = |message: String, statement, position| Finding {
        severity: Severity::Error,
        rule: "syntax",
        message,
        statement,
        sid: None,
        position,
    };
    for (index, part) in statements.into_iter().enumerate() {
        let alone = format!("{{\"Version\":{version},\"Statement\":[{part}]}}");
        if let Err(error) = Policy::parse(&alone, subject.kind()) {
            let place = position::position_of(text, part);
            report.findings.push(finding(error.to_string(), Some(index), Some(place)));
        }
    }
    if report.findings.is_empty() {
        // JSON that breaks off says where.
        let broken = serde_json::from_str::<serde::de::IgnoredAny>(text).err();
        let place = broken.map(|e| Position { line: e.line(), column: e.column() });
        report.findings.push(finding(error.to_string(), None, place));
    }
}

/// Collects findings.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// About a statement; `element` is where in it.
    fn add(
        &mut self,
        severity: Severity,
        rule: &'static str,
        statement: &Written,
        element: &str,
        message: String,
    ) {
        self.findings.push(Finding {
            severity,
            rule,
            message,
            statement: Some(statement.index),
            sid: statement.sid.clone(),
            position: Some(statement.position(element)),
        });
    }
}

#[cfg(test)]
mod tests;
