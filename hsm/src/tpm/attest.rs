//! What the TPM itself asserts, signed: that it holds a root key (TPM2_Certify), and what its PCRs
//! are (TPM2_Quote). `verify.rs` checks it elsewhere.
//!
//! The attestation key is a primary key of the endorsement hierarchy: TPM2_Clear leaves it as it is,
//! and the TPM does not obscure its clock and firmware version to it.

use super::config::Pcrs;
use super::device::Device;
use super::fault::Fault;
use super::root::Root;
use super::seal::selection;
use super::verify::{AttestationError, NONCE_LEN};
use super::{TpmHsm, template};
use crate::{Certification, HsmError, Quote, RootKeyId};
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Attest, Data, Signature, SignatureScheme};
use tss_esapi::traits::Marshall;

/// How often PCRs are quoted again because one changed between being read and being quoted.
const QUOTES: usize = 5;
const COORDINATE_LEN: usize = 32;
/// Of a TPM to which no PCRs are bound: those of firmware and boot (TCG PC Client profile).
const USUAL_PCRS: std::ops::RangeInclusive<u8> = 0..=7;

impl TpmHsm {
    /// Has the TPM certify a root key for a nonce of the verifier's (16 to 32 bytes). What is
    /// returned has been verified.
    pub fn certify(&self, root: &RootKeyId, nonce: &[u8]) -> Result<Certification, HsmError> {
        check_nonce(nonce)?;
        let (id, nonce) = (root.clone(), nonce.to_vec());
        self.actor.call(super::Repeat::Again, move |device| {
            let made = device.with_root(&id, |device, root| device.certify(root, &nonce))?;
            let verified = made.verify(&nonce);
            verified.map(|_| made).map_err(|e| self_test(&id, &e))
        })
    }

    /// Has the TPM quote PCRs of the SHA-256 bank for a nonce of the verifier's (16 to 32 bytes).
    /// What is returned has been verified.
    pub fn quote(&self, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, HsmError> {
        check_nonce(nonce)?;
        let (pcrs, nonce) = (pcrs.clone(), nonce.to_vec());
        self.actor.call(super::Repeat::Again, move |device| device.quote_verified(&pcrs, &nonce))
    }

    /// Quotes the PCRs that keys are bound to; those of firmware and boot if there are none.
    pub(super) fn quote_bound(&self, nonce: &[u8]) -> Result<Quote, HsmError> {
        check_nonce(nonce)?;
        let nonce = nonce.to_vec();
        self.actor.call(super::Repeat::Again, move |device| {
            let pcrs = match device.pcrs.clone() {
                Some(pcrs) => pcrs,
                None => Pcrs::new(USUAL_PCRS)?,
            };
            device.quote_verified(&pcrs, &nonce)
        })
    }
}

impl Device {
    fn quote_verified(&mut self, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Fault> {
        let mut last = None;
        for _ in 0..QUOTES {
            let made = self.quote(pcrs, nonce)?;
            match made.verify(nonce) {
                Ok(_) => return Ok(made),
                Err(error) => last = Some(error),
            }
        }
        let why = last.map(|error| error.to_string()).unwrap_or_default();
        let text = format!("no quote of {pcrs} in {QUOTES} tries: {why}");
        Err(HsmError::Unavailable(text).into())
    }

    fn certify(&mut self, root: &Root, nonce: &[u8]) -> Result<Certification, Fault> {
        let root_key =
            root.primary.public.marshall().map_err(Fault::of("Tss2_MU_TPMT_PUBLIC_Marshal"))?;
        let (attestation_key, (attest, signature)) =
            self.with_attestation_key(nonce, |context, key, data| {
                // The root key's right by the salted session, the attestation key's empty auth value
                // as a password.
                let sessions = (Some(root.session), Some(AuthSession::Password), None);
                context.execute_with_sessions(sessions, |context| {
                    context.certify(root.handle.into(), key, data, SignatureScheme::Null)
                })
            })?;
        Ok(Certification { attest, signature, attestation_key, root_key })
    }

    fn quote(&mut self, pcrs: &Pcrs, nonce: &[u8]) -> Result<Quote, Fault> {
        let list = selection(pcrs).map_err(Fault::of("TPM2_Quote"))?;
        let (attestation_key, (attest, signature)) =
            self.with_attestation_key(nonce, |context, key, data| {
                context.execute_with_session(Some(AuthSession::Password), |context| {
                    context.quote(key, data, SignatureScheme::Null, list)
                })
            })?;
        let state = self.read_pcrs(pcrs.clone())?;
        let pcrs = pcrs.numbers().into_iter().zip(state.values).collect();
        Ok(Quote { attest, signature, attestation_key, pcrs })
    }

    /// Runs a command of the attestation key's: its public area, the statement, the signature. What is
    /// signed is not secret and cannot be changed on its way.
    #[expect(
        clippy::type_complexity,
        reason = "public area, statement and signature, used here only"
    )]
    fn with_attestation_key(
        &mut self,
        nonce: &[u8],
        sign: impl FnOnce(
            &mut tss_esapi::Context,
            tss_esapi::handles::KeyHandle,
            Data,
        ) -> Result<(Attest, Signature), tss_esapi::Error>,
    ) -> Result<(Vec<u8>, (Vec<u8>, Vec<u8>)), Fault> {
        let data = Data::try_from(nonce).map_err(Fault::of("making a nonce"))?;
        self.with_primary(Hierarchy::Endorsement, template::attestation()?, |device, key| {
            let marshalled = key.public.marshall();
            let public = marshalled.map_err(Fault::of("Tss2_MU_TPMT_PUBLIC_Marshal"))?;
            let (attest, signature) =
                device.command("TPM2_Certify or TPM2_Quote", |c| sign(c, key.handle, data))?;
            let attest = attest.marshall().map_err(Fault::of("Tss2_MU_TPMS_ATTEST_Marshal"))?;
            Ok((public, (attest, fixed(&signature)?)))
        })
    }
}

/// r ‖ s, each padded to 32 bytes.
fn fixed(signature: &Signature) -> Result<Vec<u8>, Fault> {
    let other = || Fault::Hsm(HsmError::Refused("the TPM signed by another scheme".into()));
    let Signature::EcDsa(signature) = signature else { return Err(other()) };
    let mut out = Vec::new();
    for number in [signature.signature_r().value(), signature.signature_s().value()] {
        let zeros = COORDINATE_LEN.checked_sub(number.len()).ok_or_else(other)?;
        out.resize(out.len() + zeros, 0);
        out.extend_from_slice(number);
    }
    Ok(out)
}

fn check_nonce(nonce: &[u8]) -> Result<(), HsmError> {
    if NONCE_LEN.contains(&nonce.len()) {
        return Ok(());
    }
    let (from, to, found) = (NONCE_LEN.start(), NONCE_LEN.end(), nonce.len());
    Err(HsmError::Refused(format!("nonce: wanted {from} to {to} bytes, found {found}")))
}

fn self_test(id: &RootKeyId, error: &AttestationError) -> Fault {
    let reason = format!("what the TPM certified does not verify: {error}");
    Fault::Hsm(HsmError::SelfTest { id: id.clone(), reason })
}
