//! The guard as a device: every method is a call through the pool. Arguments are copied, because
//! the device may still have them when the caller has been told that it is too late.

use super::{Guarded, Pace};
use crate::{
    Attestation, BrokenKey, Challenge, DeviceHealth, DeviceInfo, Hash, Hsm, HsmError, KeyBytes,
    ResidentId, ResidentKeys, ResidentReport, ResidentSpec, RootKeyId, SignatureScheme, WrappedKey,
};
use zeroize::Zeroizing;

impl Hsm for Guarded {
    /// As it was when the guard was made: asking must not hang.
    fn info(&self) -> DeviceInfo {
        self.info.clone()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        let len = out.len();
        let bytes = self.call(Pace::Usual, move |device| {
            let mut bytes = Zeroizing::new(vec![0; len]);
            device.random(&mut bytes)?;
            Ok(bytes)
        })?;
        out.copy_from_slice(&bytes);
        Ok(())
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let id = id.clone();
        self.call(Pace::Slow, move |device| device.create_root_key(&id))
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let id = id.clone();
        self.call(Pace::Slow, move |device| device.destroy_root_key(&id))
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        self.call(Pace::Usual, |device| device.root_keys())
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let id = id.clone();
        self.call(Pace::Usual, move |device| device.check_root_key(&id))
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        let (root, key, aad) = (root.clone(), key.clone(), aad.to_vec());
        self.call(Pace::Usual, move |device| device.wrap(&root, &key, &aad))
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (wrapped, aad) = (wrapped.clone(), aad.to_vec());
        self.call(Pace::Usual, move |device| device.unwrap(&wrapped, &aad))
    }

    fn probe(&self) -> Result<(), HsmError> {
        self.call(Pace::Usual, |device| device.probe())
    }

    #[cfg(feature = "pkcs11")]
    fn token_report(&self) -> Result<Option<crate::pkcs11::Report>, HsmError> {
        self.call(Pace::Slow, |device| device.token_report())
    }

    fn calls_at_once(&self) -> Option<usize> {
        self.shared.device().calls_at_once()
    }

    fn health(&self) -> Option<DeviceHealth> {
        let mut health = self.shared.device().health().unwrap_or_default();
        health.guard = Some(self.status());
        Some(health)
    }

    fn resident(&self) -> Option<&dyn ResidentKeys> {
        self.specs.as_ref().map(|_| self as &dyn ResidentKeys)
    }

    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        let root = root.clone();
        self.call(Pace::Slow, move |device| device.root_key_claims(&root))
    }

    fn certify_root_key(
        &self,
        root: &RootKeyId,
        nonce: &[u8],
    ) -> Result<Option<Attestation>, HsmError> {
        let (root, nonce) = (root.clone(), nonce.to_vec());
        self.call(Pace::Slow, move |device| device.certify_root_key(&root, &nonce))
    }

    fn answer_challenge(&self, challenge: &Challenge) -> Result<KeyBytes, HsmError> {
        let challenge = challenge.clone();
        self.call(Pace::Slow, move |device| device.answer_challenge(&challenge))
    }
}

impl Guarded {
    fn call_resident<T: Send + 'static>(
        &self,
        pace: Pace,
        op: impl FnOnce(&dyn ResidentKeys) -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        self.call(pace, |device| match device.resident() {
            Some(keys) => op(keys),
            None => Err(HsmError::Unsupported("it has no resident keys any more".into())),
        })
    }
}

impl ResidentKeys for Guarded {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.specs.clone().unwrap_or_default()
    }

    fn epoch(&self) -> u64 {
        self.shared.device().resident().map_or(0, ResidentKeys::epoch)
    }

    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        let id = id.clone();
        self.call_resident(Pace::Slow, move |keys| keys.generate(&id, spec))
    }

    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        let (id, public) = (id.clone(), public.map(<[u8]>::to_vec));
        self.call_resident(Pace::Usual, move |keys| keys.check(&id, public.as_deref()))
    }

    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        let id = id.clone();
        self.call_resident(Pace::Slow, move |keys| keys.destroy(&id))
    }

    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        self.call_resident(Pace::Usual, |keys| keys.resident_keys())
    }

    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        self.call_resident(Pace::Slow, |keys| keys.broken())
    }

    fn encrypt(
        &self,
        id: &ResidentId,
        plaintext: &KeyBytes,
        aad: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        let (id, plaintext, aad) = (id.clone(), plaintext.clone(), aad.to_vec());
        self.call_resident(Pace::Usual, move |keys| keys.encrypt(&id, &plaintext, &aad))
    }

    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (id, sealed, aad) = (id.clone(), sealed.to_vec(), aad.to_vec());
        self.call_resident(Pace::Usual, move |keys| keys.decrypt(&id, &sealed, &aad))
    }

    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        let (id, digest) = (id.clone(), digest.to_vec());
        self.call_resident(Pace::Usual, move |keys| keys.sign(&id, scheme, &digest))
    }

    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        let (id, message) = (id.clone(), Zeroizing::new(message.to_vec()));
        self.call_resident(Pace::Usual, move |keys| keys.mac(&id, hash, &message))
    }

    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        let (id, ciphertext) = (id.clone(), ciphertext.to_vec());
        self.call_resident(Pace::Usual, move |keys| keys.decrypt_oaep(&id, hash, &ciphertext))
    }

    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        let (id, peer) = (id.clone(), peer.to_vec());
        self.call_resident(Pace::Usual, move |keys| keys.agree(&id, &peer))
    }
}
