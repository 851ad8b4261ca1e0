//! The trait, by the token.

use super::super::fault::Fault;
use super::super::negotiate::LABEL;
use super::super::session_pool::Lent;
use super::super::wrap::Device;
use super::super::{Pkcs11Hsm, attributes};
use super::{objects, plan};
use crate::resident::{bad_peer, public_key, sealed};
use crate::wrapped::check_aad_len;
use crate::{
    BrokenKey, Hash, HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentReport, ResidentSpec,
    SignatureScheme,
};
use std::sync::PoisonError;

impl Pkcs11Hsm {
    /// Why a key cannot be used, if it cannot.
    fn why_broken(&self, session: &Lent<'_>, id: &ResidentId) -> Result<Option<String>, Fault> {
        let checked = objects::find_one(self.device(session), id)
            .and_then(|object| self.check_held(session, id, object));
        match checked {
            Ok(_) => Ok(None),
            Err(Fault::Hsm(HsmError::NoSuchResidentKey { .. })) => {
                Ok(Some("none of its objects is a key".into()))
            }
            Err(fault) if fault.is_stale() => Err(fault),
            Err(fault) => Ok(Some(HsmError::from(fault).to_string())),
        }
    }
}

impl ResidentKeys for Pkcs11Hsm {
    fn specs(&self) -> Vec<ResidentSpec> {
        self.offered()
    }

    fn generate(&self, id: &ResidentId, spec: ResidentSpec) -> Result<Option<Vec<u8>>, HsmError> {
        id.check()?;
        if id.as_str().starts_with(LABEL) {
            let text = format!("{id}: keys of this name are thrown away after trials");
            return Err(HsmError::Refused(text));
        }
        spec.check_offered(&self.offered())?;
        // The lock guards no data.
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        self.require_keeping()?;
        let serves = self.serves(spec)?;
        Ok(self.pool.once(|session| self.generate_in(session, id, spec, &serves))?)
    }

    fn check(&self, id: &ResidentId, public: Option<&[u8]>) -> Result<ResidentReport, HsmError> {
        Ok(self.run(|session| {
            let key = self.find_key(session, id, public)?;
            let spec = key.found.spec;
            let shown = attributes::shown_of(key.device, key.found.key, plan::wanted(spec));
            let attributes = shown.into_iter().map(|one| (one.name, one.value)).collect();
            Ok(ResidentReport { spec, attributes })
        })?)
    }

    fn destroy(&self, id: &ResidentId) -> Result<(), HsmError> {
        id.check()?;
        let find = |device: Device<'_>| match objects::all_of(device, id)? {
            none if none.is_empty() => Err(objects::none(device, id)?),
            all => Ok(all),
        };
        self.destroy_objects(&format!("resident key {id}"), find, || self.forget_key(id))
    }

    fn resident_keys(&self) -> Result<Vec<ResidentId>, HsmError> {
        Ok(self.run(|session| objects::names(self.device(session)))?)
    }

    fn broken(&self) -> Result<Vec<BrokenKey>, HsmError> {
        Ok(self.run(|session| {
            let mut broken = Vec::new();
            for id in objects::names(self.device(session))? {
                let reason = self.why_broken(session, &id)?;
                broken.extend(reason.map(|reason| BrokenKey { id, reason }));
            }
            Ok(broken)
        })?)
    }

    fn encrypt(
        &self,
        id: &ResidentId,
        plaintext: &KeyBytes,
        aad: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        sealed::check_plaintext_len(plaintext.expose().len())?;
        check_aad_len(aad)?;
        Ok(self.run_with_key(id, |key| key.encrypt(plaintext, aad))?)
    }

    fn decrypt(&self, id: &ResidentId, sealed: &[u8], aad: &[u8]) -> Result<KeyBytes, HsmError> {
        sealed::decode(sealed)?;
        check_aad_len(aad)?;
        self.run_with_key(id, |key| key.decrypt(sealed, aad)).map_err(|fault| {
            // A token that does not open what it certainly encrypted says nothing of this one.
            fault.of_unwrap(|| {
                self.run_with_key(id, |key| self.residents.proofs.opens(key))
                    .is_ok_and(|opens| opens)
            })
        })
    }

    fn sign(
        &self,
        id: &ResidentId,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, HsmError> {
        Ok(self.run_with_key(id, |key| key.sign(scheme, digest))?)
    }

    fn mac(&self, id: &ResidentId, hash: Hash, message: &[u8]) -> Result<Vec<u8>, HsmError> {
        Ok(self.run_with_key(id, |key| key.mac(hash, message))?)
    }

    fn decrypt_oaep(
        &self,
        id: &ResidentId,
        hash: Hash,
        ciphertext: &[u8],
    ) -> Result<KeyBytes, HsmError> {
        self.run_with_key(id, |key| key.decrypt_oaep(hash, ciphertext)).map_err(|fault| {
            fault.of_unwrap(|| {
                self.run_with_key(id, |key| {
                    let public = key.found.rsa.as_deref().unwrap_or_default();
                    Ok(key.routes(public)? == key.found.routes)
                })
                .is_ok_and(|still| still)
            })
        })
    }

    fn agree(&self, id: &ResidentId, peer: &[u8]) -> Result<KeyBytes, HsmError> {
        Ok(self.run_with_key(id, |key| {
            let curve = key.curve_to_agree()?;
            // Before the token sees it: not every token looks whether it is on the curve.
            key.agree(public_key::point(curve, peer).ok_or_else(|| bad_peer(curve))?)
        })?)
    }
}
