//! The configuration file of `claviger init` and `claviger serve`: TOML, every field documented here,
//! unknown fields refused.
mod store;
mod xks;

pub use store::{Kind as StoreKind, Store as StoreSettings};
pub use xks::{Xks, XksTls};

use crate::devices;
use crate::external;
use crate::federation;
use crate::functions::{self, Functions};
use crate::machines;
use crate::policy::Network;
use crate::quotas::Settings;
use crate::services::{self, Services};
use crate::types::{AccountId, Region};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::iter;
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
    /// Further listeners, each a VPC endpoint to the policies that are evaluated.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<VpcEndpoint>,
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// The token that keeps the root key: the device named `pkcs11`.
    #[serde(default)]
    pub pkcs11: Option<devices::Pkcs11>,
    /// Further devices.
    #[serde(default, rename = "device")]
    pub devices: Vec<devices::Settings>,
    /// How often accounts may call, and how much they may have.
    #[serde(default)]
    pub quotas: Settings,
    /// The OpenID Connect issuers whose tokens AssumeRoleWithWebIdentity may be asked with. An account
    /// chooses among them by its providers.
    #[serde(default)]
    pub oidc: Vec<federation::Settings>,
    /// Services that are not ours and may act for their users.
    #[serde(default, rename = "service")]
    pub services: Vec<services::Settings>,
    /// What rotates secrets: each a function that `RotationLambdaARN` can name.
    #[serde(default, rename = "function")]
    pub functions: Vec<functions::Settings>,
    /// What others need to check tokens of GetWebIdentityToken. Without it there are none.
    #[serde(default)]
    pub federation: Option<Federation>,
    /// The roles of machines that show a certificate.
    #[serde(default, rename = "machine")]
    pub machines: Vec<machines::Settings>,
    /// Keys of this deployment as external keys of another KMS.
    #[serde(default)]
    pub xks: Option<Xks>,
    /// The proxies that external key stores of accounts may be at. Others are not asked.
    #[serde(default, rename = "external_proxy")]
    pub external_proxies: Vec<external::Settings>,
    /// Where the rows are: in a file of the data directory, or in PostgreSQL.
    #[serde(default)]
    pub store: StoreSettings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Where the API listens. Without `[tls]` it must be a loopback address.
    pub api: SocketAddr,
    /// Where health and metrics are served without credentials. Plain HTTP, so a loopback address.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// The proxies before the API whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
}

/// A listener by which policies tell requests apart: `aws:SourceVpce`, `aws:SourceVpc`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VpcEndpoint {
    /// `vpce-` and lower-case letters, digits and hyphens.
    pub id: String,
    /// Likewise, with `vpc-`. Several endpoints may be in one.
    pub vpc: String,
    /// Where it listens. Without `[tls]` it must be a loopback address.
    pub listen: SocketAddr,
    /// The proxies before it whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
    /// A file with the endpoint's policy. Without one it lets everything through.
    #[serde(default)]
    pub policy: Option<PathBuf>,
}

impl VpcEndpoint {
    /// EC2's ids have hexadecimal digits; here an operator chooses them.
    fn check(&self) -> Result<(), String> {
        for (field, id, prefix) in [("id", &self.id, "vpce-"), ("vpc", &self.vpc, "vpc-")] {
            let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let good = |rest: &str| (1..=64).contains(&rest.len()) && rest.bytes().all(letter);
            if !id.strip_prefix(prefix).is_some_and(good) {
                return Err(format!(
                    "endpoint.{field}: {id:?} is not {prefix} and up to 64 lower-case letters, \
                     digits and hyphens"
                ));
            }
        }
        Ok(())
    }
}

/// The deployment as an issuer of tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// `https://kms.example.org`: where others reach the API, without a port. Accounts' issuers begin
    /// with it, and tokens name them, so it stays as it is.
    pub issuer: String,
}

impl Federation {
    /// As issuers are that IAM registers: a host, and perhaps a path.
    fn check(&self) -> Result<(), String> {
        let rest = self.issuer.strip_prefix("https://").unwrap_or_default();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-./".contains(&b);
        let parts = rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        match parts && rest.bytes().all(allowed) {
            true => Ok(()),
            false => Err(format!(
                "federation.issuer: {:?} is not https:// and a host in lower case, without a port \
                 and without a slash at the end",
                self.issuer
            )),
        }
    }
}

