//! What the first and the last frame say, and who can open what lies between.
use super::BackupError;
use crate::root_of_trust::Deployment;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::Path;
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    /// The version of the program that wrote it.
    pub program: String,
    /// The deployment's id.
    pub cluster: Uuid,
    /// ISO 8601, by the clock of the server.
    pub created: String,
    /// The highest revision that the store had acknowledged.
    pub revision: u64,
    /// `deployment.json` as it was: the domain keys, wrapped.
    deployment: Box<RawValue>,
}

impl Header {
    /// Of the backup in `path`. `deployment` is the text of the file.
    pub(super) fn new(
        path: &Path,
        deployment: String,
        created: String,
        revision: u64,
    ) -> Result<Self, BackupError> {
        let parsed = Deployment::parse(path, deployment.as_bytes())?;
        let deployment = RawValue::from_string(deployment)
            .map_err(|e| BackupError::broken(path, e.to_string()))?;
        Ok(Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: Uuid::from_bytes(parsed.cluster()),
            created,
            revision,
            deployment,
        })
    }

    /// Refuses text that could play tricks on the terminal on which it is shown: nobody vouches for it yet.
    pub(super) fn check_text(&self, path: &Path) -> Result<(), BackupError> {
        let deployment = self.deployment(path)?;
        let devices = deployment.wraps().map(|wrap| &wrap.device);
        match devices.chain([&self.program, &self.created]).all(|text| is_plain(text)) {
            true => Ok(()),
            false => Err(BackupError::broken(path, "has a header that cannot be shown")),
        }
    }

    /// Whether both are of the same backup, read twice.
    pub fn is_same(&self, other: &Self) -> bool {
        let text = |header: &Self| header.deployment.get().to_owned();
        (self.cluster, self.revision, &self.created, text(self))
            == (other.cluster, other.revision, &other.created, text(other))
    }

    /// The deployment of the backup in `path`.
    pub fn deployment(&self, path: &Path) -> Result<Deployment, BackupError> {
        let deployment = Deployment::parse(path, self.deployment.get().as_bytes())?;
        if deployment.cluster() != *self.cluster.as_bytes() {
            return Err(BackupError::broken(path, "is of one deployment and has another's keys"));
        }
        Ok(deployment)
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= 1024 && !text.chars().any(char::is_control)
}

/// What the last frame says of those before it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) rows: u64,
    /// HMAC by the backup key of the deployment over the digest of the frame before, in hexadecimal digits.
    pub(super) mac: String,
}

/// A root or a recovery key that opens a backup, alone: it wraps every domain key in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Opener {
    pub root: String,
    /// The device that made the wraps, as it called itself.
    pub device: String,
    pub recovery: bool,
    /// The domain keys that it wraps. Whoever has not all of them needs others besides.
    pub domain_keys: Vec<u32>,
}

/// Who can open what is sealed under the domain keys of a deployment.
pub fn openers(deployment: &Deployment) -> Vec<Opener> {
    let mut found: BTreeMap<String, Opener> = BTreeMap::new();
    for domain_key in &deployment.domain_keys {
        for wrap in &domain_key.wraps {
            let root = wrap.root.to_string();
            let opener = found.entry(root.clone()).or_insert_with(|| Opener {
                root,
                device: wrap.device.clone(),
                recovery: wrap.is_recovery(),
                domain_keys: Vec::new(),
            });
            opener.domain_keys.push(domain_key.generation);
        }
    }
    found.into_values().collect()
}
