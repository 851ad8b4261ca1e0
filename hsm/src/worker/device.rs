//! The helper as a device: every method is a request, and every answer is checked to be one to it.

use super::child::MAX_RANDOM;
use super::config::{HelperConfig, HelperStatus};
use super::message::{Answer, OpenRequest, Request};
use super::pins::PinRule;
use super::supervisor::{Opened, Supervisor};
use crate::pkcs11::Report;
use crate::{
    BrokenKey, DeviceHealth, DeviceInfo, Hash, Hsm, HsmError, KeyBytes, ResidentId, ResidentKeys,
    ResidentReport, ResidentSpec, RootKeyId, SignatureScheme, WrappedKey,
};
use std::fmt;
use std::sync::Arc;

/// A device in a process of its own.
pub struct HelperHsm {
    opened: Opened,
    supervisor: Supervisor,
}

impl HelperHsm {
    /// Starts a helper, which opens the device. What the device says against that is the error.
    pub fn start(config: HelperConfig, device: OpenRequest) -> Result<Self, HsmError> {
        Self::start_by(config, device, Arc::new(PinRule::new()?))
    }

    /// [`HelperHsm::start`], where it may have been tried before: a PIN that was not accepted then
    /// is not tried now.
    pub fn start_by(
        config: HelperConfig,
        device: OpenRequest,
        pins: Arc<PinRule>,
    ) -> Result<Self, HsmError> {
        let supervisor = Supervisor::start(config, device, pins)?;
        let Some(opened) = supervisor.opened() else {
            return Err(HsmError::Unavailable("its helper process opened nothing".into()));
        };
        Ok(Self { opened, supervisor })
    }

    pub fn status(&self) -> HelperStatus {
        self.supervisor.status()
    }

    /// Makes a request; `take` takes from the answer what was asked for, if it is that.
    fn ask<T>(
        &self,
        request: &Request,
        wanted: &str,
        take: impl FnOnce(Answer) -> Option<T>,
    ) -> Result<T, HsmError> {
        let answer = self.supervisor.call(request)?;
        let found = answer.name();
        take(answer).ok_or_else(|| self.supervisor.distrust(wanted, found))
    }

    fn done(&self, request: &Request) -> Result<(), HsmError> {
        self.ask(request, "Done", |answer| match answer {
            Answer::Done => Some(()),
            _ => None,
        })
    }

    fn bytes(&self, request: &Request) -> Result<Vec<u8>, HsmError> {
        self.ask(request, "Bytes", |answer| match answer {
            Answer::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn secret(&self, request: &Request) -> Result<KeyBytes, HsmError> {
        self.ask(request, "Secret", |answer| match answer {
            Answer::Secret(bytes) => Some(bytes),
            _ => None,
        })
    }
}

impl Hsm for HelperHsm {
    fn info(&self) -> DeviceInfo {
        self.opened.info.clone()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        let most = usize::try_from(MAX_RANDOM).unwrap_or(usize::MAX);
        for chunk in out.chunks_mut(most) {
            let request = Request::Random(u32::try_from(chunk.len()).unwrap_or(MAX_RANDOM));
            let wanted = format!("Secret of {} bytes", chunk.len());
            let bytes = self.ask(&request, &wanted, |answer| match answer {
                Answer::Secret(bytes) if bytes.expose().len() == chunk.len() => Some(bytes),
                _ => None,
            })?;
            chunk.copy_from_slice(bytes.expose());
        }
        Ok(())
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.done(&Request::CreateRootKey(id.clone()))
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.done(&Request::DestroyRootKey(id.clone()))
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.ask(&Request::RootKeys, "RootKeys", |answer| match answer {
            Answer::RootKeys(ids) => Some(ids),
            _ => None,
        })
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.done(&Request::CheckRootKey(id.clone()))
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        let request = Request::Wrap { root: root.clone(), key: key.clone(), aad: aad.to_vec() };
        let wanted = format!("Wrapped under {root}");
        self.ask(&request, &wanted, |answer| match answer {
            Answer::Wrapped(wrapped) if wrapped.root == *root => Some(wrapped),
            _ => None,
        })
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        self.secret(&Request::Unwrap {
            root: wrapped.root.clone(),
            wrapped: wrapped.bytes.clone(),
            aad: aad.to_vec(),
        })
    }

    fn probe(&self) -> Result<(), HsmError> {
        self.done(&Request::Probe)
    }

    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        self.ask(&Request::RootKeyClaims(root.clone()), "Claims", |answer| match answer {
            Answer::Claims(claims) => Some(claims),
            _ => None,
        })
    }

    fn token_report(&self) -> Result<Option<Report>, HsmError> {
        self.ask(&Request::Report, "Report", |answer| match answer {
            Answer::Report(report) => Some(report.map(|report| *report)),
            _ => None,
        })
    }

    fn calls_at_once(&self) -> Option<usize> {
        self.opened.at_once.map(usize::from)
    }

    fn health(&self) -> Option<DeviceHealth> {
        Some(DeviceHealth { guard: None, helper: Some(self.status()) })
    }

    fn resident(&self) -> Option<&dyn ResidentKeys> {
        self.opened.specs.as_ref().map(|_| self as &dyn ResidentKeys)
    }
}

impl ResidentKeys for HelperHsm {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.opened.specs.clone().unwrap_or_default()
    }

    fn epoch(&self) -> u64 {
        self.supervisor.status().starts
    }

    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        self.ask(&Request::Generate(id.clone(), spec), "PublicKey", |answer| match answer {
            Answer::PublicKey(key) => Some(key),
            _ => None,
        })
    }

    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        let request = Request::CheckResident(id.clone(), public.map(<[u8]>::to_vec));
        self.ask(&request, "Checked", |answer| match answer {
            Answer::Checked(report) => Some(report),
            _ => None,
        })
    }

    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        self.done(&Request::Destroy(id.clone()))
    }

    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        self.ask(&Request::ResidentKeys, "ResidentKeys", |answer| match answer {
            Answer::ResidentKeys(ids) => Some(ids),
            _ => None,
        })
    }

    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        self.ask(&Request::Broken, "Broken", |answer| match answer {
            Answer::Broken(keys) => Some(keys),
            _ => None,
        })
    }

    fn encrypt(
        &self,
        id: &ResidentId,
        plaintext: &KeyBytes,
        aad: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        let (id, plaintext, aad) = (id.clone(), plaintext.clone(), aad.to_vec());
        self.bytes(&Request::Encrypt { id, plaintext, aad })
    }

    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (id, sealed, aad) = (id.clone(), sealed.to_vec(), aad.to_vec());
        self.secret(&Request::Decrypt { id, sealed, aad })
    }

    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        self.bytes(&Request::Sign { id: id.clone(), scheme, digest: digest.to_vec() })
    }

    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        let message = KeyBytes::new(message.to_vec());
        self.bytes(&Request::Mac { id: id.clone(), hash, message })
    }

    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        let ciphertext = ciphertext.to_vec();
        self.secret(&Request::DecryptOaep { id: id.clone(), hash, ciphertext })
    }

    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        self.secret(&Request::Agree { id: id.clone(), peer: peer.to_vec() })
    }
}

impl fmt::Debug for HelperHsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperHsm").field("device", &self.opened.info).finish_non_exhaustive()
    }
}
