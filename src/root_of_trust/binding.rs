//! `deployment.json` is bound to its oldest domain key. Wraps alone prove nothing about who made them:
//! for a public key everybody can wrap, under other roots whoever may use the device. Without this,
//! whoever can write the file could add a domain key of his own, which the next rows and sessions would
//! be sealed under.
//!
//! ```text
//! mac = HMAC-SHA-256(oldest domain key, label deployment ‖ length_prefixed(
//!         u32be(format), cluster (16 bytes), ready (00 or 01),
//!         last_root (u64be; nothing if it is not there),
//!         of each domain key, in the order of the file: length_prefixed(
//!           u32be(generation), check, of each wrap: device, root, wrapped),
//!         revision (u64be; if it is there. No domain key is as short)))
//! ```
//!
//! In the file it stands in hexadecimal digits. The store proves the oldest key: its chain and the audit
//! log's are keyed by it, and it has one number for good. An older file of this deployment's own has a
//! good MAC too.
use super::RootError;
use super::deployment::{Deployment, DomainKey, FIRST_FORMAT, FIRST_GENERATION, FORMAT, Wrap};
use crate::seal::{self, Label};
use std::path::Path;

fn prefixed<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    seal::length_prefixed(&parts)
}

impl DomainKey {
    fn bound(&self) -> Vec<u8> {
        let Self { generation, check, wraps } = self;
        let mut parts = vec![generation.to_be_bytes().to_vec(), check.as_str().into()];
        for wrap in wraps {
            let Wrap { device, root, .. } = wrap;
            parts.extend([device.as_str().into(), root.as_str().into(), wrap.wrapped().bytes]);
        }
        prefixed(&parts)
    }
}

impl Deployment {
    /// What the MAC is over: all but the MAC.
    fn bound(&self) -> Vec<u8> {
        // Named one by one, so that no field is forgotten that will come.
        let Self { format, cluster, ready, domain_keys, last_root, revision, mac: _ } = self;
        let mut parts = vec![
            format.to_be_bytes().to_vec(),
            cluster.as_bytes().to_vec(),
            vec![u8::from(*ready)],
            last_root.map(|number| number.to_be_bytes().to_vec()).unwrap_or_default(),
        ];
        parts.extend(domain_keys.iter().map(DomainKey::bound));
        parts.extend(revision.map(|number| number.to_be_bytes().to_vec()));
        prefixed(&parts)
    }

    /// Whether it says no more than the first format could, which had no MAC: one domain key, number 1,
    /// under one root in a device.
    pub(super) fn is_first(&self) -> bool {
        let one = match self.domain_keys.as_slice() {
            [DomainKey { generation: FIRST_GENERATION, wraps, .. }] => {
                matches!(wraps.as_slice(), [wrap] if !wrap.is_recovery())
            }
            _ => false,
        };
        let nothing_else =
            self.last_root.is_none() && self.revision.is_none() && self.mac.is_none();
        one && self.format == FIRST_FORMAT && nothing_else
    }

    /// In this version's format, bound to its oldest domain key.
    pub(super) fn bind(&mut self, oldest: &[u8; 32]) {
        self.format = FORMAT;
        self.mac = Some(hex::encode(seal::mac(oldest, Label::DEPLOYMENT, &[&self.bound()])));
    }

    /// Whether whoever had the oldest domain key wrote all of this. A file of the first format says so by
    /// nothing, and the store must prove its one domain key.
    pub(super) fn is_bound(&self, oldest: &[u8; 32]) -> bool {
        let first = self.domain_keys.iter().map(|key| key.generation).min();
        let matches =
            |mac: Vec<u8>| seal::mac_matches(oldest, Label::DEPLOYMENT, &[&self.bound()], &mac);
        match &self.mac {
            _ if first != Some(FIRST_GENERATION) => false,
            None => self.is_first(),
            Some(mac) => hex::decode(mac).is_ok_and(matches),
        }
    }

    /// What is said when it is not.
    pub(super) fn unbound(data: &Path) -> RootError {
        let what = "was not written by this deployment, or was changed: its MAC by the oldest domain key \
                    is wrong. Nothing was changed now; restore the file from a backup";
        RootError::Deployment { path: Self::path(data), what: what.into() }
    }
}
