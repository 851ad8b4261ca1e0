//! Sealing a wrapping key under a root key, and opening it again.

use super::blob::SealedObject;
use super::config::Pcrs;
use super::device::Device;
use super::fault::{AUTH_FAIL, BAD_AUTH, Fault, PCR_CHANGED, POLICY_FAIL, VALUE};
use super::policy::{PcrState, Policy};
use super::root::Root;
use super::template;
use crate::hybrid::{self, WRAPPING_KEY_LEN};
use crate::{HsmError, KeyBytes, RootKeyId};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Digest, PcrSelectSize, PcrSelectionList, PcrSelectionListBuilder, PcrSlot, Private, Public,
    SensitiveData,
};
use tss_esapi::traits::{Marshall, UnMarshall};

/// How often PCRs are read again because some changed between two reads.
const PCR_READS: usize = 5;

impl Device {
    /// A fresh wrapping key, sealed under a root key and the PCRs as they are now, opened again and
    /// compared: what `blob.rs` draws, and the key.
    pub fn seal(&mut self, id: &RootKeyId) -> Result<(Vec<u8>, KeyBytes), Fault> {
        self.with_root(id, |device, root| {
            if device.auth.is_some() && root.auth.is_none() {
                // Whoever may write NV could have had the root key made anew without one.
                return Err(HsmError::Refused(format!(
                    "root key {id} was made without an auth value, and one is configured: \
                     it opens keys, but wraps none"
                ))
                .into());
            }
            let random = device.random(root.session, WRAPPING_KEY_LEN)?;
            let short = |_| HsmError::Refused("TPM2_GetRandom gave too few bytes".into());
            let random = <&[u8; WRAPPING_KEY_LEN]>::try_from(random.expose()).map_err(short)?;
            let key = hybrid::wrapping_key(random)?;
            let pcrs = match device.pcrs.clone() {
                Some(pcrs) => Some(device.read_pcrs(pcrs)?),
                None => None,
            };
            let policy = Policy { auth: root.auth.is_some(), pcrs };
            let sealed = device.create(root, policy, &key)?;
            let fails = |reason: &str| HsmError::SelfTest { id: id.clone(), reason: reason.into() };
            if device.open_sealed(root, &sealed)? != key {
                return Err(fails("it opened another key than was sealed").into());
            }
            let blob = sealed.encode().ok_or_else(|| fails("a sealed object is too long"))?;
            Ok((blob, key))
        })
    }

    /// Opens what [`Device::seal`] gave.
    pub fn unseal(&mut self, id: &RootKeyId, sealed: &SealedObject) -> Result<KeyBytes, Fault> {
        self.with_root(id, |device, root| device.open_sealed(root, sealed))
    }

    fn create(
        &mut self,
        root: &Root,
        policy: Policy,
        key: &KeyBytes,
    ) -> Result<SealedObject, Fault> {
        let template = template::sealed_public(&policy, &[])?;
        let secret = SensitiveData::try_from(key.expose()).map_err(Fault::of("sealing"))?;
        let made = self.command_in(root.session, "TPM2_Create", |context| {
            let auth = root.auth.clone();
            context.create(root.handle, template, auth, Some(secret), None, None)
        })?;
        let public =
            made.out_public.marshall().map_err(Fault::of("Tss2_MU_TPMT_PUBLIC_Marshal"))?;
        let sealed = SealedObject { policy, public, private: made.out_private.value().to_vec() };
        if !sealed.is_consistent() {
            let reason = "the TPM sealed under another policy than was asked for".into();
            return Err(HsmError::SelfTest { id: root.id.clone(), reason }.into());
        }
        Ok(sealed)
    }

    fn open_sealed(&mut self, root: &Root, sealed: &SealedObject) -> Result<KeyBytes, Fault> {
        // With the root key's auth value or without, never as the sealed object would have it.
        if !sealed.is_consistent() || sealed.policy.auth != root.auth.is_some() {
            return Err(HsmError::Authentication.into());
        }
        let parts =
            || Ok((Private::try_from(&sealed.private[..])?, Public::unmarshall(&sealed.public)?));
        let (private, public) = parts().map_err(|_: tss_esapi::Error| HsmError::Authentication)?;
        let loaded = self.command_in(root.session, "TPM2_Load", |context| {
            context.load(root.handle, private, public)
        });
        let handle = loaded.map_err(|fault| match fault.is_about_a_parameter() {
            true => HsmError::Authentication.into(),
            false => fault,
        })?;
        self.with_object(handle, |device, handle| {
            if let Some(auth) = root.auth.clone() {
                device.command("Esys_TR_SetAuth", |c| c.tr_set_auth(handle.into(), auth))?;
            }
            let Some(state) = &sealed.policy.pcrs else {
                return device.unseal_in(root, handle, root.session);
            };
            device.with_session(root.handle, SessionType::Policy, |device, session| {
                device.satisfy(session, &sealed.policy, state)?;
                match device.unseal_in(root, handle, session) {
                    // A PCR changed since the policy looked at it.
                    Err(fault) if matches!(fault.tpm_code(), Some(PCR_CHANGED | POLICY_FAIL)) => {
                        Err(device.pcr_mismatch(state))
                    }
                    other => other,
                }
            })
        })
    }

