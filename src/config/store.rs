//! `[store]`: where the rows are.
use crate::outgoing::client_tls;
use crate::store::{Opening, Verify, postgres};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCHEMA: &str = "claviger";
const CONNECTIONS: usize = 8;
const MOST_CONNECTIONS: usize = 100;
/// Shorter than it takes to read the feed, no call would be answered; longer, a revoked right would
/// live on for no gain.
const STALENESS_RANGE_MS: std::ops::RangeInclusive<u64> = 200..=60_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file in the data directory, for one node.
    #[default]
    Embedded,
    /// A database, for one node or many.
    Postgresql,
}

/// Text that is not shown: it holds a password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(..)")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    #[serde(default)]
    pub kind: Kind,
    /// `postgresql://user:password@host[:port][,host[:port]]/database`
    #[serde(default)]
    url: Option<Hidden>,
    /// A file that holds the URL and nothing else, mode 600.
    #[serde(default)]
    url_file: Option<PathBuf>,
    /// The schema with our tables.
    #[serde(default)]
    schema: Option<String>,
    /// The authorities whose certificates the database may have, instead of the system's (PEM).
    #[serde(default)]
    tls_ca: Option<PathBuf>,
    /// For reads. One more commits.
    #[serde(default)]
    connections: Option<usize>,
    /// How old the knowledge of what other nodes have changed may get, in milliseconds.
    #[serde(default)]
    staleness_ms: Option<u64>,
    /// A file on another disk that says how far the store had come: a data directory that was put back
    /// to an older state is refused.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// When the rows are compared with what the store says of itself.
    #[serde(default)]
    pub verify: Verify,
}

impl Store {
    pub(super) fn check(&self, data: &Path) -> Result<(), String> {
        let given = self.url.is_some() || self.url_file.is_some();
        let others = [
            ("schema", self.schema.is_some()),
            ("tls_ca", self.tls_ca.is_some()),
            ("connections", self.connections.is_some()),
            ("staleness_ms", self.staleness_ms.is_some()),
            ("url", given),
        ];
        if self.kind == Kind::Embedded
            && let Some((name, _)) = others.iter().find(|(_, is_given)| *is_given)
        {
            return Err(format!("store.{name}: for kind = \"postgresql\" only"));
        }
        if self.kind == Kind::Postgresql && self.url.is_some() == self.url_file.is_some() {
            return Err("store: wants one of url and url_file".into());
        }
        if self.connections.is_some_and(|n| n == 0 || n > MOST_CONNECTIONS) {
            return Err(format!("store.connections: 1 to {MOST_CONNECTIONS}"));
        }
        if self.staleness_ms.is_some_and(|ms| !STALENESS_RANGE_MS.contains(&ms)) {
            let (low, high) = STALENESS_RANGE_MS.into_inner();
            return Err(format!("store.staleness_ms: {low} to {high}"));
        }
        match &self.anchor {
            Some(anchor) if !anchor.is_absolute() || anchor.file_name().is_none() => {
                Err("store.anchor: wants a whole path, of a file".into())
            }
            Some(anchor) if anchor.starts_with(data) => {
                Err("store.anchor: in the data directory it would be put back with it".into())
            }
            _ => Ok(()),
        }
    }

    /// How it is opened by a server.
    pub fn opening(&self) -> Opening {
        let usual = Opening::default().staleness;
        let staleness = self.staleness_ms.map_or(usual, Duration::from_millis);
        Opening { staleness, verify: self.verify }
    }

    /// The same, for whoever works for a moment and serves nobody meanwhile.
    pub fn verified_first(&self) -> Self {
        Self { verify: Verify::BeforeServing, ..self.clone() }
    }

