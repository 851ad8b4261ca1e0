//! The constraints a value can break, in AWS's words. Pure: a shape and a value in, rules out.
use super::{Kind, Shape};
use std::fmt;

/// One constraint. `Display` is AWS's wording of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule<'m> {
    AtLeast(Measure, i64),
    AtMost(Measure, i64),
    Matches(&'m str),
    OneOf(&'m [Box<str>]),
    NotNull,
}

/// What `min` and `max` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Characters of a string, bytes of a blob, entries of a list or map.
    Length,
    /// A number itself.
    Value,
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::AtLeast(of, min) => {
                write!(f, "Member must have {of} greater than or equal to {min}")
            }
            Rule::AtMost(of, max) => write!(f, "Member must have {of} less than or equal to {max}"),
            Rule::Matches(pattern) => {
                write!(f, "Member must satisfy regular expression pattern: {pattern}")
            }
            Rule::OneOf(values) => {
                write!(f, "Member must satisfy enum value set: [{}]", values.join(", "))
            }
            Rule::NotNull => f.write_str("Member must not be null"),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Measure::Length => "length",
            Measure::Value => "value",
        })
    }
}

impl Shape {
    /// Every constraint of the shape, in the order AWS lists those of a list's elements.
    pub(super) fn rules(&self) -> Vec<Rule<'_>> {
        let measure = match self.kind {
            Kind::Integer | Kind::Long | Kind::Double => Measure::Value,
            _ => Measure::Length,
        };
        let mut rules = Vec::new();
        rules.extend(self.max.map(|max| Rule::AtMost(measure, max)));
        rules.extend(self.min.map(|min| Rule::AtLeast(measure, min)));
        if let Kind::String { pattern, values } = &self.kind {
            rules.extend(pattern.as_ref().map(|pattern| Rule::Matches(pattern.text())));
            rules.extend((!values.is_empty()).then_some(Rule::OneOf(values)));
        }
        rules
    }

    /// The constraints a length or a number breaks. At most one of the two: `min` is never above
    /// `max`.
    pub(super) fn broken_by(&self, measure: Measure, n: i64) -> Option<Rule<'_>> {
        match (self.min, self.max) {
            (Some(min), _) if n < min => Some(Rule::AtLeast(measure, min)),
            (_, Some(max)) if n > max => Some(Rule::AtMost(measure, max)),
            _ => None,
        }
    }

    /// The constraints a length breaks.
    pub(super) fn broken_by_len(&self, len: usize) -> Option<Rule<'_>> {
        self.broken_by(Measure::Length, i64::try_from(len).unwrap_or(i64::MAX))
    }

    /// The constraints a text breaks, if this is a string. Allocates only for a text that breaks one.
    pub(super) fn broken_by_text(&self, text: &str) -> Vec<Rule<'_>> {
        let mut broken = Vec::new();
        let Kind::String { pattern, values } = &self.kind else { return broken };
        if self.min.is_some() || self.max.is_some() {
            broken.extend(self.broken_by_len(text.chars().count()));
        }
        if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            broken.push(Rule::Matches(pattern.text()));
        }
        if !values.is_empty() && !values.iter().any(|value| **value == *text) {
            broken.push(Rule::OneOf(values));
        }
        broken
    }
}
