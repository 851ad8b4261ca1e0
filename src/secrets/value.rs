//! A secret's value: text or bytes.
use super::SecretError;
use crate::types::{Plaintext, SecretText};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Secrets Manager quota: bytes of a value, text in UTF-8.
const MAX_BYTES: usize = 65_536;

/// Whether a value came as `SecretString` or as `SecretBinary`; it goes out as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueKind {
    String,
    Binary,
}

impl ValueKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Binary => "binary",
        }
    }
}

#[derive(Debug)]
pub enum SecretValue {
    String(SecretText),
    Binary(Plaintext),
}

impl SecretValue {
    /// The value in a request, which has at most one of the two members.
    pub fn parse(
        text: Option<SecretText>,
        binary: Option<Plaintext>,
    ) -> Result<Option<Self>, SecretError> {
        let value = match (text, binary) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(SecretError::InvalidParameter(
                    "You can't specify both a binary secret value and a string secret value in \
                     the same secret."
                        .into(),
                ));
            }
            (Some(text), None) => Self::String(text),
            (None, Some(binary)) => Self::Binary(binary),
        };
        // The model counts characters.
        if value.bytes().len() > MAX_BYTES {
            return Err(SecretError::Validation(
                "1 validation error detected: Value at 'secretString' failed to satisfy \
                 constraint: Member must have length less than or equal to 65536",
            ));
        }
        Ok(Some(value))
    }

    /// A value that was opened.
    pub(super) fn opened(kind: ValueKind, mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        let value = match kind {
            ValueKind::String => {
                // Checked before the bytes are moved: an error would carry them off unwiped.
                std::str::from_utf8(&bytes).ok()?;
                let text = String::from_utf8(std::mem::take(&mut *bytes)).ok()?;
                Self::String(SecretText::new(text))
            }
            ValueKind::Binary => Self::Binary(Plaintext::new(std::mem::take(&mut *bytes))),
        };
        Some(value)
    }

    pub fn kind(&self) -> ValueKind {
        match self {
            Self::String(_) => ValueKind::String,
            Self::Binary(_) => ValueKind::Binary,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::String(text) => text.expose().as_bytes(),
            Self::Binary(bytes) => bytes.expose(),
        }
    }

    /// Whether it is the same value, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.kind() == other.kind() && bool::from(self.bytes().ct_eq(other.bytes()))
    }

    /// The two members of an answer, of which it has one.
    pub fn into_members(self) -> (Option<SecretText>, Option<Plaintext>) {
        match self {
            Self::String(text) => (Some(text), None),
            Self::Binary(bytes) => (None, Some(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Option<SecretText> {
        Some(SecretText::new(text.into()))
    }

    #[test]
    fn one_of_two_members() {
        let binary = || Some(Plaintext::new(b"x".to_vec()));
        assert!(SecretValue::parse(None, None).unwrap().is_none());
        assert!(SecretValue::parse(text("x"), binary()).is_err());
        let (string, binary) =
            (SecretValue::parse(text("x"), None), SecretValue::parse(None, binary()));
        let (string, binary) = (string.unwrap().unwrap(), binary.unwrap().unwrap());
        assert!(string.is(&SecretValue::parse(text("x"), None).unwrap().unwrap()));
        assert!(!string.is(&SecretValue::parse(text("y"), None).unwrap().unwrap()));
        assert!(!string.is(&binary), "the same bytes, but another kind");
    }

    #[test]
    fn the_limit_is_in_bytes() {
        assert!(SecretValue::parse(text(&"é".repeat(32_768)), None).is_ok());
        assert!(SecretValue::parse(text(&"é".repeat(32_769)), None).is_err());
    }
}
