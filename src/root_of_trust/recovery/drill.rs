//! What shows a server that custodians have opened its domain keys with the recovery key: the shares stay
//! with them, and its word alone is no proof.
use super::super::deployment::Deployment;
use super::{RecoveryError, Seed, open};
use crate::memory::LockedKey;
use crate::seal::{self, Label};
use claviger_hsm::RootKeyId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// For each domain key an HMAC by it over the wrap that was opened, in hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DrillProof {
    pub root: RootKeyId,
    macs: BTreeMap<u32, String>,
}

/// What the HMAC of one domain key is over: its wrap by this root.
fn opened(deployment: &Deployment, generation: u32, root: &RootKeyId) -> Option<Vec<u8>> {
    let mut all = deployment.domain_keys.iter();
    let domain_key = all.find(|key| key.generation == generation)?;
    let wrap = domain_key.wraps.iter().find(|wrap| wrap.root == *root)?;
    let number = generation.to_be_bytes();
    let parts: [&[u8]; 3] = [&number, root.as_str().as_bytes(), &wrap.wrapped().bytes];
    Some(seal::length_prefixed(&parts))
}

impl DrillProof {
    /// Opens every domain key.
    pub fn make(deployment: &Deployment, seed: &Seed) -> Result<Self, RecoveryError> {
        let root = seed.public()?.root();
        let mac = |(generation, key): (u32, Arc<LockedKey>)| {
            let opened = opened(deployment, generation, &root)?;
            let mac = seal::mac(key.expose(), Label::RECOVERY_DRILL, &[&opened]);
            Some((generation, hex::encode(mac)))
        };
        let macs = open(deployment, seed)?.into_iter().filter_map(mac).collect();
        Ok(Self { root, macs })
    }

    /// Whether it was made by who has these keys, and over these wraps.
    pub(in crate::root_of_trust) fn shows(
        &self,
        deployment: &Deployment,
        keys: &BTreeMap<u32, Arc<LockedKey>>,
    ) -> bool {
        keys.iter().all(|(generation, key)| {
            let mac = self.macs.get(generation).and_then(|mac| hex::decode(mac).ok());
            let opened = opened(deployment, *generation, &self.root);
            mac.zip(opened).is_some_and(|(mac, opened)| {
                seal::mac_matches(key.expose(), Label::RECOVERY_DRILL, &[&opened], &mac)
            })
        })
    }
}
