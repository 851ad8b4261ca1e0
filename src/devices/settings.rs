//! The `[pkcs11]` and `[[device]]` sections: which devices there are, and how each is reached.
use super::PKCS11;
use claviger_hsm::WrappedKey;
use claviger_hsm::pkcs11::Pkcs11Config;
use claviger_hsm::profile::Profile;
use claviger_hsm::tpm::{Binding, Pcrs, Tcti};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// As many threads as a helper process has at most.
const MAX_SESSIONS: u64 = 256;

/// A device beside the one of `[pkcs11]`: exactly one of `pkcs11` and `tpm` says what it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What commands and messages call it: 1 to 32 lower-case letters, digits and hyphens.
    pub name: String,
    /// What custom key stores name it by (`CloudHsmClusterId`): `cluster-` and 11 to 16 letters and
    /// digits from 2 to 7 (AWS KMS API reference, CreateCustomKeyStore).
    #[serde(default)]
    pub cluster: Option<String>,
    /// The accounts that may have custom key stores in it, by their ids; every account if none is said.
    #[serde(default)]
    pub accounts: Vec<String>,
    #[serde(default)]
    pub pkcs11: Option<Pkcs11>,
    #[serde(default)]
    pub tpm: Option<Tpm>,
}

/// A PKCS#11 token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The vendor's PKCS#11 library, as an absolute path.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the user PIN, readable by its owner only, outside the data directory. Read at every
    /// login.
    pub pin_file: PathBuf,
    /// Of `[pkcs11]`: as `cluster` of `[[device]]`.
    #[serde(default)]
    pub cluster: Option<String>,
    /// Likewise.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// What is known of the vendor, if the token is not recognised by itself.
    #[serde(default)]
    pub profile: Option<String>,
    /// Whether the library runs in a process of its own. By default as the profile says: yes, if it is
    /// not known to behave.
    #[serde(default)]
    pub helper: Option<bool>,
    /// Calls in the token at once, at most: 1 to 256, 16 if it is not said. Never more than the token
    /// allows. `claviger bench device` finds how many are of use.
    #[serde(default)]
    pub sessions: Option<u64>,
    /// What C_Initialize is given, for libraries that want something.
    #[serde(default)]
    pub parameters: Option<String>,
    /// Whether a token will do that hands out keys which it must keep. For tries.
    #[serde(default)]
    pub accept_weak_token: bool,
}

/// A TPM 2.0.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tpm {
    /// `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`.
    pub tcti: String,
    /// The PCRs whose values domain keys are bound to: `sha256:7,11`.
    #[serde(default)]
    pub pcrs: Option<String>,
    /// A file with the auth value of root keys, readable by its owner only, outside the data directory.
    #[serde(default)]
    pub auth_file: Option<PathBuf>,
}

/// Why a section makes no device.
#[derive(Debug, thiserror::Error)]
#[error("device {name:?}: {what}")]
pub struct DeviceError {
    pub name: String,
    pub what: String,
}

/// Every device of the configuration: that of `[pkcs11]` first.
pub fn all(pkcs11: Option<&Pkcs11>, more: &[Settings]) -> Vec<Settings> {
    let first = pkcs11.map(|section| Settings {
        name: PKCS11.into(),
        cluster: section.cluster.clone(),
        accounts: section.accounts.clone(),
        pkcs11: Some(Pkcs11 { cluster: None, accounts: Vec::new(), ..section.clone() }),
        tpm: None,
    });
    first.into_iter().chain(more.iter().cloned()).collect()
}

impl Settings {
    /// What can be said without looking at any device: of all sections, as [`all`] gives them. `data` is
    /// the data directory, of which a copy must not carry a PIN along.
    pub fn check(sections: &[Self], data: &Path) -> Result<(), String> {
        let (mut names, mut clusters) = (BTreeSet::new(), BTreeSet::new());
        for section in sections {
            let at = |what: String| match section.name.as_str() {
                PKCS11 => format!("pkcs11.{what}"),
                name => format!("device {name:?}: {what}"),
            };
            section.check_one(data).map_err(at)?;
            if !names.insert(section.name.as_str()) {
                return Err(at("name: is there twice".into()));
            }
            if let Some(cluster) = &section.cluster
                && !clusters.insert(cluster)
            {
                return Err(at(format!("cluster: {cluster} is another device's")));
            }
        }
        Ok(())
    }

