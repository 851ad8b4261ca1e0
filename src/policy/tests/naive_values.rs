//! The naive evaluator's conditions: values, patterns and operators, by the words of the IAM User Guide,
//! "Condition operators", "Variables and tags" and "Set operators for multivalued context keys".

use super::naive::many;
use serde_json::Value;
use std::net::IpAddr;

/// What the request says, by key in lower case.
pub struct Facts(Vec<(String, Vec<String>)>);

impl Facts {
    /// Names that differ in case only are one key.
    pub fn of(given: &[(String, Vec<String>)]) -> Self {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for (key, values) in given {
            let key = key.to_lowercase();
            match all.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => known.extend(values.iter().cloned()),
                None => all.push((key, values.clone())),
            }
        }
        Self(all)
    }

    fn values(&self, key: &str) -> &[String] {
        let key = key.to_lowercase();
        let found = self.0.iter().find(|(known, _)| *known == key);
        found.map_or(&[], |(_, values)| values)
    }
}

/// A pattern's character.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Symbol {
    This(char),
    AnyOne,
    AnyMany,
}

/// Reads a pattern, with variables replaced: what they stand for is not a pattern. None if one has no
/// value.
pub fn symbols(text: &str, wildcards: bool, variables: bool, facts: &Facts) -> Option<Vec<Symbol>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if variables && rest.starts_with("${") {
            let (inside, after) = rest[2..].split_once('}')?;
            rest = after;
            if let "*" | "?" | "$" = inside {
                out.extend(inside.chars().map(Symbol::This));
                continue;
            }
            let (name, default) = match inside.split_once(',') {
                Some((name, quoted)) => (name.trim(), Some(quoted.trim().trim_matches('\''))),
                None => (inside.trim(), None),
            };
            let value = match facts.values(name) {
                [one] => one.as_str(),
                _ => default?,
            };
            out.extend(value.chars().map(Symbol::This));
            continue;
        }
        rest = &rest[first.len_utf8()..];
        out.push(match first {
            '*' if wildcards => Symbol::AnyMany,
            '?' if wildcards => Symbol::AnyOne,
            other => Symbol::This(other),
        });
    }
    Some(out)
}

/// Whether the whole text is what the pattern says.
pub fn fits(pattern: &[Symbol], text: &str, ignore_case: bool) -> bool {
    let mut rest = text.chars();
    match (pattern.first(), rest.next()) {
        (None, first) => first.is_none(),
        (Some(Symbol::AnyMany), first) => {
            fits(&pattern[1..], text, ignore_case)
                || first.is_some() && fits(pattern, rest.as_str(), ignore_case)
        }
        (Some(Symbol::AnyOne), Some(_)) => fits(&pattern[1..], rest.as_str(), ignore_case),
        (Some(Symbol::This(wanted)), Some(found)) => {
            let same = *wanted == found || ignore_case && wanted.eq_ignore_ascii_case(&found);
            same && fits(&pattern[1..], rest.as_str(), ignore_case)
        }
        _ => false,
    }
}

/// One operator on one key.
pub fn condition_holds(
    operator: &str,
    key: &str,
    wanted: &Value,
    facts: &Facts,
    variables: bool,
    allows: bool,
) -> bool {
    let found = facts.values(key);
    let wanted: Vec<String> = many(wanted).into_iter().map(text_of).collect();
    if operator == "Null" {
        return wanted.iter().any(|text| text.eq_ignore_ascii_case("true") == found.is_empty());
    }
    let (set, rest) = operator.split_once(':').unwrap_or(("", operator));
    let (base, if_exists) = match rest.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (rest, false),
    };
    let negated = base.contains("Not");
    if found.is_empty() {
        // "If the key is not present": IfExists true; ForAllValues true; ForAnyValue false; otherwise
        // false, and true when the operator is negated.
        return if_exists || set == "ForAllValues" || set.is_empty() && negated;
    }
    let base = base.replacen("Not", "", 1);
    let equal = |value: &String| {
        wanted.iter().any(|wanted| compare(&base, wanted, value, variables, facts))
    };
    let holds = |value: &String| equal(value) != negated;
    match set {
        "ForAllValues" => found.iter().all(holds),
        "ForAnyValue" => found.iter().any(holds),
        // Two values that the caller could only give by writing a name twice, in two cases: neither may
        // speak for the other.
        _ if found.len() > 1 && is_callers_own(key) && allows => found.iter().all(holds),
        _ if found.len() > 1 && is_callers_own(key) => found.iter().any(holds),
        _ => found.iter().any(equal) != negated,
    }
}

