//! The `[xks]` section: the listener at which keys are external keys of another KMS.
use crate::xks;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xks {
    /// Where it listens. Without `[xks.tls]` it must be a loopback address: before it stands who speaks
    /// TLS.
    pub listen: SocketAddr,
    #[serde(default)]
    pub tls: Option<XksTls>,
    /// How long a request may take before it is refused, in milliseconds: 10 to 250, of which the
    /// network takes its part.
    #[serde(default = "default_budget_ms")]
    pub budget_ms: u64,
    #[serde(rename = "store")]
    pub stores: Vec<xks::Settings>,
}

/// PEM files. AWS KMS wants a certificate of a public authority, with the name of the endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XksTls {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authorities of clients. With them, whoever shows no certificate of theirs is not let in.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Their revocation lists: one of each authority, none of them out of date.
    #[serde(default)]
    pub client_crl: Option<PathBuf>,
    /// The common names of clients, such as `cks.kms.eu-west-1.amazonaws.com`.
    #[serde(default)]
    pub client_names: Vec<String>,
}

fn default_budget_ms() -> u64 {
    xks::DEFAULT_BUDGET_MS
}

impl Xks {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return Err(format!(
                "xks.listen: {} is not a loopback address; plain HTTP is served on loopback only. \
                 Add a [xks.tls] section.",
                self.listen
            ));
        }
        if !(10..=xks::LONGEST_BUDGET_MS).contains(&self.budget_ms) {
            let most = xks::LONGEST_BUDGET_MS;
            return Err(format!("xks.budget_ms: wanted 10 to {most}, found {}", self.budget_ms));
        }
        if self.stores.is_empty() {
            return Err("xks.store: name at least one".into());
        }
        self.tls.as_ref().map_or(Ok(()), XksTls::check)?;
        xks::Settings::check(&self.stores).map_err(|error| error.to_string())
    }
}

impl XksTls {
    fn check(&self) -> Result<(), String> {
        match (&self.client_ca, self.client_names.is_empty()) {
            // An authority has other customers.
            (Some(_), true) => Err("xks.tls.client_names: wanted with client_ca".into()),
            (None, false) => Err("xks.tls.client_names: needs client_ca".into()),
            (None, true) if self.client_crl.is_some() => {
                Err("xks.tls.client_crl: needs client_ca".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "0.0.0.0:8443"
[tls]
certificate = "/c"
key = "/k"
client_ca = "/a"
client_names = ["cks.kms.eu-west-1.amazonaws.com"]
[[store]]
account = "111122223333"
region = "eu-west-1"
credentials = ["/x"]
[[store.key]]
id = "k"
kms_key = "arn:aws:kms:eu-west-1:111122223333:key/1234"
"#;

    fn read(text: &str) -> Result<Xks, String> {
        let read: Xks = toml::from_str(text).map_err(|e| e.to_string())?;
        read.check().map(|()| read)
    }

    #[test]
    fn a_good_section_is_read() {
        assert_eq!(read(GOOD).unwrap().budget_ms, 200);
    }

    #[test]
    fn a_bad_one_is_refused_with_its_reason() {
        let names = "client_names = [\"cks.kms.eu-west-1.amazonaws.com\"]\n";
        for (from, to, reason) in [
            ("[tls]", "budget_ms = 9\n[tls]", "xks.budget_ms: wanted 10 to 250, found 9"),
            ("[tls]", "budget_ms = 251\n[tls]", "xks.budget_ms"),
            ("client_ca = \"/a\"\n", "", "xks.tls.client_names: needs client_ca"),
            (names, "", "xks.tls.client_names: wanted with client_ca"),
            ("key/1234", "alias/a", "xks.store \"\": key \"k\": kms_key"),
            ("[tls]", "[lts]", "unknown field `lts`"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
        let (head, rest) = GOOD.split_once("[tls]").unwrap();
        let (_, stores) = rest.split_once("[[store]]").unwrap();
        let plain = format!("{head}[[store]]{stores}");
        assert!(read(&plain).unwrap_err().contains("loopback only"));
        assert!(read(&plain.replacen("0.0.0.0", "127.0.0.1", 1)).is_ok());
    }
}
