//! What of a request and of its answer the event shows.
use crate::audit;
use crate::types::Timestamp;
use crate::wire::model::Shape;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Picks the members that may be logged. Only they are parsed: a secret beside them is passed over
/// unread. With a shape, moments are spelled as CloudTrail spells them.
pub(super) fn recorded(body: &[u8], allowed: &[&str], shape: Option<&Shape>) -> Option<Value> {
    if allowed.is_empty() || body.is_empty() {
        return None;
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut picked = Value::Object(Members(allowed).deserialize(&mut json).ok()?);
    json.end().ok()?;
    if let Some(shape) = shape {
        spell_dates(&mut picked, shape);
    }
    Some(audit::parameters(&picked, allowed)).filter(|v| !v.is_null())
}

/// The members of an object whose names stand at the beginning of an entry of the list.
#[derive(Clone, Copy)]
struct Members<'a>(&'a [&'a str]);

/// A member's name, if it is one of these.
#[derive(Clone, Copy)]
struct Name<'a>(Members<'a>);

impl Members<'_> {
    fn wants(self, name: &str) -> bool {
        let of = |entry: &&str| entry.split(['.', '=', ':']).next() == Some(name);
        self.0.iter().any(of)
    }
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut picked = Map::new();
        while let Some(name) = members.next_key_seed(Name(self))? {
            match name {
                Some(name) => drop(picked.insert(name, members.next_value()?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.wants(name).then(|| name.to_owned()))
    }
}

/// `1660171107` becomes `Aug 10, 2022, 10:38:27 PM`, wherever the model has a moment.
fn spell_dates(value: &mut Value, shape: &Shape) {
    if shape.is_timestamp() {
        if let Some(moment) = value.as_f64().and_then(Timestamp::from_epoch) {
            *value = audit::date_text(moment).into();
        }
        return;
    }
    for member in shape.members() {
        if let Some(value) = value.get_mut(member.name()) {
            spell_dates(value, member.shape());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_allowed_is_shown_and_the_last_of_two_counts() {
        let body =
            br#"{"KeyId":"a","Plaintext":"c2VjcmV0","EncryptionContext":{"A":"b"},"KeyId":"c"}"#;
        let shown = recorded(body, &["KeyId", "EncryptionContext="], None);
        assert_eq!(shown, Some(json!({"keyId": "c", "encryptionContext": {"A": "b"}})));
        assert_eq!(recorded(body, &["Name"], None), None);
        assert_eq!(recorded(body, &[], None), None);
    }

    #[test]
    fn what_is_no_object_shows_nothing() {
        for body in [&b""[..], b"[]", b"null", b"{\"KeyId\":1", b"{\"KeyId\":1} x"] {
            assert_eq!(recorded(body, &["KeyId"], None), None);
        }
    }
}