fn is_callers_own(key: &str) -> bool {
    let key = key.to_lowercase();
    key.starts_with("kms:encryptioncontext:") || key.contains("tag/")
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a value of the request is what the policy's value says, negation aside.
fn compare(operator: &str, wanted: &str, found: &str, variables: bool, facts: &Facts) -> bool {
    let text = |wildcards, ignore_case| {
        let pattern = symbols(wanted, wildcards, variables, facts);
        pattern.is_some_and(|pattern| fits(&pattern, found, ignore_case))
    };
    if let Some(order) = operator.strip_prefix("Numeric") {
        return in_order(order, number(found), number(wanted));
    }
    if let Some(order) = operator.strip_prefix("Date") {
        return in_order(order, instant(found), instant(wanted));
    }
    match operator {
        "StringEquals" => text(false, false),
        "StringEqualsIgnoreCase" => text(false, true),
        "StringLike" => text(true, false),
        "Bool" => {
            let is_bool = ["true", "false"].iter().any(|word| found.eq_ignore_ascii_case(word));
            is_bool && found.eq_ignore_ascii_case(wanted)
        }
        "BinaryEquals" => is_base64(found) && found == wanted,
        "IpAddress" => within(found, wanted),
        "ArnEquals" | "ArnLike" => arn(wanted, found, variables, facts),
        other => panic!("no operator {other}"),
    }
}

fn in_order<T: PartialOrd>(order: &str, found: Option<T>, wanted: Option<T>) -> bool {
    let (Some(found), Some(wanted)) = (found, wanted) else { return false };
    match order {
        "Equals" => found == wanted,
        "LessThan" => found < wanted,
        "LessThanEquals" => found <= wanted,
        "GreaterThan" => found > wanted,
        "GreaterThanEquals" => found >= wanted,
        other => panic!("no order {other}"),
    }
}

fn number(text: &str) -> Option<f64> {
    let known = text.chars().all(|c| "0123456789.-eE".contains(c));
    text.parse().ok().filter(|_| known && !text.starts_with('.'))
}

/// Milliseconds since 1970, of the forms that the sample has: seconds; `2020-01`; `2020-01-02`;
/// `2020-01-02T03:04:05`, then `.5`, then `Z` or `+01:00`.
fn instant(text: &str) -> Option<i64> {
    if text.chars().all(|c| c.is_ascii_digit()) {
        return text.parse::<i64>().ok().filter(|_| text.len() != 4).map(|seconds| seconds * 1000);
    }
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let parts: Vec<&str> = day.split('-').collect();
    let [year, month, day] = match *parts.as_slice() {
        [year, month] => [year, month, "01"],
        [year, month, day] => [year, month, day],
        _ => return None,
    };
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::checked_sub(month, 1)?)?;
    if !(1..=length).contains(&day) {
        return None;
    }
    let (clock, east) = match time.split_at_checked(time.len().checked_sub(6)?) {
        _ if time.ends_with('Z') => (&time[..time.len() - 1], 0),
        Some((clock, zone)) if zone.starts_with(['+', '-']) => {
            let minutes = zone[1..3].parse::<i64>().ok()? * 60 + zone[4..].parse::<i64>().ok()?;
            (clock, if zone.starts_with('-') { -minutes } else { minutes })
        }
        _ => (time, 0),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap_or(99)).collect();
    let [hour @ 0..24, minute @ 0..60, second @ 0..60] = *parts.as_slice() else { return None };
    let thousandths: i64 = format!("{fraction:0<3}").parse().ok()?;
    let days: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum::<i64>()
        + lengths[..month - 1].iter().sum::<i64>()
        + day
        - 1;
    Some((((days * 24 + hour) * 60 + minute - east) * 60 + second) * 1000 + thousandths)
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && year % 100 != 0 || year % 400 == 0
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && body.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/')
}

/// The bits of an address as text; IPv4 within IPv6 is IPv4.
fn bits(text: &str) -> Option<String> {
    let octets = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(v4) => octets(&v4.octets()),
        IpAddr::V6(v6) => octets(&v6.octets()),
    })
}

fn within(address: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap_or((network, ""));
    let (Some(address), Some(base)) = (bits(address), bits(base)) else { return false };
    let written = if network.contains(':') { 128 } else { 32 };
    // Of an IPv4 network written as IPv6, the first 96 bits are the coat.
    let length = length.parse().unwrap_or(written) - (written - base.len());
    address.len() == base.len() && address[..length] == base[..length]
}

/// "Each of the six colon-delimited components of the ARN is checked separately."
fn arn(wanted: &str, found: &str, variables: bool, facts: &Facts) -> bool {
    if wanted == "*" {
        return true;
    }
    let parts = components(wanted);
    let pattern = |part: &str| symbols(part, true, variables, facts);
    let found: Vec<&str> = found.splitn(parts.len(), ':').collect();
    parts.len() == found.len()
        && parts
            .iter()
            .zip(found)
            .all(|(part, found)| pattern(part).is_some_and(|pattern| fits(&pattern, found, false)))
}

/// Splits at the first five colons that do not stand in a variable.
fn components(pattern: &str) -> Vec<&str> {
    let (mut parts, mut start, mut in_variable) = (Vec::new(), 0, false);
    for (at, c) in pattern.char_indices() {
        match c {
            '{' => in_variable = true,
            '}' => in_variable = false,
            ':' if !in_variable && parts.len() < 5 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}
