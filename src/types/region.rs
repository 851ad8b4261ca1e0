//! Region names, such as `eu-west-1`.
use serde::{Deserialize, Serialize};
use std::fmt;

/// A region this deployment serves, or one a caller named. Two or more lower-case words and a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a region name such as eu-west-1")]
pub struct InvalidRegion(String);

impl Region {
    /// IAM and STS have no regions; AWS has them all here.
    pub fn global() -> Self {
        Self("us-east-1".to_owned())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;
    fn try_from(s: String) -> Result<Self, InvalidRegion> {
        let mut parts = s.rsplit('-');
        let number = parts.next().unwrap_or_default();
        let words: Vec<_> = parts.collect();
        let numeric = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let worded = !words.is_empty()
            && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        if numeric && worded && s.len() <= 32 { Ok(Self(s)) } else { Err(InvalidRegion(s)) }
    }
}
impl std::str::FromStr for Region {
    type Err = InvalidRegion;
    fn from_str(s: &str) -> Result<Self, InvalidRegion> {
        s.to_owned().try_into()
    }
}
impl From<Region> for String {
    fn from(r: Region) -> Self {
        r.0
    }
}
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
