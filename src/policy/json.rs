//! Reading JSON strictly. serde's derived structs accept arrays for objects and its maps keep the
//! last of two equal keys; in a policy either can turn a Deny into nothing, so both are refused here.

use super::error::PolicyError;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// KMS takes key policies up to 32 768 characters, the longest of all; four bytes a character.
pub const MAX_BYTES: usize = 4 * 32_768;
/// document, Statement list, statement, Condition, operator, value list: 6. The rest is margin.
const MAX_DEPTH: usize = 8;

/// A JSON value that has no key twice. Numbers stay text: their meaning depends on the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn read(text: &str) -> Result<Json, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError::TooLong(MAX_BYTES));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let json = Value { depth: 0 }.deserialize(&mut reader);
        json.and_then(|json| reader.end().map(|()| json))
            .map_err(|error| PolicyError::Json(error.to_string()))
    }

    pub fn object(&self, what: &'static str) -> Result<&[(String, Json)], PolicyError> {
        match self {
            Json::Object(members) => Ok(members),
            _ => Err(PolicyError::NotAnObject(what)),
        }
    }

    pub fn string(&self, what: &'static str) -> Result<&str, PolicyError> {
        match self {
            Json::String(text) => Ok(text),
            _ => Err(PolicyError::NotAString(what)),
        }
    }

    /// The value itself, or the members of a list that is not empty.
    pub fn one_or_many(&self, what: &'static str) -> Result<&[Json], PolicyError> {
        match self {
            Json::Array(list) if list.is_empty() => Err(PolicyError::Empty(what)),
            Json::Array(list) => Ok(list),
            one => Ok(std::slice::from_ref(one)),
        }
    }

    pub fn strings(&self, what: &'static str) -> Result<Vec<&str>, PolicyError> {
        let mut texts = Vec::new();
        for json in self.one_or_many(what)? {
            match json {
                Json::String(text) => texts.push(text.as_str()),
                _ => return Err(PolicyError::NotStrings(what)),
            }
        }
        Ok(texts)
    }
}

/// One value at a depth.
struct Value {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Value {
    fn inner<E: serde::de::Error>(&self) -> Result<usize, E> {
        match self.depth {
            depth if depth < MAX_DEPTH => Ok(depth + 1),
            _ => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let depth = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Value { depth })? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let depth = self.inner()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        // Sorted names beside the members: a document of many keys must not cost their square.
        let mut names = std::collections::BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("duplicate key {name:?}")));
            }
            members.push((name, map.next_value_seed(Value { depth })?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_occur_once_at_every_level() {
        assert!(Json::read(r#"{"a":{"b":1,"c":2},"b":3}"#).is_ok());
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"[{"b":1,"\u0062":2}]"#] {
            assert!(matches!(Json::read(text), Err(PolicyError::Json(_))), "{text}");
        }
    }

    #[test]
    fn depth_length_and_what_follows_the_value_are_limited() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::read(&nested(MAX_DEPTH)).is_ok());
        assert!(Json::read(&nested(MAX_DEPTH + 1)).is_err());
        assert!(Json::read(&nested(60_000)).is_err());
        let long = |n: usize| format!("\"{}\"", "a".repeat(n - 2));
        assert!(Json::read(&long(MAX_BYTES)).is_ok());
        assert_eq!(Json::read(&long(MAX_BYTES + 1)), Err(PolicyError::TooLong(MAX_BYTES)));
        assert!(Json::read("{} ").is_ok());
        for text in ["{} {}", "{}x", "", "{'a':1}", "{\"a\":1,}", "NaN", "1e999"] {
            assert!(Json::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_no_object_and_an_empty_list_is_no_list() {
        let list = Json::read(r#"["Allow"]"#).unwrap();
        assert_eq!(list.object("Statement"), Err(PolicyError::NotAnObject("Statement")));
        assert_eq!(list.strings("Action"), Ok(vec!["Allow"]));
        assert_eq!(Json::Array(vec![]).strings("Action"), Err(PolicyError::Empty("Action")));
        assert!(Json::read(r#"["a",1]"#).unwrap().strings("Action").is_err());
        assert!(Json::read(r#"[["a"]]"#).unwrap().strings("Action").is_err());
        assert!(Json::Null.strings("Action").is_err());
    }
}
