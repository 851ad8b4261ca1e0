//! The model's regular expressions. AWS's servers are Java and match the whole value.
use regex::Regex;

/// A constraint's regular expression: what it says, for messages, and what it matches.
#[derive(Debug)]
pub(in crate::wire) struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// The one pattern with a look-ahead, which no linear-time engine has: an IAM account alias, no two
/// hyphens in a row. The other side says the same, but for the upper length that `max` says anyway.
const LOOK_AHEAD: (&str, &str) = (
    "^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
    "[a-z0-9]-[a-z0-9](-?[a-z0-9])*|[a-z0-9]{2}(-?[a-z0-9])+",
);

/// Java and ECMAScript read `\u10000` as U+1000 and a zero. What is meant are the supplementary
/// planes; taken literally the class would also let in control characters (0 to U+10FF).
const SUPPLEMENTARY: (&str, &str) = (r"\u10000-\u10FFFF", r"\x{10000}-\x{10FFFF}");

impl Pattern {
    pub(super) fn compile(text: &str) -> Result<Self, regex::Error> {
        let regex = Regex::new(&format!("^(?:{})$", translate(text)))?;
        Ok(Self { text: text.into(), regex })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}

/// From Java's syntax to the `regex` crate's, where the two differ: in Java `\w`, `\d` and `\s` are
/// ASCII and `.` stops at every line terminator.
fn translate(java: &str) -> String {
    if java == LOOK_AHEAD.0 {
        return LOOK_AHEAD.1.to_owned();
    }
    let java = java.replace(SUPPLEMENTARY.0, SUPPLEMENTARY.1);
    let mut out = String::with_capacity(java.len() * 2);
    let mut in_class = false;
    let mut chars = java.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match (chars.next(), in_class) {
                (Some('w'), true) => out.push_str("0-9A-Za-z_"),
                (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
                (Some('d'), true) => out.push_str("0-9"),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('s'), true) => out.push_str(r" \t\n\x0B\f\r"),
                (Some('s'), false) => out.push_str(r"[ \t\n\x0B\f\r]"),
                (Some(escaped), _) => out.extend(['\\', escaped]),
                (None, _) => out.push('\\'),
            },
            '.' if !in_class => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            _ => {
                match c {
                    '[' => in_class = true,
                    ']' => in_class = false,
                    _ => {}
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Pattern::compile(pattern).unwrap().matches(value)
    }

    #[test]
    fn the_whole_value_must_match() {
        assert!(matches("^[a-z]+$", "abc"));
        for no in ["abc\n", "\nabc", "abc1", ""] {
            assert!(!matches("^[a-z]+$", no), "{no:?}");
            assert!(!matches("[a-z]+", no), "{no:?}");
        }
        let either = r"^(/[a-z]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$";
        assert!(matches(either, "/kms/xks/v1") && matches(either, "/a/kms/xks/v12"));
        assert!(!matches(either, "/kms/xks/v1\n/kms/xks/v1"));
    }

    #[test]
    fn classes_are_ascii_as_in_java() {
        assert!(matches(r"[\w+=,.@-]+", "a_Z9+=,.@-"));
        for (pattern, no) in [(r"[\w]+", "é"), (r"\w", "ß"), (r"[\d]*", "٣"), (r"[\s]", "\u{a0}")]
        {
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
        assert!(matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", "é٣\u{a0}-@"));
        assert!(!matches(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", "a\nb"));
        assert!(!matches(".+", "a\u{2028}b") && matches(".+", "aéb"));
    }

    #[test]
    fn code_points_beyond_the_first_plane() {
        let arn =
            r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+";
        for yes in ["arn:aws:iam::aws:policy/A", "\t\n\r", "\u{85}", "\u{1F511}", "\u{FFFD}"] {
            assert!(matches(arn, yes), "{yes:?}");
        }
        for no in ["\0", "\u{7f}", "\u{9f}", "\u{ffff}"] {
            assert!(!matches(arn, no), "{no:?}");
        }
    }

    #[test]
    fn an_account_alias_has_no_double_hyphen() {
        let matches = |value: &str| matches(LOOK_AHEAD.0, value);
        for yes in ["abc", "a-b", "my-alias-1", "aaa-b"] {
            assert!(matches(yes), "{yes}");
        }
        for no in ["", "a", "ab", "a--b", "-ab", "ab-", "A-b", "a-"] {
            assert!(!matches(no), "{no}");
        }
    }
}