    /// What the backend needs. None for the embedded store. Reads the files.
    pub fn postgresql(&self) -> Result<Option<postgres::Settings>, String> {
        if self.kind == Kind::Embedded {
            return Ok(None);
        }
        let url = match (&self.url, &self.url_file) {
            (Some(url), _) => url.0.clone(),
            (None, Some(path)) => read_url(path)
                .map_err(|what| format!("store.url_file: {}: {what}", path.display()))?,
            (None, None) => return Err("store: wants one of url and url_file".into()),
        };
        let tls = match client_tls(self.tls_ca.as_deref()) {
            Ok(tls) => Some(tls),
            // A machine without authorities may still have its database on itself.
            Err(_) if self.tls_ca.is_none() => None,
            Err(error) => return Err(format!("store.tls_ca: {error}")),
        };
        Ok(Some(postgres::Settings {
            url,
            schema: self.schema.clone().unwrap_or_else(|| SCHEMA.into()),
            tls,
            connections: self.connections.unwrap_or(CONNECTIONS),
        }))
    }
}

/// The URL in a file that nobody else can read, for it holds a password.
fn read_url(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|e| e.to_string())?;
    // A pipe would be waited for.
    if !metadata.is_file() {
        return Err("is no file".into());
    }
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let mode = file.metadata().map_err(|e| e.to_string())?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("has mode {mode:o}; it must be 600"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn read(text: &str) -> Result<Store, String> {
        let store: Store = toml::from_str(text).map_err(|e| e.to_string())?;
        store.check(Path::new("/data")).map(|()| store)
    }

    #[test]
    fn what_is_not_said_is_the_embedded_store() {
        let store = read("").unwrap();
        assert_eq!(
            (store.kind, store.opening().staleness),
            (Kind::Embedded, Duration::from_secs(1))
        );
        assert!(store.postgresql().unwrap().is_none());
    }

    #[test]
    fn a_database_is_named_by_its_url_whose_password_is_not_shown() {
        let text = "kind = \"postgresql\"\nurl = \"postgresql://c:hunter2@127.0.0.1/c\"";
        let store = read(text).unwrap();
        assert!(!format!("{store:?} {:?}", store.postgresql().unwrap()).contains("hunter2"));
        let settings = store.postgresql().unwrap().unwrap();
        assert_eq!((&*settings.schema, settings.connections), ("claviger", 8));
        let store = read(&format!("{text}\nstaleness_ms = 300\nconnections = 2")).unwrap();
        assert_eq!(store.opening().staleness, Duration::from_millis(300));
        assert_eq!(store.postgresql().unwrap().unwrap().connections, 2);
    }

    #[test]
    fn the_url_may_be_in_a_file_that_nobody_else_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("database");
        let store = read(&format!("kind = \"postgresql\"\nurl_file = {path:?}")).unwrap();
        assert!(store.postgresql().unwrap_err().contains("No such file"));
        let folder = read(&format!("kind = \"postgresql\"\nurl_file = {:?}", dir.path())).unwrap();
        assert!(folder.postgresql().unwrap_err().ends_with("is no file"));
        std::fs::write(&path, "postgresql://c:hunter2@127.0.0.1/c\n").unwrap();
        for (mode, refused) in
            [(0o644, true), (0o640, true), (0o604, true), (0o600, false), (0o400, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match store.postgresql() {
                Err(error) => assert!(refused && error.contains("must be 600"), "{error}"),
                Ok(settings) => {
                    assert!(!refused, "{mode:o}");
                    assert_eq!(settings.unwrap().url, "postgresql://c:hunter2@127.0.0.1/c");
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, reason) in [
            ("url = \"postgresql://a@b/c\"", "for kind"),
            ("schema = \"x\"", "for kind"),
            ("kind = \"postgresql\"", "one of url and url_file"),
            ("kind = \"postgresql\"\nurl = \"x\"\nurl_file = \"/x\"", "one of url and url_file"),
            ("kind = \"postgresql\"\nurl = \"x\"\nconnections = 0", "1 to 100"),
            ("kind = \"postgresql\"\nurl = \"x\"\nstaleness_ms = 10", "200 to 60000"),
            ("anchor = \"there\"", "a whole path"),
            ("anchor = \"/\"", "a whole path"),
            ("anchor = \"/data/anchor\"", "put back with it"),
            ("kind = \"mysql\"", "unknown variant"),
            ("sort = \"x\"", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
