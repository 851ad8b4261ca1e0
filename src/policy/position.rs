//! Where the statements of a policy stand in its text, for people: lines and columns.

use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Counted from one, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// From the first character to behind the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// Where each statement stands, in their order. Of a text that is no policy there are none.
pub fn statement_spans(text: &str) -> Vec<Span> {
    let mut cursor = Cursor { text, at: 0, position: Position { line: 1, column: 1 } };
    let span = |part: &str| {
        let begin = offset(text, part);
        Span { start: cursor.advance(begin), end: cursor.advance(begin + part.len()) }
    };
    statements(text).into_iter().map(span).collect()
}

/// Goes through a text once, for places in their order.
struct Cursor<'t> {
    text: &'t str,
    at: usize,
    position: Position,
}

impl Cursor<'_> {
    fn advance(&mut self, to: usize) -> Position {
        for c in self.text.get(self.at..to).unwrap_or_default().chars() {
            match c {
                '\n' => self.position = Position { line: self.position.line + 1, column: 1 },
                _ => self.position.column += 1,
            }
        }
        self.at = to.max(self.at);
        self.position
    }
}

/// The statements as they are written.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let Some(value) = members(text).remove("Statement") else { return Vec::new() };
    match serde_json::from_str::<Vec<&RawValue>>(value) {
        Ok(list) => list.into_iter().map(RawValue::get).collect(),
        Err(_) => vec![value],
    }
}

/// The members of an object as they are written.
pub(super) fn members(text: &str) -> BTreeMap<String, &str> {
    let read = serde_json::from_str::<BTreeMap<String, &RawValue>>(text);
    let members = read.unwrap_or_default().into_iter();
    members.map(|(name, value)| (name, value.get())).collect()
}

/// Where a part of the text begins.
pub(super) fn position_of(text: &str, part: &str) -> Position {
    let mut cursor = Cursor { text, at: 0, position: Position { line: 1, column: 1 } };
    cursor.advance(offset(text, part))
}

/// `part` is borrowed from `text`: the distance of their addresses is its place.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<[usize; 4]> {
        let flat = |s: &Span| [s.start.line, s.start.column, s.end.line, s.end.column];
        statement_spans(text).iter().map(flat).collect()
    }

    #[test]
    fn one_line() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"a":1},{"b":[{}]}]}"#;
        // What AWS answers for such a policy begins in column 38 too.
        assert_eq!(spans(text), [[1, 38, 1, 45], [1, 46, 1, 56]]);
        assert_eq!(spans(r#"{"Statement":{"a":1}}"#), [[1, 14, 1, 21]]);
    }

    #[test]
    fn many_lines_and_characters_of_several_bytes() {
        let text = "{\n  \"Id\": \"ä€\", \"Statement\": [\r\n\n\t{\"Sid\": \"}]{\\\"\"},\n    {\n    \
                    \"x\": \"ü\"}  ]\n}";
        assert_eq!(spans(text), [[4, 2, 4, 18], [5, 5, 6, 14]]);
    }

    #[test]
    fn escaped_names_are_names_and_inner_ones_are_not_the_policys() {
        let text = r#"{"x":{"Statement":[{}]},"St\u0061tement":{"a":0}}"#;
        assert_eq!(spans(text), [[1, 42, 1, 49]]);
        for none in ["", "[]", "{}", "{", r#"{"x":{"Statement":{}}}"#, r#"{"Statement":[]}"#] {
            assert!(spans(none).is_empty(), "{none}");
        }
    }
}
