//! A form's names, split at the dots, as a tree; and that tree as JSON by the model.
use crate::types::Timestamp;
use crate::wire::model::{Kind, Member, Shape};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The most parts of a name. The deepest inputs of IAM and STS have six.
const MAX_DEPTH: usize = 12;

/// What the parameters with one common beginning say.
#[derive(Default)]
pub(super) struct Node {
    value: Option<Zeroizing<String>>,
    children: BTreeMap<Box<str>, Node>,
}

impl Node {
    /// The first of two equal names counts.
    pub(super) fn insert(
        &mut self,
        name: &str,
        value: Zeroizing<String>,
    ) -> Result<(), &'static str> {
        let mut node = self;
        for (depth, step) in name.split('.').enumerate() {
            if depth >= MAX_DEPTH {
                return Err("A parameter name has too many parts");
            }
            node = node.children.entry(step.into()).or_default();
        }
        node.value.get_or_insert(value);
        Ok(())
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.children.get(name)?.value.as_ref().map(|value| value.as_str())
    }

    /// `Tags=` is how clients write an empty list.
    fn is_blank(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.is_empty())
    }

    /// The children named by numbers, in the numbers' order. Gaps close: an index is an order here
    /// and not a place, so a large one costs nothing.
    fn numbered(&self) -> Result<Vec<&Node>, &'static str> {
        let mut numbered = Vec::with_capacity(self.children.len());
        for (index, node) in &self.children {
            let plain = index.bytes().all(|b| b.is_ascii_digit()) && !index.starts_with('0');
            let index = plain.then(|| index.parse::<u32>().ok()).flatten();
            numbered.push((index.ok_or("A list index is not a number")?, node));
        }
        numbered.sort_by_key(|(index, _)| *index);
        Ok(numbered.into_iter().map(|(_, node)| node).collect())
    }
}

/// A node, read as the model's shape says.
pub(super) struct Typed<'a> {
    pub(super) node: &'a Node,
    pub(super) shape: &'a Shape,
}

impl Typed<'_> {
    /// Is there anything of this shape? A scalar needs a value, a structure a name below it.
    fn is_given(&self) -> bool {
        let (value, children) = (self.node.value.is_some(), &self.node.children);
        match self.shape.kind() {
            Kind::Structure(_) => !children.is_empty(),
            Kind::List(_) => value || children.contains_key("member"),
            Kind::Map { .. } => value || children.contains_key("entry"),
            _ => value,
        }
    }

    /// The numbered nodes below `step`: `member` of a list, `entry` of a map.
    fn items<E: Error>(&self, step: &str) -> Result<Vec<&Node>, E> {
        match self.node.children.get(step) {
            Some(items) if items.children.is_empty() && !items.is_blank() => {
                Err(E::custom("A list without an index"))
            }
            Some(items) => items.numbered().map_err(E::custom),
            None if self.node.is_blank() => Ok(Vec::new()),
            None => Err(E::custom("A value where a list is expected")),
        }
    }

    fn structure<S: Serializer>(&self, members: &[Member], json: S) -> Result<S::Ok, S::Error> {
        let mut object = json.serialize_map(None)?;
        for member in members {
            let Some(node) = self.node.children.get(member.name()) else { continue };
            let typed = Typed { node, shape: member.shape() };
            if typed.is_given() {
                object.serialize_entry(member.name(), &typed)?;
            }
        }
        object.end()
    }

    fn list<S: Serializer>(&self, shape: &Shape, json: S) -> Result<S::Ok, S::Error> {
        let items = self.items("member")?;
        let mut list = json.serialize_seq(Some(items.len()))?;
        for node in items {
            list.serialize_element(&Typed { node, shape })?;
        }
        list.end()
    }

    fn map<S: Serializer>(&self, shape: &Shape, json: S) -> Result<S::Ok, S::Error> {
        let items = self.items("entry")?;
        let mut map = json.serialize_map(Some(items.len()))?;
        for item in items {
            let key = item.text("key").ok_or_else(|| S::Error::custom("An entry without key"))?;
            let node = item.children.get("value");
            let node = node.ok_or_else(|| S::Error::custom("An entry without value"))?;
            map.serialize_entry(key, &Typed { node, shape })?;
        }
        map.end()
    }
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let text = self.node.value.as_ref().map_or("", |value| value.as_str());
        match self.shape.kind() {
            Kind::Structure(members) => self.structure(members, json),
            Kind::List(element) => self.list(element, json),
            Kind::Map { value, .. } => self.map(value, json),
            Kind::Boolean => match text {
                "true" => json.serialize_bool(true),
                "false" => json.serialize_bool(false),
                _ => Err(S::Error::custom("Not a boolean")),
            },
            Kind::Integer => match number(text) {
                Some(n) if i32::try_from(n).is_ok() => json.serialize_i64(n),
                _ => Err(S::Error::custom("Not an integer")),
            },
            Kind::Long => match number(text) {
                Some(n) => json.serialize_i64(n),
                None => Err(S::Error::custom("Not a long")),
            },
            Kind::Double => match text.parse() {
                Ok(n) if f64::is_finite(n) => json.serialize_f64(n),
                _ => Err(S::Error::custom("Not a number")),
            },
            Kind::Timestamp => match text.parse::<Timestamp>() {
                Ok(moment) => moment.serialize(json),
                Err(why) => Err(S::Error::custom(why)),
            },
            Kind::String { .. } | Kind::Blob => json.serialize_str(text),
        }
    }
}

/// A decimal number without a plus sign, which Rust's parser would take.
fn number(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}
