//! The condition operators, as a table, and what they mean when the key is there and when it is not.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Single-valued vs.
//! multivalued context keys".

use super::condition_keys::{Conditions, lower};
use super::condition_value::{Comparison, Network, address, boolean, date, number};
use super::error::PolicyError;
use super::json::Json;
use super::pattern::{ArnPattern, Case, Pattern};
use super::template::Syntax;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;
use std::borrow::Cow;

/// The longest name of a condition key. An encryption context key may be longer in KMS; no tag or
/// claim is, and nobody has been seen to write such a condition.
const MAX_KEY_CHARS: usize = 1024;
/// A condition key for each pair of an encryption context.
const ENCRYPTION_CONTEXT: &str = "kms:encryptioncontext:";
/// Condition keys whose last part callers choose, and so may choose twice with another case.
const NAMED_BY_CALLERS: [&str; 6] = [
    ENCRYPTION_CONTEXT,
    "aws:requesttag/",
    "aws:resourcetag/",
    "aws:principaltag/",
    "iam:resourcetag/",
    "secretsmanager:resourcetag/",
];

fn is_named_by_callers(key: &str) -> bool {
    NAMED_BY_CALLERS.iter().any(|prefix| key.starts_with(prefix))
}

/// What kind of values an operator compares, and how.
#[derive(Debug, Clone, Copy)]
enum Family {
    Text { wildcards: bool, case: Case },
    Arn,
    Number(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Network,
    Null,
}

const EXACT: Family = Family::Text { wildcards: false, case: Case::Sensitive };
const NO_CASE: Family = Family::Text { wildcards: false, case: Case::Insensitive };
const LIKE: Family = Family::Text { wildcards: true, case: Case::Sensitive };

/// Every operator the guide knows: its name, what it compares, and whether it is the negation of that.
const OPERATORS: [(&str, Family, bool); 27] = [
    ("StringEquals", EXACT, false),
    ("StringNotEquals", EXACT, true),
    ("StringEqualsIgnoreCase", NO_CASE, false),
    ("StringNotEqualsIgnoreCase", NO_CASE, true),
    ("StringLike", LIKE, false),
    ("StringNotLike", LIKE, true),
    ("NumericEquals", Family::Number(Comparison::Equal), false),
    ("NumericNotEquals", Family::Number(Comparison::Equal), true),
    ("NumericLessThan", Family::Number(Comparison::Less), false),
    ("NumericLessThanEquals", Family::Number(Comparison::LessOrEqual), false),
    ("NumericGreaterThan", Family::Number(Comparison::Greater), false),
    ("NumericGreaterThanEquals", Family::Number(Comparison::GreaterOrEqual), false),
    ("DateEquals", Family::Date(Comparison::Equal), false),
    ("DateNotEquals", Family::Date(Comparison::Equal), true),
    ("DateLessThan", Family::Date(Comparison::Less), false),
    ("DateLessThanEquals", Family::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Family::Date(Comparison::Greater), false),
    ("DateGreaterThanEquals", Family::Date(Comparison::GreaterOrEqual), false),
    ("Bool", Family::Bool, false),
    ("BinaryEquals", Family::Binary, false),
    ("IpAddress", Family::Network, false),
    ("NotIpAddress", Family::Network, true),
    ("ArnEquals", Family::Arn, false),
    ("ArnLike", Family::Arn, false),
    ("ArnNotEquals", Family::Arn, true),
    ("ArnNotLike", Family::Arn, true),
    ("Null", Family::Null, false),
];

/// How an operator treats the *set* of values a key has in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// No prefix: meant for keys of one value. Of several, one that matches is enough for a positive
    /// operator, and one that matches is enough to fail a negated one.
    One,
    ForAllValues,
    ForAnyValue,
}

/// One key under one operator, with the values the policy names.
#[derive(Debug, Clone)]
pub struct Condition {
    key: Box<str>,
    /// Operator and key as the policy writes them, for whoever asks why.
    written: (Box<str>, Box<str>),
    quantifier: Quantifier,
    negated: bool,
    if_exists: bool,
    wanted: Wanted,
}