/// PEM files of the API's certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities whose certificates clients may show, for `[[machine]]`.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Their revocation lists: one of each authority, none of them out of date.
    #[serde(default)]
    pub client_crl: Option<PathBuf>,
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
        Services::new(&self.services).map_err(|e| e.to_string())?;
        Functions::check(&self.functions).map_err(|e| e.to_string())?;
        if self.regions.is_empty() {
            return Err("regions: name at least one".into());
        }
        let endpoints = self.endpoints.iter().map(|e| ("endpoint.listen", e.listen));
        for (field, address) in iter::once(("listen.api", self.listen.api)).chain(endpoints) {
            if self.tls.is_none() && !address.ip().is_loopback() {
                return Err(format!(
                    "{field}: {address} is not a loopback address; plain HTTP is served on loopback \
                     only. Add a [tls] section."
                ));
            }
        }
        self.check_endpoints()?;
        let unnamed = |one: &&functions::Settings| one.python.is_some() && one.endpoint.is_none();
        if self.tls.is_some()
            && let Some(one) = self.functions.iter().find(unnamed)
        {
            let what = "endpoint: wanted with [tls], as the certificate names the server";
            return Err(format!("function {}: {what}", one.arn));
        }
        if let Some(admin) = self.listen.admin
            && !admin.ip().is_loopback()
        {
            return Err(format!("listen.admin: {admin} is not a loopback address"));
        }
        let client_ca = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        if !self.machines.is_empty() && client_ca.is_none() {
            return Err("machine: needs tls.client_ca, whose certificates machines show".into());
        }
        if client_ca.is_none() && self.tls.as_ref().is_some_and(|tls| tls.client_crl.is_some()) {
            return Err("tls.client_crl: needs tls.client_ca".into());
        }
        self.federation.as_ref().map_or(Ok(()), Federation::check)?;
        machines::Machines::new(&self.machines).map_err(|e| e.to_string())?;
        self.xks.as_ref().map_or(Ok(()), Xks::check)?;
        self.store.check(&self.data)?;
        devices::Settings::check(&self.all_devices(), &self.data)
    }

    /// Every device: that of `[pkcs11]` first.
    pub fn all_devices(&self) -> Vec<devices::Settings> {
        devices::all(self.pkcs11.as_ref(), &self.devices)
    }

    fn check_endpoints(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for endpoint in &self.endpoints {
            endpoint.check()?;
            if !ids.insert(&endpoint.id) {
                return Err(format!("endpoint.id: {} is there twice", endpoint.id));
            }
        }
        let proxies = self.endpoints.iter().flat_map(|endpoint| &endpoint.trusted_proxies);
        if self.listen.trusted_proxies.iter().chain(proxies).any(Network::is_everything) {
            return Err("trusted_proxies: everybody could claim to come from anywhere".into());
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
            (
                "[listen]",
                "[[machine]]\ndns = \"a.example\"\nrole = \"arn:aws:iam::111122223333:role/a\"\n[listen]",
                "needs tls.client_ca",
            ),
            (
                "[listen]",
                "[tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_crl = \"l\"\n[listen]",
                "needs tls.client_ca",
            ),
            (
                "[listen]",
                "[tls]\ncertificate = \"c\"\nkey = \"k\"\n[[function]]\npython = \"f.py\"\n\
                 arn = \"arn:aws:lambda:eu-west-1:111122223333:function:f1\"\n\
                 role = \"arn:aws:iam::111122223333:role/r\"\n[listen]",
                "endpoint: wanted with [tls]",
            ),
            ("[listen]", "[federation]\nissuer = \"http://a.b\"\n[listen]", "federation.issuer"),
            ("[listen]", "[federation]\nissuer = \"https://a:1\"\n[listen]", "federation.issuer"),
            ("[listen]", "[federation]\nissuer = \"https://a/\"\n[listen]", "federation.issuer"),
            ("[listen]", "[federation]\nissuer = \"https://A.b\"\n[listen]", "federation.issuer"),
            ("[listen]", "[quotas.rates]\nkms.No = 1\n[listen]", "kms.No is no request quota"),
            ("[pkcs11]", "trusted_proxies = [\"10.0.0.0/33\"]\n[pkcs11]", "no address range"),
            ("[pkcs11]", "trusted_proxies = [\"proxy\"]\n[pkcs11]", "no address range"),
            (
                "[pkcs11]",
                "trusted_proxies = [\"0.0.0.0/0\"]\n[pkcs11]",
                "claim to come from anywhere",
            ),
            ("[pkcs11]", "trusted_proxies = [\"::/0\"]\n[pkcs11]", "claim to come from anywhere"),
            ("[listen]", "[quotas.resources]\nkeys = 99999999\n[listen]", "can be at most"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
        assert!(Config::read(Path::new("/nowhere/claviger.toml")).is_err());
    }

    #[test]
    fn endpoints_are_read_or_refused_with_the_reason() {
        const ENDPOINT: &str = r#"
[[endpoint]]
id = "vpce-1a2b3c4d5e6f70819"
vpc = "vpc-1a2b3c4d"
listen = "127.0.0.1:4567"
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
policy = "/etc/claviger/endpoint.json"
"#;
        let good = format!("{GOOD}{ENDPOINT}");
        let config = read(&good).unwrap();
        assert_eq!(config.endpoints.len(), 1);
        assert_eq!(config.endpoints[0].trusted_proxies.len(), 2);
        let second = ENDPOINT.replace("vpce-1a", "vpce-b-2");
        assert_eq!(read(&format!("{good}{second}")).unwrap().endpoints.len(), 2);
        let error = read(&format!("{good}{ENDPOINT}")).unwrap_err();
        assert!(error.contains("vpce-1a2b3c4d5e6f70819 is there twice"), "{error}");
        for (from, to, reason) in [
            ("vpce-1a", "vpc-1a", "endpoint.id"),
            ("vpce-1a2b3c4d5e6f70819", "vpce-", "endpoint.id"),
            ("vpce-1a", "vpce-1A", "endpoint.id"),
            ("vpce-1a", "vpce-*", "endpoint.id"),
            ("\"vpc-1a2b3c4d\"", "\"1a2b3c4d\"", "endpoint.vpc"),
            ("127.0.0.1:4567", "0.0.0.0:4567", "endpoint.listen: 0.0.0.0:4567"),
            ("policy", "policies", "unknown field"),
            ("vpc = \"vpc-1a2b3c4d\"\n", "", "missing field `vpc`"),
            ("10.0.0.0/8", "0.0.0.0/0", "claim to come from anywhere"),
        ] {
            let error = read(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }
}
