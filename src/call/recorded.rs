//! What of a request and of its answer the event shows.
use crate::audit::{self, Shown};
use crate::types::Timestamp;
use crate::wire::model::{Member, Shape};
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
    let shown = Members { allowed, shape }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    (!shown.is_empty()).then_some(Value::Object(shown))
}

/// The members of an object that may be shown.
#[derive(Clone, Copy)]
struct Members<'a> {
    allowed: &'a [&'a str],
    shape: Option<&'a Shape>,
}

/// A member's name: how it is shown, if it may be, and what the model says of its value.
#[derive(Clone, Copy)]
struct Name<'a>(Members<'a>);

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
        let mut all = Map::new();
        while let Some(name) = members.next_key_seed(Name(self))? {
            let Some((shown, shape)) = name else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let mut value = members.next_value()?;
            if let Some(shape) = shape {
                spell_dates(&mut value, shape);
            }
            all.extend(shown.member(value));
        }
        Ok(all)
    }
}

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<(Shown<'a>, Option<&'a Shape>)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<(Shown<'a>, Option<&'a Shape>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let Self(Members { allowed, shape }) = self;
        let Some(shown) = Shown::of(name, allowed) else { return Ok(None) };
        let member = shape.and_then(|shape| shape.member(name));
        Ok(Some((shown, member.map(Member::shape))))
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