/// The values of the policy, read as the operator reads them.
#[derive(Debug, Clone)]
enum Wanted {
    Text(Vec<Pattern>, Case),
    Arn(Vec<ArnPattern>),
    Number(Comparison, Vec<f64>),
    Date(Comparison, Vec<jiff::Timestamp>),
    Bool(Vec<bool>),
    Binary(Vec<Vec<u8>>),
    Network(Vec<Network>),
    Null(Vec<bool>),
}

/// An operator's name taken apart.
#[derive(Debug, Clone, Copy)]
struct Operator<'a> {
    name: &'a str,
    family: Family,
    quantifier: Quantifier,
    negated: bool,
    if_exists: bool,
}

impl<'a> Operator<'a> {
    fn parse(name: &'a str) -> Option<Operator<'a>> {
        let (quantifier, rest) = match name.split_once(':') {
            None => (Quantifier::One, name),
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAnyValue, rest),
            Some(_) => return None,
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (_, family, negated) = *OPERATORS.iter().find(|(known, ..)| *known == base)?;
        // Null asks for the presence itself: neither a set nor "if it exists" says anything more.
        let plain = quantifier == Quantifier::One && !if_exists;
        let sensible = plain || !matches!(family, Family::Null);
        sensible.then_some(Operator { name, family, quantifier, negated, if_exists })
    }
}

impl Condition {
    /// All conditions of a `Condition` element. `resource_policy`: KMS refuses `ForAllValues` on an
    /// encryption context pair there, because it is true when the pair is absent.
    pub fn parse_all(
        json: &Json,
        variables: bool,
        resource_policy: bool,
    ) -> Result<Vec<Condition>, PolicyError> {
        let mut conditions = Vec::new();
        for (name, keys) in json.object("Condition")? {
            let operator =
                Operator::parse(name).ok_or_else(|| PolicyError::Operator(name.clone()))?;
            let keys = keys.object("a condition operator")?;
            if keys.is_empty() {
                return Err(PolicyError::Empty("a condition operator"));
            }
            for (key, values) in keys {
                let name = condition_key(key)?;
                if resource_policy
                    && operator.quantifier == Quantifier::ForAllValues
                    && name.starts_with(ENCRYPTION_CONTEXT)
                {
                    return Err(PolicyError::OverlyPermissive(key.clone()));
                }
                conditions.push(Condition {
                    key: name,
                    written: (operator.name.into(), key.as_str().into()),
                    quantifier: operator.quantifier,
                    negated: operator.negated,
                    if_exists: operator.if_exists,
                    wanted: Wanted::parse(operator, values, variables)?,
                });
            }
        }
        Ok(conditions)
    }

    /// The operator, as the policy writes it.
    pub fn operator(&self) -> &str {
        &self.written.0
    }

    /// The key, as the policy writes it.
    pub fn key(&self) -> &str {
        &self.written.1
    }

    /// The values that the request has for the key.
    pub fn found<'r>(&self, request: &'r Conditions<'_>) -> &'r [SmolStr] {
        request.values(&self.key)
    }

