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

use serde_json::Value;

use crate::types::Timestamp;

/// A member's name as CloudTrail prints it: KeyId → keyId, AWSAccountId → aWSAccountId, ARN → aRN.
pub(super) fn camel(name: impl Into<String>) -> String {
    let mut name = name.into();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    name
}

/// How a member is shown.
#[derive(Debug)]
pub struct Shown<'a> {
    name: String,
    part: Part<'a>,
}

/// What is shown of a member's value.
#[derive(Debug)]
enum Part<'a> {
    /// All of it, with camel-cased names.
    All,
    /// All of it, as it is.
    Untouched,
    /// Of a structure, or of those in a list, the members on these entries.
    Members(Vec<&'a str>),
}

impl<'a> Shown<'a> {
    /// None if the member may not be shown.
    pub fn of(name: &str, allowed: &[&'a str]) -> Option<Self> {
        // What an entry says beside names is no part of a name.
        if name.contains(['.', '=', ':']) {
            return None;
        }
        let mut below = Vec::new();
        for entry in allowed {
            match entry.strip_prefix(name) {
                Some("") => return Some(Self { name: camel(name), part: Part::All }),
                Some("=") => return Some(Self { name: camel(name), part: Part::Untouched }),
                Some(rest) => {
                    if let Some(shown) = rest.strip_prefix(':') {
                        return Some(Self { name: shown.to_owned(), part: Part::All });
                    }
                    below.extend(rest.strip_prefix('.'));
                }
                None => {}
            }
        }
        let part = (!below.is_empty()).then_some(Part::Members(below))?;
        Some(Self { name: camel(name), part })
    }

    /// The name and the value that are shown; none if the value has nothing that was asked for.
    pub fn member(self, value: Value) -> Option<(String, Value)> {
        let value = match self.part {
            Part::All => camel_names(value),
            Part::Untouched => value,
            Part::Members(allowed) => pick(value, &allowed)?,
        };
        Some((self.name, value))
    }
}

/// What is allowed of the structures at this place; none if there are none.
pub(super) fn pick(value: Value, allowed: &[&str]) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let show = |(name, value): (String, Value)| Shown::of(&name, allowed)?.member(value);
            Some(Value::Object(members.into_iter().filter_map(show).collect()))
        }
        // Only structures have members to choose; a bare value here was not asked for by name.
        Value::Array(items) => {
            let structures = items.into_iter().filter(Value::is_object);
            Some(Value::Array(structures.filter_map(|item| pick(item, allowed)).collect()))
        }
        _ => None,
    }
}

fn camel_names(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let camelled =
                members.into_iter().map(|(name, value)| (camel(name), camel_names(value)));
            Value::Object(camelled.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(camel_names).collect()),
        other => other,
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
