//! Region names, such as `eu-west-1`.
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// A region this deployment serves, or one a caller named. Two or more lower-case words and a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(SmolStr);

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a region name such as eu-west-1")]
pub struct InvalidRegion(String);

impl Region {
    /// IAM and STS have no regions; AWS has them all here.
    pub fn global() -> Self {
        Self(SmolStr::new_static("us-east-1"))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;
    fn try_from(s: String) -> Result<Self, InvalidRegion> {
        s.parse()
    }
}
impl std::str::FromStr for Region {
    type Err = InvalidRegion;
    fn from_str(s: &str) -> Result<Self, InvalidRegion> {
        let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase());
        let (words, number) = s.rsplit_once('-').unwrap_or_default();
        if numeric(number) && words.split('-').all(word) && s.len() <= 32 {
            Ok(Self(s.into()))
        } else {
            Err(InvalidRegion(s.to_owned()))
        }
    }
}
impl From<Region> for String {
    fn from(r: Region) -> Self {
        r.0.into()
    }
}
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