    fn check_one(&self, data: &Path) -> Result<(), String> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let named = (1..=32).contains(&self.name.len());
        if !named || !self.name.bytes().all(|b| letter(b) || b == b'-') {
            return Err("name: wanted 1 to 32 lower-case letters, digits and hyphens".into());
        }
        if let Some(cluster) = &self.cluster {
            // AWS's: cluster-[2-7a-zA-Z]{11,16}. No store could name another.
            let digit = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'2'..=b'7');
            let good = |id: &str| (11..=16).contains(&id.len()) && id.bytes().all(digit);
            if !cluster.strip_prefix("cluster-").is_some_and(good) {
                return Err(format!(
                    "cluster: {cluster:?} is not cluster- and 11 to 16 letters and digits from 2 to 7"
                ));
            }
        }
        let is_account = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
        if let Some(other) = self.accounts.iter().find(|id| !is_account(id)) {
            return Err(format!("accounts: {other:?} is not an account id of twelve digits"));
        }
        if self.cluster.is_none() && !self.accounts.is_empty() {
            return Err("accounts: without cluster there are no custom key stores in it".into());
        }
        match (&self.pkcs11, &self.tpm) {
            (Some(pkcs11), None) => pkcs11.check(data),
            (None, Some(tpm)) => tpm.check(data),
            _ => Err("wanted one of the tables pkcs11 and tpm".into()),
        }
    }
}

fn outside(field: &str, path: &Path, data: &Path) -> Result<(), String> {
    match path.starts_with(data) {
        true => Err(format!(
            "{field}: lies in the data directory; a copy of the data directory must not carry the PIN \
             along"
        )),
        false => Ok(()),
    }
}

impl Pkcs11 {
    fn check(&self, data: &Path) -> Result<(), String> {
        if !self.module.is_absolute() {
            return Err("module: must be an absolute path".into());
        }
        if self.cluster.is_some() || !self.accounts.is_empty() {
            return Err("cluster, accounts: belong beside name".into());
        }
        if let Some(sessions) = self.sessions.filter(|n| !(1..=MAX_SESSIONS).contains(n)) {
            return Err(format!("sessions: wanted 1 to {MAX_SESSIONS}, found {sessions}"));
        }
        if let Some(name) = &self.profile {
            Profile::named(name).map_err(|e| e.to_string())?;
        }
        outside("pin_file", &self.pin_file, data)
    }

    /// What the device is opened with; its PIN stays in its file until it is needed.
    pub fn config(&self) -> Pkcs11Config {
        let pin = claviger_hsm::PinSource::File(self.pin_file.clone());
        let mut config = Pkcs11Config::new(&self.module, &self.token, pin);
        config.profile = self.profile.clone();
        config.sessions = self.sessions;
        config.parameters = self.parameters.clone();
        config.accept_weak_token = self.accept_weak_token;
        config
    }
}

impl Tpm {
    fn check(&self, data: &Path) -> Result<(), String> {
        self.tcti().map_err(|e| format!("tcti: {e}"))?;
        self.pcrs().map_err(|e| format!("pcrs: {e}"))?;
        self.auth_file.as_deref().map_or(Ok(()), |path| outside("auth_file", path, data))
    }

    pub(super) fn tcti(&self) -> Result<Tcti, claviger_hsm::HsmError> {
        self.tcti.parse()
    }

    /// In what a key that was wrapped before is bound otherwise than the configuration says now.
    pub fn differs(&self, wrapped: &WrappedKey) -> Option<String> {
        let was = Binding::of(wrapped)?;
        let pcrs = self.pcrs().ok()?;
        let auth = self.auth_file.is_some();
        let words = |pcrs: &Option<Pcrs>, auth: bool| {
            let pcrs = pcrs.as_ref().map_or_else(|| "no PCRs".to_owned(), ToString::to_string);
            format!("{pcrs} and {} auth value", if auth { "an" } else { "no" })
        };
        (was.pcrs != pcrs || was.auth != auth)
            .then(|| format!("{}; configured: {}", words(&was.pcrs, was.auth), words(&pcrs, auth)))
    }

