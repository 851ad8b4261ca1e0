//! From the text of a pattern to its tokens: literals, wildcards and policy variables. Done once, when
//! the policy is parsed.
//!
//! Source: IAM User Guide, "IAM policy elements: Variables and tags".

use super::condition_keys::{Conditions, lower};
use super::error::PolicyError;
use std::borrow::Cow;

/// A piece of a pattern. All but `Star` take a length that does not depend on what follows, which is
/// what keeps matching without recursion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Literal(Box<str>),
    /// So many `?`, each for one character.
    Skip(usize),
    /// `*`: any characters, or none. No `Skip` follows: `*?` is `?*`.
    Star,
    /// Boxed: most tokens are none, and a plain text is to lie close to its statement.
    Variable(Box<Variable>),
}

/// `${key}` or `${key, 'default'}`. What it stands for is literal text, never a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    key: Box<str>,
    /// The key as the policy writes it.
    written: Box<str>,
    default: Option<Box<str>>,
}

impl Variable {
    pub fn written(&self) -> &str {
        &self.written
    }

    pub fn value<'r>(&'r self, request: &'r Conditions<'_>) -> Option<&'r str> {
        request.single(&self.key).or(self.default.as_deref())
    }
}

/// What is special in a text besides its letters.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// `*` and `?` stand for other characters.
    pub wildcards: bool,
    /// `${…}` is a variable: in version 2012-10-17 only; before, it is plain text.
    pub variables: bool,
}

/// Cuts a text into tokens.
pub fn tokens(text: &str, syntax: Syntax) -> Result<Vec<Token>, PolicyError> {
    let mut tokens = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if syntax.variables && rest.starts_with("${") {
            let (inside, after) = variable_end(rest).ok_or_else(|| malformed(text))?;
            rest = after;
            match inside {
                "*" | "?" | "$" => literal.push_str(inside),
                _ => {
                    flush(&mut literal, &mut tokens);
                    let variable = variable(inside).ok_or_else(|| malformed(text))?;
                    tokens.push(Token::Variable(Box::new(variable)));
                }
            }
            continue;
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
        match next {
            '*' | '?' if syntax.wildcards => {
                flush(&mut literal, &mut tokens);
                wildcard(next == '*', &mut tokens);
            }
            other => literal.push(other),
        }
    }
    flush(&mut literal, &mut tokens);
    Ok(tokens)
}

/// Splits at the first five colons outside of variables: the components of an ARN pattern.
pub fn components(text: &str, syntax: Syntax) -> Result<Vec<&str>, PolicyError> {
    let mut parts = Vec::with_capacity(6);
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if syntax.variables && rest.starts_with("${") {
            let (_, after) = variable_end(rest).ok_or_else(|| malformed(text))?;
            at = text.len() - after.len();
            continue;
        }
        if rest.starts_with(':') && parts.len() < 5 {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + 1;
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    parts.push(text.get(start..).unwrap_or_default());
    Ok(parts)
}

/// What stands between `${` and `}`, and what follows. A default in quotes may contain `}`.
pub(super) fn variable_end(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix("${")?;
    let mut quoted = false;
    for (at, c) in body.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Some((body.get(..at)?, body.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn variable(inside: &str) -> Option<Variable> {
    let (name, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((name, quoted)) => {
            let default = quoted.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (name, Some(default).filter(|text| !text.contains('\'')).map(Some)?)
        }
    };
    let name = name.trim();
    // Tags may have blanks in their names, but what opens or closes a variable is a mistake.
    let well_formed = name.contains(':') && !name.contains(['$', '{', '}', '*', '?', '\'']);
    well_formed.then(|| Variable {
        key: lower(Cow::Borrowed(name)).into(),
        written: name.into(),
        default: default.map(Box::from),
    })
}

/// Wildcards side by side mean as many characters as there are `?`, and more if there is a `*`: two
/// tokens say it, in whatever order and number they are written.
fn wildcard(star: bool, tokens: &mut Vec<Token>) {
    let open = tokens.pop_if(|last| *last == Token::Star).is_some();
    if !star {
        match tokens.last_mut() {
            Some(Token::Skip(n)) => *n += 1,
            _ => tokens.push(Token::Skip(1)),
        }
    }
    if star || open {
        tokens.push(Token::Star);
    }
}

fn flush(literal: &mut String, tokens: &mut Vec<Token>) {
    if !literal.is_empty() {
        tokens.push(Token::Literal(std::mem::take(literal).into()));
    }
}

fn malformed(text: &str) -> PolicyError {
    PolicyError::Variable(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn literal(text: &str) -> Token {
        Token::Literal(text.into())
    }

    #[test]
    fn escapes_and_stars_are_told_apart() {
        let cut = |text| tokens(text, ALL).unwrap();
        assert_eq!(cut("a${*}b**${?}"), [literal("a*b"), Token::Star, literal("?")]);
        assert_eq!(cut("${$}{aws:x}"), [literal("${aws:x}")]);
        assert_eq!(cut("$a{b}"), [literal("$a{b}")]);
    }

    #[test]
    fn wildcards_side_by_side_are_two_tokens_at_most() {
        let cut = |text| tokens(text, ALL).unwrap();
        for text in ["?*?", "*??", "??*", "**?*?**"] {
            assert_eq!(cut(text), [Token::Skip(2), Token::Star], "{text}");
        }
        let apart = [Token::Star, literal("a"), Token::Skip(2), literal("?"), Token::Skip(1)];
        assert_eq!(cut("*a??${?}?"), apart);
    }

    #[test]
    fn defaults_keep_their_punctuation() {
        let cut = tokens("${aws:X , 'a}, *b'}", ALL).unwrap();
        let default = Some("a}, *b".into());
        let (key, written) = ("aws:x".into(), "aws:X".into());
        assert_eq!(cut, [Token::Variable(Box::new(Variable { key, written, default }))]);
    }

    #[test]
    fn malformed_variables_are_refused_unless_variables_are_off() {
        let off = Syntax { variables: false, ..ALL };
        for text in [
            "${",
            "${aws:x",
            "${}",
            "${x}",
            "${aws:x,}",
            "${aws:x, y}",
            "${aws:x, 'y}",
            "${aws:x, 'y' z}",
            "${${aws:x}}",
            "${aws:*}",
            "${aws:x, 'it''s'}",
        ] {
            assert_eq!(tokens(text, ALL), Err(malformed(text)), "{text}");
            assert!(tokens(text, off).is_ok(), "{text}");
        }
    }

    #[test]
    fn colons_inside_variables_do_not_split_an_arn() {
        let split = |text| components(text, ALL).unwrap();
        assert_eq!(
            split("arn:aws:iam::${aws:PrincipalAccount}:user/a:b"),
            ["arn", "aws", "iam", "", "${aws:PrincipalAccount}", "user/a:b"]
        );
        assert_eq!(split("${aws:PrincipalArn}"), ["${aws:PrincipalArn}"]);
        assert_eq!(split(""), [""]);
    }
}
