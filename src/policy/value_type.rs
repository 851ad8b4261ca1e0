//! The types in which IAM's simulation is given the values of condition keys.

use super::condition_value::{address, boolean, date, number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// `string`, `numericList`, … (IAM API reference, "ContextEntry").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueType {
    scalar: Scalar,
    /// Whether there may be other than one.
    pub list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    String,
    Numeric,
    Boolean,
    Ip,
    Binary,
    Date,
}

impl ValueType {
    pub fn named(name: &str) -> Option<ValueType> {
        let list = name.ends_with("List");
        let scalar = match name.strip_suffix("List").unwrap_or(name) {
            "string" => Scalar::String,
            "numeric" => Scalar::Numeric,
            "boolean" => Scalar::Boolean,
            "ip" => Scalar::Ip,
            "binary" => Scalar::Binary,
            "date" => Scalar::Date,
            _ => return None,
        };
        Some(ValueType { scalar, list })
    }

    /// Whether the text is a value of the type, as conditions read it.
    pub fn admits(self, text: &str) -> bool {
        match self.scalar {
            Scalar::String => true,
            Scalar::Numeric => number(text).is_some(),
            Scalar::Boolean => boolean(text).is_some(),
            Scalar::Ip => address(text).is_some(),
            Scalar::Binary => BASE64.decode(text).is_ok(),
            Scalar::Date => date(text).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beside_their_nearest_misses() {
        for (name, list, good, bad) in [
            ("numeric", false, "-1.5", "1,5"),
            ("numericList", true, "7", "seven"),
            ("boolean", false, "TRUE", "yes"),
            ("ip", false, "2001:db8::1", "10.0.0.0/8"),
            ("binaryList", true, "AAE=", "AAE"),
            ("date", false, "2026-01-01T00:00:00Z", "tomorrow"),
        ] {
            let kind = ValueType::named(name).unwrap();
            assert_eq!(kind.list, list, "{name}");
            assert!(kind.admits(good) && !kind.admits(bad), "{name}");
        }
        assert!(ValueType::named("stringList").unwrap().admits(""));
        for none in ["", "List", "String", "listString", "stringListList"] {
            assert_eq!(ValueType::named(none), None, "{none}");
        }
    }
}
