//! AWS account ids.
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Twelve decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(SmolStr);

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not an account id: twelve digits are wanted")]
pub struct InvalidAccountId(String);

impl AccountId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = InvalidAccountId;
    fn try_from(s: String) -> Result<Self, InvalidAccountId> {
        s.parse()
    }
}
impl std::str::FromStr for AccountId {
    type Err = InvalidAccountId;
    fn from_str(s: &str) -> Result<Self, InvalidAccountId> {
        if s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(s.into()))
        } else {
            Err(InvalidAccountId(s.to_owned()))
        }
    }
}
impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0.into()
    }
}
impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
