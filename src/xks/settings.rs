//! The `[[xks.store]]` sections: which key stores are served, to whose signatures, with which keys.
use super::DEFAULT_RATE;
use crate::external::{self, MAX_PATH_CHARS};
use crate::types::{AccountId, Arn, Region};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One external key store, as the other KMS sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What comes before `/kms/xks/v1` in the URIs: `/payroll`, or nothing.
    #[serde(default)]
    pub prefix: String,
    /// The account of this deployment that the keys are of, and in whose name the log speaks.
    pub account: AccountId,
    /// The region of the KMS that asks: what its signatures are scoped to.
    pub region: Region,
    /// Files with a credential each, as the AWS console takes them; several while one replaces another.
    /// Readable by their owner only.
    pub credentials: Vec<PathBuf>,
    /// Requests that are answered each second.
    #[serde(default = "default_rate")]
    pub rate: u32,
    #[serde(rename = "key")]
    pub keys: Vec<KeySettings>,
}

/// One external key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// What the other KMS calls it (`XksKeyId`).
    pub id: String,
    /// The ARN of a symmetric KMS key, whose policy must allow `cks.kms.amazonaws.com` to use it. It may
    /// live in a device.
    pub kms_key: Arn,
    /// What it may be used for.
    #[serde(default = "default_usage")]
    pub usage: BTreeSet<Usage>,
    /// The principals of the other KMS that it is for, `*` for any text; everybody, if there are none.
    #[serde(default)]
    pub principals: Vec<String>,
    /// The KMS keys there that it is for, likewise.
    #[serde(default)]
    pub kms_keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Usage {
    Encrypt,
    Decrypt,
}

fn default_rate() -> u32 {
    DEFAULT_RATE
}

fn default_usage() -> BTreeSet<Usage> {
    BTreeSet::from([Usage::Encrypt, Usage::Decrypt])
}

/// A section cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("xks.store {prefix:?}: {what}")]
pub struct InvalidXks {
    pub prefix: String,
    pub what: String,
}

impl Settings {
    /// What can be said without the credentials' files, the store and the devices.
    pub fn check(all: &[Self]) -> Result<(), InvalidXks> {
        let mut prefixes = BTreeSet::new();
        for one in all {
            let at = |what| InvalidXks { prefix: one.prefix.clone(), what };
            one.check_one().map_err(at)?;
            if !prefixes.insert(&one.prefix) {
                return Err(at("prefix: is there twice".into()));
            }
        }
        Ok(())
    }

    /// `XksProxyUriPath`.
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.prefix, external::PATH)
    }

    fn check_one(&self) -> Result<(), String> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let segment = |text: &str| !text.is_empty() && text.bytes().all(letter);
        let good = match self.prefix.strip_prefix('/') {
            Some(segments) => segments.split('/').all(segment),
            None => self.prefix.is_empty(),
        };
        if !good || self.path().len() > MAX_PATH_CHARS {
            return Err(format!(
                "prefix: wanted nothing, or segments such as /payroll of letters, digits, - and _, \
                 with {} at most {MAX_PATH_CHARS} characters",
                external::PATH
            ));
        }
        if self.credentials.is_empty() || self.credentials.len() > 4 {
            return Err("credentials: wanted one to four files".into());
        }
        if self.rate == 0 {
            return Err("rate: wanted at least one request a second".into());
        }
        if self.keys.is_empty() {
            return Err("key: name at least one".into());
        }
        let mut ids = BTreeSet::new();
        for key in &self.keys {
            key.check(&self.account).map_err(|what| format!("key {:?}: {what}", key.id))?;
            if !ids.insert(&key.id) {
                return Err(format!("key {:?}: is there twice", key.id));
            }
        }
        Ok(())
    }
}

impl KeySettings {
    fn check(&self, account: &AccountId) -> Result<(), String> {
        if !external::is_key_id(&self.id) {
            return Err("id: wanted 1 to 128 letters, digits, hyphens, dots and underscores".into());
        }
        let arn = &self.kms_key;
        let id = arn.resource().strip_prefix("key/").unwrap_or_default();
        let named = arn.service() == "kms" && !id.is_empty();
        if !named || Region::try_from(arn.region().to_owned()).is_err() {
            return Err(format!("kms_key: {arn} is not the ARN of a KMS key"));
        }
        if arn.account() != account.as_str() {
            return Err(format!("kms_key: {arn} is not of account {account}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        store: Vec<Settings>,
    }

    const GOOD: &str = r#"
[[store]]
prefix = "/payroll/eu"
account = "111122223333"
region = "eu-west-1"
credentials = ["/etc/claviger/xks.json"]
[[store.key]]
id = "first"
kms_key = "arn:aws:kms:eu-west-1:111122223333:key/1234"
[[store.key]]
id = "second"
kms_key = "arn:aws:kms:us-east-1:111122223333:key/5678"
usage = ["ENCRYPT"]
principals = ["arn:aws:iam::444455556666:role/*"]
"#;

    fn read(text: &str) -> Result<Vec<Settings>, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        Settings::check(&file.store).map_err(|e| e.to_string())?;
        Ok(file.store)
    }

    #[test]
    fn a_good_section_is_read() {
        let all = read(GOOD).unwrap();
        assert_eq!((all[0].rate, all[0].path()), (1800, "/payroll/eu/kms/xks/v1".into()));
        assert_eq!(all[0].keys[0].usage.len(), 2);
        assert_eq!(all[0].keys[1].usage, BTreeSet::from([Usage::Encrypt]));
        assert!(read(&GOOD.replacen("/payroll/eu", "", 1)).is_ok());
        // A key that does nothing is a key.
        assert!(read(&GOOD.replacen("[\"ENCRYPT\"]", "[]", 1)).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let long = format!("/{}", "p".repeat(118));
        for (from, to, reason) in [
            ("/payroll/eu", "payroll", "prefix: wanted"),
            ("/payroll/eu", "/payroll/", "prefix: wanted"),
            ("/payroll/eu", "/pay.roll", "prefix: wanted"),
            ("/payroll/eu", long.as_str(), "prefix: wanted"),
            ("[\"/etc/claviger/xks.json\"]", "[]", "credentials: wanted"),
            ("region =", "rate = 0\nregion =", "rate: wanted"),
            ("\"first\"", "\"a b\"", "key \"a b\": id: wanted"),
            ("\"first\"", "\"..\"", "id: wanted"),
            ("\"first\"", "\"second\"", "key \"second\": is there twice"),
            (":111122223333:key/1234", ":444455556666:key/1234", "is not of account 111122223333"),
            ("key/1234", "alias/a", "is not the ARN of a KMS key"),
            (
                "kms_key = \"arn:aws:kms:us-east-1:111122223333:key/5678\"\n",
                "",
                "missing field `kms_key`",
            ),
            ("ENCRYPT", "SIGN", "unknown variant"),
            ("usage", "usages", "unknown field"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
        let twice = format!("{GOOD}{GOOD}");
        assert!(read(&twice).unwrap_err().contains("prefix: is there twice"));
    }
}
