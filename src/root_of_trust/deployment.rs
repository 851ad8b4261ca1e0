//! `deployment.json`: which deployment a data directory is, and its domain keys as devices wrapped
//! them. It holds no secret in the clear and is read before the store is touched, so that a wrong
//! device is noticed while nothing has been changed.
use super::{RootError, recovery};
use crate::seal::{self, Label};
use crate::types::Blob;
use claviger_hsm::{RootKeyId, WrappedKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const FILE: &str = "deployment.json";
/// 1 had neither `last_root` nor `mac`, and one domain key. It is read, and written as 2.
pub(super) const FORMAT: u32 = 2;
pub(super) const FIRST_FORMAT: u32 = 1;
/// The number of the oldest domain key, for good: the chains of the store and of the audit log are keyed
/// by it.
pub(super) const FIRST_GENERATION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub(super) format: u32,
    pub(super) cluster: Uuid,
    /// Whether the store behind this file was made. Until then nothing has been acknowledged, and
    /// what is there may be thrown away.
    pub ready: bool,
    pub domain_keys: Vec<DomainKey>,
    /// The highest number that a root key has had, once its wraps are gone: a root that was retired does
    /// not come back under its name. Until then it is the highest of those that are named here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_root: Option<u64>,
    /// Grows with each change, where several nodes share the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<u64>,
    /// HMAC by the oldest domain key over all the rest: `binding.rs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
}

/// What every format begins with.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// One generation of the domain key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainKey {
    pub generation: u32,
    pub check: Check,
    /// The same key under each root that may open it.
    pub wraps: Vec<Wrap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    /// The device in words, for messages.
    pub device: String,
    pub root: RootKeyId,
    /// The format is drawn in the crate `claviger-hsm`, that of a recovery key in `recovery/key.rs`.
    wrapped: Blob,
}

impl Wrap {
    pub(super) fn new(device: String, wrapped: WrappedKey) -> Self {
        Self { device, root: wrapped.root, wrapped: Blob(wrapped.bytes) }
    }
    pub fn wrapped(&self) -> WrappedKey {
        WrappedKey { root: self.root.clone(), bytes: self.wrapped.0.clone() }
    }
    /// Whether it opens by a recovery key and by no device.
    pub fn is_recovery(&self) -> bool {
        recovery::is_recovery(&self.root)
    }
}

/// A check value: tells whether an unwrapped key is the one that was wrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check(String);

impl Check {
    pub(super) fn of(key: &[u8; 32]) -> Self {
        Self(hex::encode(seal::mac(key, Label::KEY_CHECK, &[])))
    }
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
    pub(super) fn matches(&self, key: &[u8; 32]) -> bool {
        hex::decode(&self.0)
            .is_ok_and(|expected| seal::mac_matches(key, Label::KEY_CHECK, &[], &expected))
    }
}

impl Deployment {
    pub(super) fn new(cluster: Uuid, domain_key: DomainKey) -> Self {
        let domain_keys = vec![domain_key];
        let (last_root, revision, mac) = (None, None, None);
        Self { format: FORMAT, cluster, ready: false, domain_keys, last_root, revision, mac }
    }

    pub fn cluster(&self) -> [u8; 16] {
        *self.cluster.as_bytes()
    }

