//! Which certificate gets which role: the `[[machine]]` sections of the configuration.
use super::Certificate;
use crate::types::{AccountId, Arn};
use serde::Deserialize;

/// STS API reference, `DurationSeconds`.
const DEFAULT_SECONDS: i64 = 3600;
const LEAST_SECONDS: i64 = 900;
const MOST_SECONDS: i64 = 43_200;

/// One `[[machine]]`. Exactly one of `certificate`, `dns` and `common_name` says which certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The one URI among the certificate's alternative names, such as a SPIFFE id.
    #[serde(default)]
    pub certificate: Option<String>,
    /// A host name among its alternative names.
    #[serde(default)]
    pub dns: Option<String>,
    /// The subject's one common name.
    #[serde(default)]
    pub common_name: Option<String>,
    /// The role's ARN.
    pub role: Arn,
    /// How long a session lasts, in seconds: 3600 if left out, and at most what the role allows.
    #[serde(default)]
    pub duration: Option<i64>,
}

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("machine {role}: {what}")]
pub struct MachinesError {
    role: Arn,
    what: &'static str,
}

/// Why a certificate gets no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRole {
    #[error("No role is configured for the certificate")]
    Unknown,
    #[error("The certificate has several roles: ask for one of {0}")]
    Several(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Uri(String),
    Dns(String),
    CommonName(String),
}

/// A role that a certificate may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    selector: Selector,
    pub role: Arn,
    pub account: AccountId,
    pub session_seconds: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Machines(Vec<Machine>);

impl Machines {
    pub fn new(settings: &[Settings]) -> Result<Self, MachinesError> {
        let mut all: Vec<Machine> = Vec::with_capacity(settings.len());
        for one in settings {
            let machine =
                Machine::new(one).map_err(|what| MachinesError { role: one.role.clone(), what })?;
            let same =
                |other: &Machine| other.role == machine.role && other.selector == machine.selector;
            if all.iter().any(same) {
                return Err(MachinesError { role: one.role.clone(), what: "is there twice" });
            }
            all.push(machine);
        }
        Ok(Self(all))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The role for a certificate: the one it asks for, or the only one it may have.
    pub fn choose(
        &self,
        certificate: &Certificate,
        wanted: Option<&str>,
    ) -> Result<&Machine, NoRole> {
        let mut fitting = self.0.iter().filter(|machine| machine.selector.fits(certificate));
        if let Some(wanted) = wanted {
            return fitting.find(|machine| machine.role.as_str() == wanted).ok_or(NoRole::Unknown);
        }
        let first = fitting.next().ok_or(NoRole::Unknown)?;
        let mut roles = vec![first.role.as_str()];
        roles.extend(fitting.map(|machine| machine.role.as_str()));
        roles.sort_unstable();
        roles.dedup();
        match roles.len() {
            1 => Ok(first),
            _ => Err(NoRole::Several(roles.join(", "))),
        }
    }
}

impl Machine {
    fn new(settings: &Settings) -> Result<Self, &'static str> {
        let Settings { certificate, dns, common_name, role, duration } = settings;
        let selector = match (certificate, dns, common_name) {
            (Some(uri), None, None) if uri.contains("://") => Selector::Uri(uri.clone()),
            (Some(_), None, None) => return Err("certificate is a URI, such as spiffe://…"),
            (None, Some(dns), None) => Selector::Dns(dns.to_ascii_lowercase()),
            (None, None, Some(name)) => Selector::CommonName(name.clone()),
            _ => return Err("name one of certificate, dns and common_name"),
        };
        let (Selector::Uri(text) | Selector::Dns(text) | Selector::CommonName(text)) = &selector;
        // Who writes a pattern means more than the one name that would be compared.
        if text.is_empty() || text.contains('*') {
            return Err("a name is written in full");
        }
        let account = role.account().parse().ok();
        let account =
            account.filter(|_| role.service() == "iam" && role.resource().starts_with("role/"));
        let account = account.ok_or("role is no role's ARN")?;
        let session_seconds = duration.unwrap_or(DEFAULT_SECONDS);
        if !(LEAST_SECONDS..=MOST_SECONDS).contains(&session_seconds) {
            return Err("duration is from 900 to 43200");
        }
        Ok(Self { selector, role: role.clone(), account, session_seconds })
    }
}

impl Selector {
    fn fits(&self, certificate: &Certificate) -> bool {
        match self {
            // A SPIFFE certificate with two ids is nobody's (X.509-SVID, 2).
            Self::Uri(uri) => matches!(certificate.uris.as_slice(), [only] if only == uri),
            Self::Dns(name) => {
                certificate.dns_names.iter().any(|other| other.eq_ignore_ascii_case(name))
            }
            Self::CommonName(name) => certificate.common_name.as_ref() == Some(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Machines, String> {
        #[derive(Deserialize)]
        struct File {
            machine: Vec<Settings>,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        Machines::new(&file.machine).map_err(|error| error.to_string())
    }

    #[test]
    fn sections_are_read_and_bad_ones_refused() {
        let role = "role = \"arn:aws:iam::111122223333:role/payroll\"";
        let one = |lines: &str| parsed(&format!("[[machine]]\n{lines}\n"));
        let spiffe = "certificate = \"spiffe://example.org/payroll\"";
        let machines = one(&format!("{spiffe}\n{role}")).unwrap();
        assert_eq!(machines.0[0].session_seconds, 3600);
        assert_eq!(machines.0[0].account.as_str(), "111122223333");
        for (lines, reason) in [
            (role.to_owned(), "name one of"),
            (format!("{spiffe}\ndns = \"a.example\"\n{role}"), "name one of"),
            (format!("certificate = \"payroll\"\n{role}"), "is a URI"),
            (format!("dns = \"\"\n{role}"), "written in full"),
            (format!("dns = \"*.example.org\"\n{role}"), "written in full"),
            (format!("{spiffe}\nrole = \"payroll\""), "arn"),
            (format!("{spiffe}\nrole = \"arn:aws:iam::111122223333:user/ann\""), "no role"),
            (format!("{spiffe}\nrole = \"arn:aws:iam::1:role/payroll\""), "no role"),
            (format!("{spiffe}\n{role}\nduration = 899"), "900 to 43200"),
            (format!("{spiffe}\n{role}\nduration = 43201"), "900 to 43200"),
            (format!("{spiffe}\n{role}\naccount = \"x\""), "unknown field"),
            (format!("{spiffe}\n{role}\n[[machine]]\n{spiffe}\n{role}"), "twice"),
        ] {
            let error = one(&lines).unwrap_err();
            assert!(error.contains(reason), "{lines}: {error}");
        }
    }
}
