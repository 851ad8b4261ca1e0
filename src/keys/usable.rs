//! A key that may be used now. Encrypting, signing and the like are methods of it, so that none of them
//! can be reached past the key's state or with material that has expired.
use super::ciphertext::KeyIdBytes;
use super::resident::InDevice;
use super::stores::external::Asking;
use super::{Found, KeyError};
use crate::authorize::Authorized;
use crate::devices::{Device, Devices};
use crate::store::StoreError;
use crate::types::Timestamp;
use std::ops::Deref;

/// Made by [`Authorized::usable`] alone.
#[derive(Debug)]
pub struct Usable {
    key: Authorized<Found>,
    /// What the key lives in, if it is no record of the store.
    device: Option<Device>,
    /// Who asks, of a key in an external key store.
    asking: Option<Asking>,
}

impl Deref for Usable {
    type Target = Found;
    fn deref(&self) -> &Found {
        &self.key
    }
}

impl Authorized<Found> {
    /// Refuses a key whose state or whose imported material does not take the operation now.
    pub fn usable(
        self,
        operation: &'static str,
        now: Timestamp,
        devices: &Devices,
    ) -> Result<Usable, KeyError> {
        self.permits(operation)?;
        self.unexpired(now)?;
        let device = self.device(devices)?;
        Ok(Usable { key: self, device, asking: None })
    }
}

impl Usable {
    /// The same, with who asks the proxy if the key is in an external key store.
    #[must_use]
    pub fn asking_for(self, asking: impl FnOnce() -> Asking) -> Self {
        let asking = self.external.is_some().then(asking);
        Self { asking, ..self }
    }

    pub(super) fn asking(&self) -> Option<&Asking> {
        self.asking.as_ref()
    }

    /// The key in its device, if it lives in one.
    pub(super) fn in_device(&self) -> Result<Option<InDevice<'_>>, KeyError> {
        let Some(device) = self.device.clone() else { return Ok(None) };
        let missing = || StoreError::Corrupt(format!("{} has no record of its object", self.arn));
        let record = self.resident.clone().ok_or_else(missing)?;
        Ok(Some(InDevice { key: self, record, device }))
    }

    pub(super) fn id_bytes(&self) -> Result<KeyIdBytes, KeyError> {
        let broken = |_| StoreError::Corrupt(format!("{} is not a key id", self.id));
        Ok(self.id.parse().map_err(broken)?)
    }
}
