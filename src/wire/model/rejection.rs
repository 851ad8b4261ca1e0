//! What the check found, and how AWS says it.
use super::super::fault::{Fault, Protocol};
use super::rule::Rule;
use std::fmt::{self, Write};

/// The most constraint errors one answer lists: a request of nothing but errors must not buy a long
/// answer.
const MAX_ERRORS: usize = 20;
/// The most characters of a caller's value that a message repeats.
const MAX_ECHO: usize = 1024;

/// Why a request was refused before any operation saw it. Its text is for the caller: it repeats
/// nothing sensitive and nothing of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not well-formed, or a value of another type than the model's.
    #[error("{0}")]
    Malformed(String),
    /// Well-formed, but one or more constraints are broken.
    #[error("{0}")]
    Invalid(String),
}

impl Rejection {
    /// The same in the words of a protocol.
    #[must_use]
    pub fn fault(self, protocol: Protocol) -> Fault {
        match self {
            Self::Malformed(text) => Fault::serialization(protocol, text),
            Self::Invalid(text) => Fault::validation(protocol, text),
        }
    }
}

/// What is being collected during one walk.
#[derive(Debug, Default)]
pub(super) struct Findings {
    broken: Vec<String>,
    malformed: Option<String>,
}

/// A rule, or the rules that hold for what is inside a list or map.
#[derive(Debug)]
pub(super) enum Constraint<'m> {
    One(Rule<'m>),
    Elements(Vec<Rule<'m>>),
    Keys(Vec<Rule<'m>>),
    Values(Vec<Rule<'m>>),
}

/// The value as a message shows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'v> {
    Hidden,
    Null,
    Text(&'v str),
    Number(i64),
}

/// Where in the request. A chain on the stack, spelled out only when something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Element(&'p Path<'p>, usize),
    Entry(&'p Path<'p>, &'p str),
}

impl Findings {
    pub(super) fn add(&mut self, shown: Shown<'_>, path: &Path<'_>, rule: &Constraint<'_>) {
        if self.broken.len() < MAX_ERRORS {
            let text = format!("Value{shown} at '{path}' failed to satisfy constraint: {rule}");
            self.broken.push(text);
        }
    }

    /// Notes why the walk stops. The first reason is the one that counts.
    pub(super) fn malformed(&mut self, text: impl Into<String>) {
        self.malformed.get_or_insert_with(|| text.into());
    }

    pub(super) fn into_malformed(self) -> Rejection {
        Rejection::Malformed(self.malformed.unwrap_or_default())
    }

    pub(super) fn into_result(self) -> Result<(), Rejection> {
        let plural = match self.broken.len() {
            0 => return Ok(()),
            1 => "",
            _ => "s",
        };
        let (n, text) = (self.broken.len(), self.broken.join("; "));
        Err(Rejection::Invalid(format!("{n} validation error{plural} detected: {text}")))
    }
}

impl fmt::Display for Constraint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, rules) = match self {
            Constraint::One(rule) => return rule.fmt(f),
            Constraint::Elements(rules) => ("Member", rules),
            Constraint::Keys(rules) => ("Map keys", rules),
            Constraint::Values(rules) => ("Map value", rules),
        };
        write!(f, "{what} must satisfy constraint: [")?;
        for (i, rule) in rules.iter().enumerate() {
            write!(f, "{}{rule}", if i == 0 { "" } else { ", " })?;
        }
        f.write_char(']')
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Hidden => Ok(()),
            Shown::Null => f.write_str(" null"),
            Shown::Number(n) => write!(f, " '{n}'"),
            Shown::Text(text) => match text.char_indices().nth(MAX_ECHO) {
                Some((end, _)) => write!(f, " '{}...'", text.get(..end).unwrap_or_default()),
                None => write!(f, " '{text}'"),
            },
        }
    }
}

/// `tags.1.member.tagKey`, `versions.abc.member`: lower-camel names, elements counted from one.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(parent, name) => {
                if !matches!(parent, Path::Root) {
                    write!(f, "{parent}.")?;
                }
                let mut chars = name.chars();
                if let Some(first) = chars.next() {
                    f.write_char(first.to_ascii_lowercase())?;
                }
                f.write_str(chars.as_str())
            }
            Path::Element(parent, index) => write!(f, "{parent}.{}.member", index + 1),
            Path::Entry(parent, key) => write!(f, "{parent}.{key}.member"),
        }
    }
}

/// The elements of a list of scalars as Java prints them, `[a, b]`, as far as a message repeats it.
#[derive(Debug)]
pub(super) struct Elements {
    text: String,
    left: usize,
}

impl Elements {
    pub(super) fn new() -> Self {
        Self { text: String::from("["), left: MAX_ECHO }
    }

    pub(super) fn push(&mut self, element: impl fmt::Display) {
        if self.left == 0 {
            return;
        }
        if self.text.len() > 1 {
            self.text.push_str(", ");
        }
        let start = self.text.len();
        // Writing to a String cannot fail.
        _ = write!(Capped(self), "{element}");
        if self.left == 0 && self.text.len() > start {
            self.text.push_str("...");
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push(']');
        self.text
    }
}

struct Capped<'e>(&'e mut Elements);

impl Write for Capped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars().take(self.0.left) {
            self.0.text.push(c);
            self.0.left -= 1;
        }
        Ok(())
    }
}
