//! Amazon Resource Names.
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// `arn:partition:service:region:account:resource`, kept as its text and cut where the colons are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn(SmolStr);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid arn {0}")]
pub struct InvalidArn(pub String);

impl Arn {
    /// An ARN in the partition `aws`.
    pub fn new(service: &str, region: &str, account: &str, resource: &str) -> Self {
        Self(format!("arn:aws:{service}:{region}:{account}:{resource}").into())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn service(&self) -> &str {
        self.part(2)
    }
    pub fn region(&self) -> &str {
        self.part(3)
    }
    pub fn account(&self) -> &str {
        self.part(4)
    }
    /// What follows the fifth colon, colons included: `key/1234…`, `secret:name-a1b2c3`.
    pub fn resource(&self) -> &str {
        self.part(5)
    }
    fn part(&self, n: usize) -> &str {
        // Every constructor made sure that there are six parts.
        self.0.splitn(6, ':').nth(n).unwrap_or_default()
    }
}

impl TryFrom<String> for Arn {
    type Error = InvalidArn;
    fn try_from(s: String) -> Result<Self, InvalidArn> {
        let whole = s.splitn(6, ':').count() == 6 && s.starts_with("arn:");
        if whole && !s.contains('\0') { Ok(Self(s.into())) } else { Err(InvalidArn(s)) }
    }
}
impl std::str::FromStr for Arn {
    type Err = InvalidArn;
    fn from_str(s: &str) -> Result<Self, InvalidArn> {
        s.to_owned().try_into()
    }
}
impl From<&Arn> for SmolStr {
    fn from(arn: &Arn) -> Self {
        arn.0.clone()
    }
}
impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.0.into()
    }
}
impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let arn: Arn =
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a/b-Ab12Cd".parse().unwrap();
        assert_eq!(arn.service(), "secretsmanager");
        assert_eq!(arn.region(), "eu-west-1");
        assert_eq!(arn.account(), "111122223333");
        assert_eq!(arn.resource(), "secret:a/b-Ab12Cd");
        for bad in ["", "arn:aws:kms", "urn:aws:kms:r:a:key/x", "arn:aws:kms:r:a"] {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }
}
