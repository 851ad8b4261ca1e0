//! Which databases a built-in function may connect to: a secret's `host` is its owner's word, and the
//! connection comes from the server's place in the network.
use serde::Deserialize;
use std::net::IpAddr;

pub(super) const WANTED: &str = "hosts: list the databases that secrets may name";

/// Names and addresses as secrets write them; `*.example.org` is every name below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hosts(Vec<String>);

impl Hosts {
    pub fn allow(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let fits = |listed: &String| {
            let listed = listed.trim_end_matches('.').to_ascii_lowercase();
            match listed.strip_prefix('*') {
                Some(end) => host.len() > end.len() && host.ends_with(end),
                None => host == listed,
            }
        };
        self.0.iter().any(fits)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Err(WANTED.into());
        }
        let good = |listed: &String| {
            let name = listed.strip_prefix("*.").unwrap_or(listed);
            let letter = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            let is_name = !name.trim_end_matches('.').is_empty() && name.bytes().all(letter);
            is_name || listed.parse::<IpAddr>().is_ok()
        };
        match self.0.iter().find(|listed| !good(listed)) {
            Some(bad) => Err(format!("hosts: {bad:?} is not a host, nor *. and a name")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed() {
        let hosts = Hosts(
            ["db.example.org", "*.Databases.example.org", "10.0.0.7", "fd12::1", "b.example.org."]
                .map(str::to_owned)
                .to_vec(),
        );
        hosts.check().unwrap();
        for good in [
            "db.example.org",
            "DB.example.org.",
            "b.example.org",
            "a.databases.example.org",
            "10.0.0.7",
            "fd12::1",
        ] {
            assert!(hosts.allow(good), "{good}");
        }
        for bad in [
            "example.org",
            "xdb.example.org",
            "databases.example.org",
            ".databases.example.org.evil.example",
            "10.0.0.70",
            "127.0.0.1",
            "",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
        assert!(!Hosts(Vec::new()).allow("anything"));
        assert_eq!(Hosts(Vec::new()).check(), Err(WANTED.into()));
        for bad in ["", "*", "*.", ".", "a b", "*.*.a", "a/8", "a:5432", "[::1]", "*.::1"] {
            assert!(Hosts(vec![bad.to_owned()]).check().is_err(), "{bad}");
        }
    }
}