    pub(super) fn pcrs(&self) -> Result<Option<Pcrs>, claviger_hsm::HsmError> {
        self.pcrs.as_deref().map(str::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        pkcs11: Option<Pkcs11>,
        #[serde(default)]
        device: Vec<Settings>,
    }

    const GOOD: &str = r#"
[pkcs11]
module = "/a.so"
token = "one"
pin_file = "/etc/pin"
cluster = "cluster-abcdefgh234"

[[device]]
name = "second"
cluster = "cluster-abcdefgh235"
[device.pkcs11]
module = "/b.so"
token = "two"
pin_file = "/etc/pin2"
profile = "luna"
helper = true

[[device]]
name = "tpm"
[device.tpm]
tcti = "device:/dev/tpmrm0"
pcrs = "sha256:7"
auth_file = "/etc/auth"
"#;

    fn read(text: &str) -> Result<Vec<Settings>, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let all = all(file.pkcs11.as_ref(), &file.device);
        Settings::check(&all, Path::new("/var/data"))?;
        Ok(all)
    }

    #[test]
    fn the_section_pkcs11_is_the_first_device() {
        let all = read(GOOD).unwrap();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["pkcs11", "second", "tpm"]);
        assert_eq!(all[0].cluster.as_deref(), Some("cluster-abcdefgh234"));
        assert_eq!(all[1].pkcs11.as_ref().unwrap().helper, Some(true));
        let accounts = "cluster = \"cluster-abcdefgh234\"\naccounts = [\"111122223333\"]";
        let all = read(&GOOD.replace("cluster = \"cluster-abcdefgh234\"", accounts)).unwrap();
        assert_eq!(all[0].accounts, ["111122223333"]);
        assert!(all[1].accounts.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (from, to, reason) in [
            ("\"second\"", "\"pkcs11\"", "pkcs11.name: is there twice"),
            ("\"second\"", "\"tpm\"", "device \"tpm\": name: is there twice"),
            ("\"second\"", "\"Second\"", "name: wanted"),
            ("\"second\"", "\"\"", "name: wanted"),
            ("gh235", "gh234", "cluster-abcdefgh234 is another device's"),
            ("cluster-abcdefgh235", "cluster-", "cluster: \"cluster-\" is not"),
            ("/b.so", "b.so", "device \"second\": module: must be an absolute path"),
            ("gh235", "gh135", "device \"second\": cluster: \"cluster-abcdefgh135\" is not"),
            ("gh235", "gh235234567", "cluster: \"cluster-abcdefgh235234567\" is not"),
            (
                "name = \"second\"",
                "name = \"second\"\naccounts = [\"1\"]",
                "accounts: \"1\" is not",
            ),
            (
                "name = \"tpm\"",
                "name = \"tpm\"\naccounts = [\"111122223333\"]",
                "device \"tpm\": accounts: without cluster",
            ),
            ("/etc/pin2", "/var/data/pin", "device \"second\": pin_file: lies in the data"),
            ("/etc/pin\"", "/var/data/pin\"", "pkcs11.pin_file: lies in the data"),
            ("/etc/auth", "/var/data/auth", "auth_file: lies in the data"),
            ("luna", "lunar", "lunar"),
            ("device:/dev", "tabrmd:/dev", "tcti: "),
            ("sha256:7", "sha1:7", "pcrs: "),
            ("[device.tpm]\ntcti = \"device:/dev/tpmrm0\"\n", "", "unknown field `auth_file`"),
            (
                "name = \"tpm\"",
                "name = \"tpm\"\npkcs11 = {module=\"/a\",token=\"\",pin_file=\"\"}",
                "wanted one of the tables pkcs11 and tpm",
            ),
            (
                "token = \"two\"",
                "token = \"two\"\ncluster = \"cluster-abcdefgh236\"",
                "cluster, accounts: belong beside name",
            ),
            ("helper", "hleper", "unknown field"),
            ("helper = true", "sessions = 0", "sessions: wanted 1 to 256, found 0"),
            ("helper = true", "sessions = 257", "sessions: wanted 1 to 256, found 257"),
        ] {
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }
}
