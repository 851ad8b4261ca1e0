//! Amazon Resource Names.
use serde::{Deserialize, Serialize, Serializer};
use smol_str::SmolStr;
use std::fmt;

/// `arn:partition:service:region:account:resource`, kept as its text and cut where the colons are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Arn(SmolStr);

/// The parts of an ARN behind `arn:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArnParts<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    /// What follows the fifth colon, colons included.
    pub resource: &'a str,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid arn {0}")]
pub struct InvalidArn(pub String);

impl Arn {
    /// An ARN in the partition `aws`.
    pub fn new(service: &str, region: &str, account: &str, resource: &str) -> Self {
        let parts = ["arn:aws:", service, ":", region, ":", account, ":", resource];
        Self(parts.concat().into())
    }
    /// What an ARN in text says, without keeping it.
    pub fn parts(text: &str) -> Result<ArnParts<'_>, InvalidArn> {
        let invalid = || InvalidArn(text.to_owned());
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or_else(invalid);
        let prefix = next()?;
        let (partition, service, region) = (next()?, next()?, next()?);
        let (account, resource) = (next()?, next()?);
        if prefix == "arn" && !text.contains('\0') {
            Ok(ArnParts { partition, service, region, account, resource })
        } else {
            Err(invalid())
        }
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
        Self::parts(&s)?;
        Ok(Self(s.into()))
    }
}
impl std::str::FromStr for Arn {
    type Err = InvalidArn;
    fn from_str(s: &str) -> Result<Self, InvalidArn> {
        Self::parts(s).map(|_| Self(s.into()))
    }
}
/// As its text, without a copy of it.
impl Serialize for Arn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
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
        let parts = Arn::parts("arn:aws-cn:kms:r:a:key/x:y").unwrap();
        assert_eq!((parts.partition, parts.account, parts.resource), ("aws-cn", "a", "key/x:y"));
        let text = serde_json::to_string(&arn).unwrap();
        assert_eq!(serde_json::from_str::<Arn>(&text).unwrap(), arn);
        let bad = ["", "arn:aws:kms", "urn:aws:kms:r:a:key/x", "arn:aws:kms:r:a", "arn:a:k:r:a:\0"];
        for bad in bad {
            assert!(bad.parse::<Arn>().is_err(), "{bad}");
        }
    }
}
