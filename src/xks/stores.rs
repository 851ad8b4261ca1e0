//! The key stores that are served, ready for use.
use super::XksError;
use super::gate::Gate;
use super::health::Fleet;
use super::permission::Permission;
use super::rate::Rate;
use super::settings::{InvalidXks, KeySettings, Settings, Usage};
use super::target::Target;
use crate::external::RequestMetadata;
use crate::types::{AccountId, Region};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Requests at work at once with one key, mostly waiting for the audit log, or for a device. A key whose
/// device hangs holds up no other one.
const PLACES: usize = 128;

#[derive(Debug)]
pub(super) struct Store {
    /// `XksProxyUriPath`.
    pub(super) path: String,
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) rate: Rate,
    pub(super) keys: BTreeMap<String, ExternalKey>,
    pub(super) fleet: Fleet,
}

#[derive(Debug)]
pub(super) struct ExternalKey {
    pub(super) target: Target,
    pub(super) encrypts: bool,
    pub(super) decrypts: bool,
    pub(super) permission: Permission,
    /// What its work waits at.
    pub(super) gate: Arc<Gate>,
}

/// All stores, in the order of the configuration.
pub(super) fn stores(settings: &[Settings]) -> Result<Vec<Store>, InvalidXks> {
    Settings::check(settings)?;
    let store = |one: &Settings| {
        let keys: BTreeMap<_, _> =
            one.keys.iter().map(|key| (key.id.clone(), external_key(key))).collect();
        Store {
            path: one.path(),
            account: one.account.clone(),
            region: one.region.clone(),
            rate: Rate::new(one.rate),
            fleet: Fleet::of(keys.values()),
            keys,
        }
    };
    Ok(settings.iter().map(store).collect())
}

fn external_key(key: &KeySettings) -> ExternalKey {
    ExternalKey {
        target: Target(key.kms_key.clone()),
        encrypts: key.usage.contains(&Usage::Encrypt),
        decrypts: key.usage.contains(&Usage::Decrypt),
        permission: Permission {
            principals: key.principals.clone(),
            kms_keys: key.kms_keys.clone(),
        },
        gate: Arc::new(Gate::new(PLACES)),
    }
}

impl Store {
    /// The key, if it is for whoever asks.
    pub(super) fn key(
        &self,
        id: &str,
        metadata: &RequestMetadata,
    ) -> Result<&ExternalKey, XksError> {
        let key = self.keys.get(id).ok_or(XksError::KeyNotFound)?;
        key.permission.check(metadata)?;
        Ok(key)
    }
}
