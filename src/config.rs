//! The configuration file of `claviger init` and `claviger serve`: TOML, every field documented here,
//! unknown fields refused.
use crate::quotas::Settings;
use crate::types::{AccountId, Region};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data directory: store, audit log, `deployment.json`. Mode 0700, of its own.
    pub data: PathBuf,
    /// The regions served. The credential scope of a request chooses one.
    pub regions: BTreeSet<Region>,
    /// The account that `claviger init` creates: twelve digits.
    pub account: AccountId,
    pub listen: Listen,
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    #[serde(default)]
    pub pkcs11: Option<Pkcs11>,
    /// How often accounts may call, and how much they may have.
    #[serde(default)]
    pub quotas: Settings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where the API listens. Without `[tls]` it must be a loopback address.
    pub api: SocketAddr,
    /// Where health and metrics are served without credentials. Plain HTTP, so a loopback address.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
}

/// PEM files of the API's certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The token that keeps the root key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The vendor's PKCS#11 library, as an absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the user PIN, readable by its owner only, outside the data directory.
    pub pin_file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("{path}: {what}")]
    Invalid { path: PathBuf, what: String },
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|e| ConfigError::Parse { path: path.to_owned(), message: e.to_string() })?;
        config.check().map_err(|what| ConfigError::Invalid { path: path.to_owned(), what })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        self.quotas.check().map_err(|e| e.to_string())?;
        if self.regions.is_empty() {
            return Err("regions: name at least one".into());
        }
        if self.tls.is_none() && !self.listen.api.ip().is_loopback() {
            return Err(format!(
                "listen.api: {} is not a loopback address; plain HTTP is served on loopback only. \
                 Add a [tls] section.",
                self.listen.api
            ));
        }
        if let Some(admin) = self.listen.admin
            && !admin.ip().is_loopback()
        {
            return Err(format!("listen.admin: {admin} is not a loopback address"));
        }
        if let Some(pkcs11) = &self.pkcs11 {
            if !pkcs11.module.is_absolute() {
                return Err("pkcs11.module: must be an absolute path".into());
            }
            if pkcs11.pin_file.starts_with(&self.data) {
                let why = "a copy of the data directory must not carry the PIN along";
                return Err(format!("pkcs11.pin_file: lies in the data directory; {why}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
data = "/var/lib/claviger"
regions = ["eu-west-1"]
account = "111122223333"

[listen]
api = "127.0.0.1:4566"

[pkcs11]
module = "/usr/lib/softhsm/libsofthsm2.so"
token = "claviger"
pin_file = "/etc/claviger/pin"
"#;

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("claviger.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn a_good_file_is_read() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.regions.len(), 1);
        assert!(config.tls.is_none());
        assert_eq!(config.quotas, Settings::default());
    }

    #[test]
    fn a_bad_file_is_refused_with_its_reason() {
        for (from, to, reason) in [
            ("regions", "region", "unknown field `region`"),
            ("[\"eu-west-1\"]", "[]", "name at least one"),
            ("eu-west-1", "EU", "is not a region name"),
            ("127.0.0.1:4566", "0.0.0.0:4566", "loopback only"),
            ("127.0.0.1:4566", "localhost", "invalid socket address"),
            ("111122223333", "1111", "twelve digits"),
            ("/usr/lib/softhsm/", "", "absolute path"),
            ("/etc/claviger/pin", "/var/lib/claviger/pin", "lies in the data directory"),
            ("[listen]", "[quotas.rates]\nkms.No = 1\n[listen]", "kms.No is no request quota"),
            ("[listen]", "[quotas.resources]\nkeys = 99999999\n[listen]", "can be at most"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
        assert!(Config::read(Path::new("/nowhere/claviger.toml")).is_err());
    }
}
