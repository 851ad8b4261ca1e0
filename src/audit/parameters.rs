//! What of a request may stand in the audit trail, in CloudTrail's spelling.
//!
//! An allow-list: a member that is not named is not recorded, so a new secret member of a request
//! cannot leak by being forgotten. An entry is a member's name, or a path into structures and the
//! structures of lists; one that ends in `=` keeps what is below it as it is, for maps whose keys
//! are the caller's; one that has a `:` is shown by the name behind it, where CloudTrail's is another
//! than the model's:
//!
//! ```text
//! "KeyId"                                  keyId, with everything in it camel-cased
//! "EncryptionContext="                     encryptionContext, its keys untouched
//! "Constraints.EncryptionContextSubset="   of the constraints this one, its keys untouched
//! "CloudHsmClusterId:clusterId"            clusterId
//! ```

use serde_json::{Map, Value};

use crate::types::Timestamp;

/// A member's name as CloudTrail prints it: KeyId → keyId, AWSAccountId → aWSAccountId, ARN → aRN.
pub fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        let mut camel = String::with_capacity(name.len());
        camel.push(first.to_ascii_lowercase());
        camel.push_str(letters.as_str());
        camel
    })
}

/// The allowed members of a request; null when there are none, as CloudTrail has it.
pub fn parameters(request: &Value, allowed: &[&str]) -> Value {
    match pick(request, allowed) {
        Value::Object(members) if members.is_empty() => Value::Null,
        Value::Object(members) => Value::Object(members),
        _ => Value::Null,
    }
}

fn pick(value: &Value, allowed: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            let picked = members.iter().filter_map(|(name, value)| {
                let (shown, value) = pick_member(name, value, allowed)?;
                Some((shown.map_or_else(|| camel(name), str::to_owned), value))
            });
            Value::Object(picked.collect())
        }
        Value::Array(items) => {
            // Only structures have members to choose; a bare value here was not asked for by name.
            let structures = items.iter().filter(|item| item.is_object());
            Value::Array(structures.map(|item| pick(item, allowed)).collect())
        }
        _ => Value::Null,
    }
}

/// What is shown of a member, and by which name if not by its own.
fn pick_member<'a>(
    name: &str,
    value: &Value,
    allowed: &[&'a str],
) -> Option<(Option<&'a str>, Value)> {
    let mut below = Vec::new();
    for entry in allowed {
        match entry.strip_prefix(name) {
            Some("") => return Some((None, camel_keys(value))),
            Some("=") => return Some((None, value.clone())),
            Some(rest) => {
                if let Some(shown) = rest.strip_prefix(':') {
                    return Some((Some(shown), camel_keys(value)));
                }
                below.extend(rest.strip_prefix('.'));
            }
            None => {}
        }
    }
    let nested = !below.is_empty() && (value.is_object() || value.is_array());
    nested.then(|| (None, pick(value, &below)))
}

fn camel_keys(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let camelled = members.iter().map(|(name, value)| (camel(name), camel_keys(value)));
            Value::Object(camelled.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(camel_keys).collect()),
        other => other.clone(),
    }
}

/// A date inside parameters and response elements: `Aug 10, 2022, 10:38:27 PM`.
pub fn date_text(time: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = time.to_string();
    let mut numbers = iso.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let mut number = || -> usize { numbers.next().unwrap_or(0) };
    let (year, month, day) = (number(), number(), number());
    let (hour, minute, second) = (number(), number(), number());
    let month = month.checked_sub(1).and_then(|m| MONTHS.get(m)).copied().unwrap_or("Jan");
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = (hour + 11) % 12 + 1;
    format!("{month} {day}, {year}, {hour}:{minute:02}:{second:02} {half}")
}
