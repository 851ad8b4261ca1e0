//! A statement as its author wrote it: names and values, not what they compile to.

use crate::policy::json::Json;
use crate::policy::position::{self, Position};
use std::collections::{BTreeMap, BTreeSet};

/// An element and its Not-form.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// Whether either is there.
    pub there: bool,
    pub negated: bool,
    pub texts: Vec<String>,
}

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, Default)]
pub(super) struct Principals {
    pub there: bool,
    pub negated: bool,
    /// Whether `*` is among them.
    pub anyone: bool,
    /// The others: type and value. An account is its number, however it was written.
    pub named: BTreeSet<(String, String)>,
}

impl Principals {
    pub fn is_account(name: &(String, String)) -> bool {
        name.0 == "AWS" && name.1.len() == 12 && name.1.bytes().all(|b| b.is_ascii_digit())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quantifier {
    One,
    ForAllValues,
    ForAnyValue,
}

/// One condition key under one operator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub quantifier: Quantifier,
    /// Without prefix and suffix.
    pub operator: String,
    pub if_exists: bool,
    pub key: String,
    pub values: Vec<String>,
}

impl Asked {
    pub fn is_about(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }

    /// Whether the operator holds for other values than those named.
    pub fn is_negated(&self) -> bool {
        self.operator.contains("Not")
    }

    /// Whether it holds only if the key is there, and so is a bound on every request.
    pub fn needs_its_key(&self) -> bool {
        let needs = !self.is_negated()
            && !self.if_exists
            && self.quantifier != Quantifier::ForAllValues
            && self.operator != "Null";
        needs || (self.operator == "Null" && self.values.iter().all(|v| is_false(v)))
    }
}

fn is_false(value: &str) -> bool {
    value.eq_ignore_ascii_case("false")
}

#[derive(Debug, Clone)]
pub(super) struct Written {
    pub index: usize,
    pub sid: Option<String>,
    pub allows: bool,
    pub principals: Principals,
    pub actions: List,
    pub resources: List,
    pub conditions: Vec<Asked>,
    start: Position,
    places: BTreeMap<String, Position>,
}

impl Written {
    /// All statements of a text that parses as a policy.
    pub fn all(text: &str) -> Vec<Written> {
        let statements = position::statements(text).into_iter().enumerate();
        statements.map(|(index, part)| Self::read(text, part, index)).collect()
    }

    fn read(text: &str, part: &str, index: usize) -> Written {
        let members = position::members(part);
        let json = |name: &str| members.get(name).and_then(|value| Json::read(value).ok());
        let word = |name: &str| match json(name) {
            Some(Json::String(text)) => Some(text),
            _ => None,
        };
        let list = |name: &str, negated: &str| {
            let value = json(name).map(|value| (value, false));
            let value = value.or_else(|| json(negated).map(|value| (value, true)));
            value.map_or_else(List::default, |(value, negated)| List {
                there: true,
                negated,
                texts: texts(&value),
            })
        };
        let place =
            |(name, value): (&String, &&str)| (name.clone(), position::position_of(text, value));
        Written {
            index,
            sid: word("Sid").filter(|sid| !sid.is_empty()),
            allows: word("Effect").as_deref() == Some("Allow"),
            principals: principals(json("Principal"), json("NotPrincipal")),
            actions: list("Action", "NotAction"),
            resources: list("Resource", "NotResource"),
            conditions: json("Condition").map(|json| conditions(&json)).unwrap_or_default(),
            start: position::position_of(text, part),
            places: members.iter().map(place).collect(),
        }
    }

    /// Where an element stands, or the statement if it is not there.
    pub fn position(&self, element: &str) -> Position {
        let negated = format!("Not{element}");
        let place = self.places.get(element).or_else(|| self.places.get(&negated));
        place.copied().unwrap_or(self.start)
    }
}

fn texts(json: &Json) -> Vec<String> {
    let text = |json: &Json| match json {
        Json::String(text) | Json::Number(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    match json {
        Json::Array(list) => list.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

fn principals(plain: Option<Json>, negated: Option<Json>) -> Principals {
    let (json, negated) = match (plain, negated) {
        (Some(json), _) => (json, false),
        (None, Some(json)) => (json, true),
        (None, None) => return Principals::default(),
    };
    let mut found = Principals { there: true, negated, ..Principals::default() };
    let Json::Object(kinds) = json else {
        // The only text that is one is `*`.
        return Principals { anyone: true, ..found };
    };
    for (kind, values) in &kinds {
        for text in texts(values) {
            if text == "*" {
                found.anyone = true;
                continue;
            }
            let name = account(&text).map(str::to_owned).unwrap_or(text);
            found.named.insert((kind.clone(), name));
        }
    }
    found
}

/// The account of `arn:aws:iam::111122223333:root`.
fn account(text: &str) -> Option<&str> {
    let (before, account) = text.strip_suffix(":root")?.rsplit_once(':')?;
    before.ends_with(":iam:").then_some(account)
}

fn conditions(json: &Json) -> Vec<Asked> {
    let Json::Object(operators) = json else { return Vec::new() };
    let mut all = Vec::new();
    for (name, keys) in operators {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::ForAllValues, rest),
            Some((_, rest)) => (Quantifier::ForAnyValue, rest),
            None => (Quantifier::One, name.as_str()),
        };
        let base = rest.strip_suffix("IfExists");
        let Json::Object(keys) = keys else { continue };
        for (key, values) in keys {
            all.push(Asked {
                quantifier,
                operator: base.unwrap_or(rest).to_owned(),
                if_exists: base.is_some(),
                key: key.clone(),
                values: texts(values),
            });
        }
    }
    all
}