    /// Brings a policy session to where the object's policy is fulfilled.
    fn satisfy(
        &mut self,
        session: AuthSession,
        policy: &Policy,
        state: &PcrState,
    ) -> Result<(), Fault> {
        let parts = || {
            Ok((
                PolicySession::try_from(session)?,
                Digest::try_from(&state.digest()[..])?,
                selection(&state.pcrs)?,
            ))
        };
        let (policy_session, digest, pcrs) = parts().map_err(Fault::of("TPM2_PolicyPCR"))?;
        let checked = self
            .command("TPM2_PolicyPCR", |context| context.policy_pcr(policy_session, digest, pcrs));
        checked.map_err(|fault| match fault.tpm_code() {
            Some(VALUE) => self.pcr_mismatch(state),
            _ => fault,
        })?;
        if policy.auth {
            self.command("TPM2_PolicyAuthValue", |c| c.policy_auth_value(policy_session))?;
        }
        Ok(())
    }

    fn unseal_in(
        &mut self,
        root: &Root,
        handle: KeyHandle,
        session: AuthSession,
    ) -> Result<KeyBytes, Fault> {
        if root.auth.is_some() {
            let token = self.token.clone();
            self.lockout()?.allow_attempt(&token)?;
        }
        let opened =
            self.command_in(session, "TPM2_Unseal", |context| context.unseal(handle.into()));
        match opened {
            Ok(secret) => Ok(KeyBytes::new(secret.value().to_vec())),
            // The root key's auth value was proven: the object was sealed by someone without it.
            Err(fault) if matches!(fault.tpm_code(), Some(AUTH_FAIL | BAD_AUTH)) => {
                Err(HsmError::Authentication.into())
            }
            Err(fault) => Err(self.of_attempt(fault)),
        }
    }

    fn pcr_mismatch(&mut self, then: &PcrState) -> Fault {
        match self.read_pcrs(then.pcrs.clone()) {
            Err(fault) => fault,
            Ok(now) => HsmError::PcrMismatch {
                token: self.token.clone(),
                pcrs: then.pcrs.to_string(),
                changed: then.changed(&now),
            }
            .into(),
        }
    }

    /// The values of some PCRs, all of one moment. Asked without a session: a wrong answer would
    /// seal what the TPM then does not open, and a seal is opened at once.
    pub fn read_pcrs(&mut self, pcrs: Pcrs) -> Result<PcrState, Fault> {
        let mut seen = self.read_pcrs_once(&pcrs)?;
        if pcrs.numbers().len() <= 8 {
            // One command gives as many as eight.
            return Ok(PcrState { pcrs, values: seen });
        }
        for _ in 0..PCR_READS {
            let again = self.read_pcrs_once(&pcrs)?;
            if again == seen {
                return Ok(PcrState { pcrs, values: seen });
            }
            seen = again;
        }
        let text = format!("{pcrs} changed while they were read, {PCR_READS} times");
        Err(HsmError::Unavailable(text).into())
    }

    fn read_pcrs_once(&mut self, pcrs: &Pcrs) -> Result<Vec<[u8; 32]>, Fault> {
        let mut values = Vec::new();
        for some in pcrs.numbers().chunks(8) {
            let some = Pcrs::new(some.iter().copied())?;
            let list = selection(&some).map_err(Fault::of("TPM2_PCR_Read"))?;
            let (_, _, read) = self.command("TPM2_PCR_Read", |context| context.pcr_read(list))?;
            let read: Result<Vec<_>, _> =
                read.value().iter().map(|value| <[u8; 32]>::try_from(value.value())).collect();
            match read {
                Ok(read) if read.len() == some.numbers().len() => values.extend(read),
                _ => {
                    let text = format!("the TPM does not have all of PCRs {pcrs}");
                    return Err(HsmError::Refused(text).into());
                }
            }
        }
        Ok(values)
    }
}

pub(super) fn selection(pcrs: &Pcrs) -> Result<PcrSelectionList, tss_esapi::Error> {
    let slots: Result<Vec<PcrSlot>, _> =
        pcrs.numbers().into_iter().map(|number| PcrSlot::try_from(1_u32 << number)).collect();
    PcrSelectionListBuilder::new()
        .with_size_of_select(PcrSelectSize::ThreeOctets)
        .with_selection(HashingAlgorithm::Sha256, &slots?)
        .build()
}
