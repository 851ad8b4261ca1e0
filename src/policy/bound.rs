//! A resource's policy as it is stored: its text, and whom the text meant when it was written.
//!
//! The ARN of a user or a role says a name, and a name can be given again. So the unique id
//! (`AIDA…`, `AROA…`) of everybody it names stands beside the text. The compiled policy knows ids
//! only, and no evaluation asks who bears which name. Whoever reads the policy is shown the ARNs that
//! these principals have now, and the ids of those who are gone.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal".

use super::document::{Kind, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundPolicy {
    text: String,
    ids: BTreeMap<String, String>,
}

impl BoundPolicy {
    /// `ids` has the unique ids of all users, roles and sessions of roles that the text names, by how
    /// it names them.
    pub fn new(text: String, ids: BTreeMap<String, String>) -> BoundPolicy {
        BoundPolicy { text, ids }
    }

    /// A policy that names accounts, services or anyone, and nobody else.
    pub fn of_nobody(text: String) -> BoundPolicy {
        BoundPolicy::new(text, BTreeMap::new())
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The unique ids of those it names, by how it names them.
    pub fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    /// What decides. A text that no longer parses, or that names somebody without an id, denies
    /// everything.
    pub fn compile(&self, kind: Kind) -> Policy {
        Policy::parse_stored(&self.text, kind).bound(&self.ids)
    }

    /// The text, with other words for some of those it names. Everything else stays as it is, byte for
    /// byte.
    pub fn reworded(&self, words: &BTreeMap<String, String>) -> String {
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let (mut all, mut done) = (String::with_capacity(self.text.len()), 0);
        for span in named_principals(&self.text) {
            let Some(word) = decoded(part(span.clone())).and_then(|named| words.get(&named)) else {
                continue;
            };
            all.push_str(part(done..span.start));
            all.push_str(&serde_json::Value::from(word.as_str()).to_string());
            done = span.end;
        }
        all.push_str(part(done..self.text.len()));
        all
    }
}

fn decoded(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

/// Where the strings below `AWS` of the Principal and NotPrincipal elements stand, quotes included.
/// The text was found to be a policy when it was written; of any other something is found, or nothing.
fn named_principals(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // For each object and list that is open: the member that is being read; none in a list.
    let mut path: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => path.push(None),
            b'}' | b']' => drop(path.pop()),
            b'"' => {
                at = after_string(text, start);
                let is_name = text.get(at..).is_some_and(|rest| rest.trim_start().starts_with(':'));
                if !is_name && names_principals(&path) {
                    found.push(start..at);
                } else if let Some(member) = path.last_mut().filter(|_| is_name) {
                    *member = text.get(start..at).and_then(decoded);
                }
            }
            _ => {}
        }
    }
    found
}

fn names_principals(path: &[Option<String>]) -> bool {
    let members: Vec<&str> = path.iter().flatten().map(String::as_str).collect();
    matches!(*members.as_slice(), ["Statement", "Principal" | "NotPrincipal", "AWS"])
}

/// The end of the string whose opening quote is at `start`.
fn after_string(text: &str, start: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
