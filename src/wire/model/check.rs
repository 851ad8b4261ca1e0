//! The walk over a request body: serde's visitor over the bytes, the shape at its side.
//!
//! Stricter than the structs that come after it, on purpose: serde's derived structs also take an
//! array for an object, and its maps keep the last of two equal keys.
use super::base64::decoded_len;
use super::rejection::{Constraint, Elements, Findings, Path, Rejection, Shown};
use super::rule::{Measure, Rule};
use super::skip::{Key, Name, Named, Skip};
use super::{Kind, Shape};
use crate::types::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// How deep a body may nest. The deepest input of the models has 4 levels; `serde_json` stops at 128.
pub(super) const MAX_DEPTH: u8 = 32;
pub(super) const TOO_DEEP: &str = "The request is nested too deeply";
const DUPLICATE: &str = "Duplicate member";

pub(super) fn check(input: &Shape, body: &[u8]) -> Result<(), Rejection> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut found = Findings::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let walk = Walk { shape: input, path: Path::Root, depth: 0, found: &mut found, inside: None };
    match walk.deserialize(&mut json).and_then(|present| json.end().map(|()| present)) {
        Ok(Presence::Present) => found.into_result(),
        Ok(Presence::Null) | Err(_) => Err(found.into_malformed()),
    }
}

/// `null` is as good as absent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Present,
    Null,
}

/// Scalars inside a list or map are judged together: AWS says once what holds for all of them.
#[derive(Default)]
struct Inside {
    broken: bool,
    null: bool,
    shown: Option<Elements>,
}

/// The keys of a map: a few in a list, and only many of them in a tree.
#[derive(Default)]
struct Keys<'de> {
    first: Vec<Cow<'de, str>>,
    others: BTreeSet<Cow<'de, str>>,
    len: usize,
}

impl<'de> Keys<'de> {
    /// So many are compared one by one.
    const FEW: usize = 8;

    /// False if it is there already.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        self.len += 1;
        if self.first.contains(&key) {
            return false;
        }
        if self.first.len() < Self::FEW {
            self.first.push(key);
            return true;
        }
        self.others.insert(key)
    }
}

struct Walk<'m, 'p, 'f> {
    shape: &'m Shape,
    path: Path<'p>,
    depth: u8,
    found: &'f mut Findings,
    inside: Option<&'f mut Inside>,
}

