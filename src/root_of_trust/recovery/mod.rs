//! The recovery key: it opens the domain keys when every device is lost. It exists in shares only, each
//! with a custodian, and any few of them (the threshold) bring it back.
//!
//! | module | role |
//! |---|---|
//! | `drill` | how a server is shown that custodians opened it |
//! | `key` | the key pair, and how a domain key is wrapped for it |
//! | `shares` | the seed in shares, the threshold of which are the seed |
//! | `text` | what a share and a public key look like in their files |
mod drill;
mod key;
mod shares;
mod text;

pub use drill::DrillProof;
pub use key::{PublicKey, Seed};
pub use shares::{MAX_SHARES, Share, combine, split};

use super::deployment::{Deployment, DomainKey};
use super::{RootError, RootOfTrust, wrap_aad};
use crate::devices::Devices;
use crate::memory::LockedKey;
use crate::random::Random;
use claviger_hsm::RootKeyId;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the names of recovery keys begin with, where roots in devices have `claviger/…`.
const PREFIX: &str = "recovery/";
/// What stands in a wrap in place of a device.
pub(super) const WORDS: &str = "a recovery key, whose shares custodians keep";

#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("{name}: {what}")]
    File { name: String, what: String },
    #[error("{0}")]
    Shares(String),
    #[error(
        "deployment.json was not written by this deployment, or was changed: its MAC by the oldest domain \
         key is wrong. Nothing was changed now; take the file from another backup"
    )]
    Unbound,
    #[error("the recovery key cannot be calculated with")]
    Key,
    #[error(
        "the wrap for recovery key {0} in deployment.json was not made by this deployment, or was \
         changed"
    )]
    Foreign(String),
    #[error(
        "domain key {generation} does not open by recovery key {root}: the wrap was changed, or is of \
         another deployment. Nothing was changed."
    )]
    Wrong { root: String, generation: u32 },
    #[error(
        "no wrap of domain key {generation} is for recovery key {root}; there are wraps by {found}"
    )]
    NoWrap { root: String, generation: u32, found: String },
}

/// Whether a root is a recovery key.
pub fn is_recovery(root: &RootKeyId) -> bool {
    root.as_str().starts_with(PREFIX)
}

/// Opens every domain key with a recovery key. Changes nothing.
pub fn open(
    deployment: &Deployment,
    seed: &Seed,
) -> Result<BTreeMap<u32, Arc<LockedKey>>, RecoveryError> {
    let private = seed.private()?;
    let root = private.public().root();
    let open = |domain_key: &DomainKey| {
        let generation = domain_key.generation;
        let Some(wrap) = domain_key.wraps.iter().find(|wrap| wrap.root == root) else {
            let found: Vec<&str> = domain_key.wraps.iter().map(|wrap| wrap.root.as_str()).collect();
            let (root, found) = (root.to_string(), found.join(", "));
            return Err(RecoveryError::NoWrap { root, generation, found });
        };
        let wrong = || RecoveryError::Wrong { root: root.to_string(), generation };
        let aad = wrap_aad(&deployment.cluster(), generation, &root);
        let opened = private.unwrap(&wrap.wrapped(), &aad).ok_or_else(wrong)?;
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(opened.as_slice()).map_err(|_| wrong())?);
        match domain_key.check.matches(&bytes) {
            true => Ok((generation, Arc::new(LockedKey::new(&bytes)))),
            false => Err(wrong()),
        }
    };
    let keys: BTreeMap<u32, Arc<LockedKey>> =
        deployment.domain_keys.iter().map(open).collect::<Result<_, RecoveryError>>()?;
    // The recovery key's public half stands in the file: anybody can wrap for it.
    let oldest = keys.first_key_value().map(|(_, key)| key.expose());
    match oldest.is_some_and(|oldest| deployment.is_bound(oldest)) {
        true => Ok(keys),
        false => Err(RecoveryError::Unbound),
    }
}

impl RootOfTrust {
    /// A deployment whose devices are gone, opened by its recovery key. What follows is
    /// [`RootOfTrust::add_wrap`] of a new device.
    pub fn recover(
        devices: Arc<Devices>,
        random: Arc<dyn Random>,
        data: &Path,
        deployment: Deployment,
        seed: &Seed,
    ) -> Result<Self, RootError> {
        let keys = open(&deployment, seed)?;
        Ok(Self::with_keys(devices, random, data, deployment, keys))
    }
}

#[cfg(test)]
mod tests;
