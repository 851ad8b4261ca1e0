//! `deployment.json`: which deployment a data directory is, and its domain keys as devices wrapped
//! them. It holds no secret in the clear and is read before the store is touched, so that a wrong
//! device is noticed while nothing has been changed.
use super::RootError;
use crate::seal::{self, Label};
use crate::types::Blob;
use claviger_hsm::{RootKeyId, WrappedKey};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const FILE: &str = "deployment.json";
const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    format: u32,
    cluster: Uuid,
    /// Whether the store behind this file was made. Until then nothing has been acknowledged, and
    /// what is there may be thrown away.
    pub ready: bool,
    pub domain_keys: Vec<DomainKey>,
}

/// One generation of the domain key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainKey {
    pub generation: u32,
    pub check: Check,
    /// The same key under each root that may open it.
    pub wraps: Vec<Wrap>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    /// The device in words, for messages.
    pub device: String,
    pub root: RootKeyId,
    /// The format is drawn in the crate `claviger-hsm`.
    wrapped: Blob,
}

impl Wrap {
    pub(super) fn new(device: String, wrapped: WrappedKey) -> Self {
        Self { device, root: wrapped.root, wrapped: Blob(wrapped.bytes) }
    }
    pub(super) fn wrapped(&self) -> WrappedKey {
        WrappedKey { root: self.root.clone(), bytes: self.wrapped.0.clone() }
    }
}

/// A check value: tells whether an unwrapped key is the one that was wrapped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check(String);

impl Check {
    pub(super) fn of(key: &[u8; 32]) -> Self {
        Self(hex::encode(seal::mac(key, Label::KEY_CHECK, &[])))
    }
    pub(super) fn matches(&self, key: &[u8; 32]) -> bool {
        hex::decode(&self.0)
            .is_ok_and(|expected| seal::mac_matches(key, Label::KEY_CHECK, &[], &expected))
    }
}

impl Deployment {
    pub(super) fn new(cluster: Uuid, domain_key: DomainKey) -> Self {
        Self { format: FORMAT, cluster, ready: false, domain_keys: vec![domain_key] }
    }

    pub fn cluster(&self) -> [u8; 16] {
        *self.cluster.as_bytes()
    }

    /// The roots that open it, by name.
    pub fn roots(&self) -> impl Iterator<Item = &RootKeyId> {
        self.domain_keys.iter().flat_map(|key| key.wraps.iter().map(|wrap| &wrap.root))
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
        let deployment: Self =
            serde_json::from_slice(&text).map_err(|e| bad(format!("cannot be read: {e}")))?;
        if deployment.format != FORMAT {
            let text = format!("has format {}, this version reads {FORMAT}", deployment.format);
            return Err(bad(text));
        }
        if deployment.domain_keys.is_empty() {
            return Err(bad("names no domain key".into()));
        }
        if let Some(e) = deployment.roots().find_map(|root| root.check().err()) {
            return Err(bad(e.to_string()));
        }
        Ok(Some(deployment))
    }

    /// Says that the store is made: from now on an empty one is a lost one.
    pub fn mark_ready(&mut self, data: &Path) -> Result<(), RootError> {
        self.ready = true;
        self.write(data)
    }

    /// Replaces the file whole: beside it, synced, renamed, the directory synced.
    pub(super) fn write(&self, data: &Path) -> Result<(), RootError> {
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