    /// What tells a deployment from one that somebody made up under the same id: the check value of its oldest
    /// domain key, which no other key has. In hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let oldest = self.domain_keys.iter().min_by_key(|key| key.generation);
        oldest.map(|key| key.check.as_str().to_owned()).unwrap_or_default()
    }

    /// The roots that open it, by name: those in devices.
    pub fn roots(&self) -> impl Iterator<Item = &RootKeyId> {
        self.wraps().filter(|wrap| !wrap.is_recovery()).map(|wrap| &wrap.root)
    }

    pub fn wraps(&self) -> impl Iterator<Item = &Wrap> {
        self.domain_keys.iter().flat_map(|key| &key.wraps)
    }

    /// What the names of root keys in devices begin with.
    pub(super) fn root_prefix(&self) -> String {
        format!("claviger/{}/rk-d/", self.cluster)
    }

    /// The number in a root key's name, if it is one of this deployment.
    pub(super) fn root_number(&self, root: &RootKeyId) -> Option<u64> {
        let number = root.as_str().strip_prefix(&self.root_prefix())?;
        number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())?
    }

    pub(super) fn root(&self, number: u64) -> RootKeyId {
        RootKeyId::new(format!("{}{number}", self.root_prefix()))
    }

    /// The highest number that a root key has or has had.
    pub(super) fn last_root(&self) -> u64 {
        let named = self.roots().filter_map(|root| self.root_number(root)).max();
        named.unwrap_or_default().max(self.last_root.unwrap_or_default())
    }

    /// Takes every wrap of a root out.
    pub(super) fn remove_root(&mut self, root: &RootKeyId) {
        self.last_root = Some(self.last_root());
        for domain_key in &mut self.domain_keys {
            domain_key.wraps.retain(|wrap| wrap.root != *root);
        }
    }

    /// Puts a wrap in, in place of the one of the same root.
    pub(super) fn put(&mut self, generation: u32, wrap: Wrap) {
        let all = self.domain_keys.iter_mut();
        for domain_key in all.filter(|key| key.generation == generation) {
            match domain_key.wraps.iter_mut().find(|other| other.root == wrap.root) {
                Some(other) => *other = wrap.clone(),
                None => domain_key.wraps.push(wrap.clone()),
            }
        }
    }

    pub fn path(data: &Path) -> PathBuf {
        data.join(FILE)
    }

    /// The deployment of a data directory; none if it has not been made yet.
    pub fn read(data: &Path) -> Result<Option<Self>, RootError> {
        let path = Self::path(data);
        let bad = |what: String| RootError::Deployment { path: path.clone(), what };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(bad(e.to_string())),
        };
        Self::parse(&path, &text).map(Some)
    }

    /// The deployment in the text of such a file; `path` is for messages.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, RootError> {
        let bad = |what: String| RootError::Deployment { path: path.to_owned(), what };
        let unread = |e: serde_json::Error| bad(format!("cannot be read: {e}"));
        // First: a newer format may have fields that this version does not know.
        let Head { format } = serde_json::from_slice(text).map_err(unread)?;
        if !(FIRST_FORMAT..=FORMAT).contains(&format) {
            let newer = if format > FORMAT { "; a newer version of claviger wrote it" } else { "" };
            return Err(bad(format!(
                "has format {format}, and this version reads {FIRST_FORMAT} to {FORMAT}{newer}. Nothing was \
                 changed"
            )));
        }
        let deployment: Self = serde_json::from_slice(text).map_err(unread)?;
        if deployment.domain_keys.is_empty() {
            return Err(bad("names no domain key".into()));
        }
        if let Some(e) = deployment.wraps().find_map(|wrap| wrap.root.check().err()) {
            return Err(bad(e.to_string()));
        }
        if let Some(twice) = deployment.twice() {
            return Err(bad(format!("names {twice} twice")));
        }
        if format == FIRST_FORMAT && !deployment.is_first() {
            return Err(bad(format!(
                "has format {FIRST_FORMAT} and says more than it could say: that format has one domain key, \
                 number {FIRST_GENERATION}, under one root in a device, and no MAC. It was changed: \
                 restore it from a backup"
            )));
        }
        Ok(deployment)
    }

    /// Whether this one opens whatever the other one opens: it has each of its domain keys.
    pub fn covers(&self, other: &Self) -> bool {
        let has = |key: &DomainKey| {
            let same = |own: &DomainKey| own.generation == key.generation && own.check == key.check;
            self.domain_keys.iter().any(same)
        };
        self.cluster == other.cluster && other.domain_keys.iter().all(has)
    }

    /// What must stand there once and does not.
    fn twice(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        for DomainKey { generation, wraps, .. } in &self.domain_keys {
            if !seen.insert((*generation, None)) {
                return Some(format!("generation {generation} of the domain key"));
            }
            let twice = wraps.iter().find(|wrap| !seen.insert((*generation, Some(&wrap.root))));
            if let Some(wrap) = twice {
                return Some(format!("the wrap of domain key {generation} by {}", wrap.root));
            }
        }
        None
    }

    /// Replaces the file whole: beside it, synced, renamed, the directory synced.
    pub fn write(&self, data: &Path) -> Result<(), RootError> {
        let path = Self::path(data);
        let attempt = || -> std::io::Result<()> {
            let beside = path.with_extension("json.new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(data)?.sync_all()
        };
        attempt().map_err(|e| RootError::Deployment { path: path.clone(), what: e.to_string() })
    }
}
