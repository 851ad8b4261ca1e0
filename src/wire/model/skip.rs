//! What the walk does with names, and with members the model does not know.
use super::check::{MAX_DEPTH, TOO_DEEP};
use super::rejection::Findings;
use super::{Member, Shape};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Reads a member's name and finds the member, without copying the name of a known one.
pub(super) struct Name<'m>(pub(super) &'m Shape);

/// A member and its bit, or a name that the structure does not have.
pub(super) enum Named<'m> {
    Member(u128, &'m Member),
    Unknown(String),
}

impl<'de, 'm> DeserializeSeed<'de> for Name<'m> {
    type Value = Named<'m>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Named<'m>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for Name<'m> {
    type Value = Named<'m>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Named<'m>, E> {
        let position = self.0.position(name);
        let member = position.and_then(|i| Some((1 << i, self.0.members().get(i)?)));
        Ok(match member {
            Some((bit, member)) => Named::Member(bit, member),
            None => Named::Unknown(name.to_owned()),
        })
    }
}

/// Reads a map's key, without copying one that has no escapes.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Cow<'de, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Passes over a value the model does not know. It must still be JSON and not too deep, so that it
/// costs no more than a known one.
pub(super) struct Skip<'f> {
    pub(super) depth: u8,
    pub(super) found: &'f mut Findings,
}

impl Skip<'_> {
    fn deeper<E: Error>(&mut self) -> Result<Skip<'_>, E> {
        if self.depth >= MAX_DEPTH {
            self.found.malformed(TOO_DEEP);
            return Err(E::custom(""));
        }
        Ok(Skip { depth: self.depth + 1, found: self.found })
    }
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key::<IgnoredAny>()?.is_some() {
            entries.next_value_seed(self.deeper()?)?;
        }
        Ok(())
    }
}