    /// The keys of the variables in its values.
    pub fn variables(&self) -> Vec<&str> {
        match &self.wanted {
            Wanted::Text(list, _) => list.iter().flat_map(Pattern::variables).collect(),
            Wanted::Arn(list) => list.iter().flat_map(ArnPattern::variables).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the condition holds in a statement that allows, or in one that denies.
    pub fn holds(&self, request: &Conditions<'_>, allows: bool) -> bool {
        let values = request.values(&self.key);
        if let Wanted::Null(absent) = &self.wanted {
            return absent.contains(&values.is_empty());
        }
        if values.is_empty() {
            return self.when_absent();
        }
        let mut matches = values.iter().map(|value| self.wanted.accepts(value, request));
        match self.quantifier {
            // Names of an encryption context, or of tags, that differ in case only: neither value may
            // speak for the other, to be allowed or not to be denied.
            Quantifier::One if values.len() > 1 && is_named_by_callers(&self.key) => {
                let mut each = matches.map(|found| found != self.negated);
                if allows { each.all(|holds| holds) } else { each.any(|holds| holds) }
            }
            Quantifier::One => matches.any(|found| found) != self.negated,
            Quantifier::ForAllValues => matches.all(|found| found != self.negated),
            Quantifier::ForAnyValue => matches.any(|found| found != self.negated),
        }
    }

    fn when_absent(&self) -> bool {
        match self.quantifier {
            _ if self.if_exists => true,
            Quantifier::One => self.negated,
            Quantifier::ForAllValues => true,
            Quantifier::ForAnyValue => false,
        }
    }
}

impl Wanted {
    fn parse(operator: Operator<'_>, json: &Json, variables: bool) -> Result<Self, PolicyError> {
        let mut texts = Vec::new();
        for value in json.one_or_many("a list of condition values")? {
            texts.push(match value {
                Json::String(text) | Json::Number(text) => text.as_str(),
                Json::Bool(true) => "true",
                Json::Bool(false) => "false",
                _ => return Err(PolicyError::NotStrings("a condition value")),
            });
        }
        let syntax = |wildcards| Syntax { wildcards, variables };
        Ok(match operator.family {
            Family::Text { wildcards, case } => {
                let compile = |text: &&str| Pattern::compile(text, syntax(wildcards));
                Wanted::Text(texts.iter().map(compile).collect::<Result<_, _>>()?, case)
            }
            Family::Arn => {
                let compile = |text: &&str| {
                    ArnPattern::compile(text, syntax(true))?.ok_or_else(|| wrong(operator, text))
                };
                Wanted::Arn(texts.iter().map(compile).collect::<Result<_, _>>()?)
            }
            Family::Number(by) => Wanted::Number(by, read(operator, &texts, number)?),
            Family::Date(by) => Wanted::Date(by, read(operator, &texts, date)?),
            Family::Bool => Wanted::Bool(read(operator, &texts, boolean)?),
            Family::Binary => Wanted::Binary(read(operator, &texts, binary)?),
            Family::Network => Wanted::Network(read(operator, &texts, Network::parse)?),
            Family::Null => Wanted::Null(read(operator, &texts, boolean)?),
        })
    }

    /// Whether one of the policy's values fits this value of the request. What cannot be read as the
    /// operator's type equals nothing, and neither does a variable without a value: so negated operators
    /// do hold then (IAM User Guide, "Policy variables with no value").
    fn accepts(&self, value: &str, request: &Conditions<'_>) -> bool {
        match self {
            Wanted::Text(list, case) => list.iter().any(|p| p.matches(value, request, *case)),
            Wanted::Arn(list) => list.iter().any(|p| p.matches(value, request)),
            Wanted::Number(by, list) => {
                number(value).is_some_and(|n| list.iter().any(|wanted| by.holds(n, *wanted)))
            }
            Wanted::Date(by, list) => {
                date(value).is_some_and(|d| list.iter().any(|wanted| by.holds(d, *wanted)))
            }
            Wanted::Bool(list) => boolean(value).is_some_and(|b| list.contains(&b)),
            Wanted::Binary(list) => binary(value).is_some_and(|bytes| list.contains(&bytes)),
            Wanted::Network(list) => {
                address(value).is_some_and(|ip| list.iter().any(|net| net.contains(ip)))
            }
            Wanted::Null(_) => false,
        }
    }
}

fn read<T>(
    operator: Operator<'_>,
    texts: &[&str],
    parse: fn(&str) -> Option<T>,
) -> Result<Vec<T>, PolicyError> {
    texts.iter().map(|text| parse(text).ok_or_else(|| wrong(operator, text))).collect()
}

fn wrong(operator: Operator<'_>, value: &str) -> PolicyError {
    PolicyError::ConditionValue { operator: operator.name.to_owned(), value: value.to_owned() }
}

fn binary(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// `prefix:name`. The prefix of a web identity's claims is a host name with a path; what follows may
/// be any text, as tags and encryption contexts have it.
fn condition_key(key: &str) -> Result<Box<str>, PolicyError> {
    let prefix_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    let well_formed = key.split_once(':').is_some_and(|(prefix, name)| {
        !prefix.is_empty() && !name.is_empty() && prefix.chars().all(prefix_char)
    });
    if !well_formed || key.chars().any(char::is_control) || key.chars().count() > MAX_KEY_CHARS {
        return Err(PolicyError::ConditionKey(key.to_owned()));
    }
    Ok(lower(Cow::Borrowed(key)).into())
}