impl Walk<'_, '_, '_> {
    fn broke(&mut self, shown: Shown<'_>, rule: Rule<'_>) {
        if let Some(inside) = &mut self.inside {
            inside.broken = true;
        } else {
            let shown = if self.shape.echo { shown } else { Shown::Hidden };
            self.found.add(shown, &self.path, &Constraint::One(rule));
        }
    }

    fn show(&mut self, element: impl fmt::Display) {
        if let Some(shown) = self.inside.as_mut().and_then(|inside| inside.shown.as_mut()) {
            shown.push(element);
        }
    }

    /// A value of another type than the shape's, in the words of AWS's parser.
    fn mismatch<E: Error>(&mut self, token: &str) -> E {
        let wanted = match self.shape.kind {
            Kind::Structure(_) | Kind::List(_) | Kind::Map { .. } => None,
            _ if token.starts_with("Start") => None,
            Kind::String { .. } => Some("String"),
            Kind::Blob => Some("Blob"),
            Kind::Boolean => Some("Boolean"),
            Kind::Integer => Some("Integer"),
            Kind::Long => Some("Long"),
            Kind::Double => Some("Double"),
            Kind::Timestamp => Some("Timestamp"),
        };
        self.found.malformed(match wanted {
            Some(wanted) => format!("{token} cannot be converted to {wanted}"),
            None => format!("{token} found where not expected"),
        });
        E::custom("")
    }

    fn malformed<E: Error>(&mut self, text: &'static str) -> E {
        self.found.malformed(text);
        E::custom("")
    }

    fn number<E: Error>(mut self, n: i64) -> Result<Presence, E> {
        self.show(n);
        if let Some(rule) = self.shape.broken_by(Measure::Value, n) {
            self.broke(Shown::Number(n), rule);
        }
        Ok(Presence::Present)
    }

    /// What `Timestamp` and `f64` will take in the typed decoding.
    fn fraction<E: Error>(mut self, n: f64) -> Result<Presence, E> {
        let fits = match self.shape.kind {
            Kind::Timestamp => Timestamp::from_epoch(n).is_some(),
            Kind::Double => true,
            _ => false,
        };
        if fits { Ok(Presence::Present) } else { Err(self.mismatch("DECIMAL_VALUE")) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = Presence;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Presence, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = Presence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the model says")
    }

    fn visit_unit<E: Error>(self) -> Result<Presence, E> {
        if let Some(inside) = self.inside {
            inside.broken = true;
            inside.null = true;
            if let Some(shown) = &mut inside.shown {
                shown.push("null");
            }
        }
        Ok(Presence::Null)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<Presence, E> {
        match self.shape.kind {
            Kind::Boolean => Ok(Presence::Present),
            _ => Err(self.mismatch(if value { "TRUE_VALUE" } else { "FALSE_VALUE" })),
        }
    }

    fn visit_i64<E: Error>(mut self, n: i64) -> Result<Presence, E> {
        match self.shape.kind {
            Kind::Long => self.number(n),
            Kind::Integer if i32::try_from(n).is_ok() => self.number(n),
            #[expect(clippy::cast_precision_loss, reason = "only the rough size is asked for")]
            Kind::Timestamp | Kind::Double => self.fraction(n as f64),
            _ => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn visit_u64<E: Error>(mut self, n: u64) -> Result<Presence, E> {
        match (i64::try_from(n), &self.shape.kind) {
            (Ok(n), _) => self.visit_i64(n),
            (Err(_), Kind::Double) => Ok(Presence::Present),
            (Err(_), _) => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Presence, E> {
        self.fraction(n)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Presence, E> {
        match self.shape.kind {
            Kind::Blob => {
                let Some(len) = decoded_len(text) else {
                    return Err(self.malformed("Invalid base64"));
                };
                if let Some(rule) = self.shape.broken_by_len(len) {
                    self.broke(Shown::Hidden, rule);
                }
            }
            Kind::String { .. } => {
                self.show(text);
                for rule in self.shape.broken_by_text(text) {
                    self.broke(Shown::Text(text), rule);
                }
            }
            _ => return Err(self.mismatch("STRING_VALUE")),
        }
        Ok(Presence::Present)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, elements: A) -> Result<Presence, A::Error> {
        match &self.shape.kind {
            Kind::List(element) if self.depth < MAX_DEPTH => self.list(element, elements)?,
            Kind::List(_) => return Err(self.malformed(TOO_DEEP)),
            _ => return Err(self.mismatch("Start of list")),
        }
        Ok(Presence::Present)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, entries: A) -> Result<Presence, A::Error> {
        match &self.shape.kind {
            _ if self.depth >= MAX_DEPTH => return Err(self.malformed(TOO_DEEP)),
            Kind::Structure(_) => self.structure(entries)?,
            Kind::Map { key, value } => self.map(key, value, entries)?,
            _ => return Err(self.mismatch("Start of structure or map")),
        }
        Ok(Presence::Present)
    }
}

impl Walk<'_, '_, '_> {
    fn structure<'de, A: MapAccess<'de>>(&mut self, mut entries: A) -> Result<(), A::Error> {
        // One bit a member; the model's structures have no more (`parse::MAX_MEMBERS`).
        let (mut seen, mut present) = (0u128, 0u128);
        let mut unknown = BTreeSet::new();
        while let Some(name) = entries.next_key_seed(Name(self.shape))? {
            let (bit, member) = match name {
                Named::Member(bit, member) => (bit, member),
                Named::Unknown(name) => {
                    if !unknown.insert(name) {
                        return Err(self.malformed(DUPLICATE));
                    }
                    entries.next_value_seed(Skip { depth: self.depth + 1, found: self.found })?;
                    continue;
                }
            };
            if seen & bit != 0 {
                return Err(self.malformed(DUPLICATE));
            }
            seen |= bit;
            let path = Path::Member(&self.path, &member.name);
            let depth = self.depth + 1;
            let found = &mut *self.found;
            let walk = Walk { shape: &member.shape, path, depth, found, inside: None };
            if entries.next_value_seed(walk)? == Presence::Present {
                present |= bit;
            }
        }
        for (index, member) in self.shape.members().iter().enumerate() {
            if member.required && present & (1 << index) == 0 {
                let path = Path::Member(&self.path, &member.name);
                self.found.add(Shown::Null, &path, &Constraint::One(Rule::NotNull));
            }
        }
        Ok(())
    }

    fn list<'de, A: SeqAccess<'de>>(
        &mut self,
        element: &Shape,
        mut elements: A,
    ) -> Result<(), A::Error> {
        let shown = (self.shape.echo && element.is_scalar() && element.echo).then(Elements::new);
        let mut inside = Inside { shown, ..Inside::default() };
        let mut len = 0;
        loop {
            let path = Path::Element(&self.path, len);
            let walk = Walk {
                shape: element,
                path,
                depth: self.depth + 1,
                found: self.found,
                inside: element.is_scalar().then_some(&mut inside),
            };
            let Some(presence) = elements.next_element_seed(walk)? else { break };
            if presence == Presence::Null && !element.is_scalar() {
                self.found.add(Shown::Null, &path, &Constraint::One(Rule::NotNull));
            }
            len += 1;
        }
        let too = self.shape.broken_by_len(len);
        if too.is_none() && !inside.broken {
            return Ok(());
        }
        // The elements of a list of structures are not shown; that there are none can be.
        let shown = inside.shown.or_else(|| (len == 0).then(Elements::new)).map(Elements::finish);
        let shown = shown.as_deref().map_or(Shown::Hidden, Shown::Text);
        if let Some(rule) = too {
            self.broke(shown, rule);
        }
        if inside.broken {
            let mut rules = element.rules();
            rules.extend(inside.null.then_some(Rule::NotNull));
            self.found.add(shown, &self.path, &Constraint::Elements(rules));
        }
        Ok(())
    }

    fn map<'de, A: MapAccess<'de>>(
        &mut self,
        key: &Shape,
        value: &Shape,
        mut entries: A,
    ) -> Result<(), A::Error> {
        let (mut keys, mut bad_keys) = (Keys::default(), false);
        let mut inside = Inside::default();
        while let Some(name) = entries.next_key_seed(Key)? {
            bad_keys |= !key.broken_by_text(&name).is_empty();
            let path = Path::Entry(&self.path, &name);
            let walk = Walk {
                shape: value,
                path,
                depth: self.depth + 1,
                found: self.found,
                inside: value.is_scalar().then_some(&mut inside),
            };
            let presence = entries.next_value_seed(walk)?;
            if presence == Presence::Null && !value.is_scalar() {
                self.found.add(Shown::Null, &path, &Constraint::One(Rule::NotNull));
            }
            if !keys.insert(name) {
                return Err(self.malformed(DUPLICATE));
            }
        }
        if let Some(rule) = self.shape.broken_by_len(keys.len) {
            self.broke(Shown::Hidden, rule);
        }
        if bad_keys {
            self.found.add(Shown::Hidden, &self.path, &Constraint::Keys(key.rules()));
        }
        if inside.broken {
            let mut rules = value.rules();
            rules.extend(inside.null.then_some(Rule::NotNull));
            self.found.add(Shown::Hidden, &self.path, &Constraint::Values(rules));
        }
        Ok(())
    }
}
