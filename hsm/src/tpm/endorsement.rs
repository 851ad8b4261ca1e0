//! The endorsement key, by which a TPM's maker vouches for it: its certificate, and answering a
//! challenge (`credential.rs`) with it.
//!
//! The key is that of profile L-1: RSA with 2048 bits, made anew from the endorsement seed by the
//! template of TCG's EK Credential Profile. Its policy asks for the endorsement hierarchy's auth value,
//! which is empty.

use super::device::Device;
use super::fault::{FAILURE, Fault};
use super::template;
use crate::{Challenge, HsmError, KeyBytes};
use tss_esapi::abstraction::ek::create_ek_public_from_default_template;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{AuthHandle, NvIndexHandle};
use tss_esapi::interface_types::algorithm::AsymmetricAlgorithm;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{Digest, EncryptedSecret, IdObject, Nonce};

/// Where the certificate of the RSA key stands (TCG EK Credential Profile, 2.2.1.4).
const CERTIFICATE: u32 = 0x01c0_0002;
/// Far above any certificate.
const MAX_CERTIFICATE_LEN: u16 = 4096;
/// What every TPM gives of an NV index in one command.
const CHUNK_LEN: u16 = 512;

impl Device {
    /// The maker's certificate of the endorsement key, in DER, as it stands in the TPM; None if the
    /// TPM has none.
    pub fn endorsement_certificate(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        if self.nv_numbers(CERTIFICATE..=CERTIFICATE)?.is_empty() {
            return Ok(None);
        }
        let bytes = self.with_salted_session(|device, session| {
            device.with_index(CERTIFICATE, |device, handle| device.read_whole(session, handle))
        })?;
        let found = bytes.len();
        let none =
            || HsmError::Refused(format!("no certificate in its NV index, of {found} bytes"));
        Ok(Some(der(&bytes).ok_or_else(none)?.to_vec()))
    }

    fn read_whole(
        &mut self,
        session: AuthSession,
        handle: NvIndexHandle,
    ) -> Result<Vec<u8>, Fault> {
        let (public, _) =
            self.command("TPM2_NV_ReadPublic", |context| context.nv_read_public(handle))?;
        let len = u16::try_from(public.data_size()).ok().filter(|len| *len <= MAX_CERTIFICATE_LEN);
        let long = || {
            let found = public.data_size();
            HsmError::Refused(format!("wanted {MAX_CERTIFICATE_LEN} bytes at most, found {found}"))
        };
        let len = len.ok_or_else(long)?;
        let mut out = Vec::new();
        for at in (0..len).step_by(CHUNK_LEN.into()) {
            let some = self.command_in(session, "TPM2_NV_Read", |context| {
                context.nv_read(NvAuth::Owner, handle, CHUNK_LEN.min(len - at), at)
            })?;
            out.extend_from_slice(some.value());
        }
        Ok(out)
    }

    /// The secret of a challenge that was made for this TPM and its attestation key.
    pub fn answer(&mut self, challenge: &Challenge) -> Result<KeyBytes, Fault> {
        let parts = || {
            Ok((
                IdObject::try_from(&challenge.credential[..])?,
                EncryptedSecret::try_from(&challenge.secret[..])?,
            ))
        };
        let (credential, secret) = parts().map_err(|_: tss_esapi::Error| not_ours())?;
        let endorsement = create_ek_public_from_default_template(AsymmetricAlgorithm::Rsa, None);
        let endorsement = endorsement.map_err(Fault::of("making a template"))?;
        self.with_primary(Hierarchy::Endorsement, endorsement, |device, endorsement| {
            device.with_primary(Hierarchy::Endorsement, template::attestation()?, |device, key| {
                device.with_session(endorsement.handle, SessionType::Policy, |device, session| {
                    device.endorsed(session)?;
                    let sessions = (Some(AuthSession::Password), Some(session), None);
                    let opened = device.command("TPM2_ActivateCredential", |context| {
                        context.execute_with_sessions(sessions, |context| {
                            let (key, endorsement) = (key.handle, endorsement.handle);
                            context.activate_credential(key, endorsement, credential, secret)
                        })
                    });
                    match opened {
                        Ok(secret) => Ok(KeyBytes::new(secret.value().to_vec())),
                        Err(fault) if fault.is_about_a_parameter() => Err(not_ours().into()),
                        // libtpms says this of what its endorsement key does not decrypt, and a TPM of
                        // itself when it is broken: then of every command.
                        Err(fault) if fault.tpm_code() == Some(FAILURE) => {
                            device.command("TPM2_GetRandom", |context| context.get_random(16))?;
                            Err(not_ours().into())
                        }
                        Err(fault) => Err(fault),
                    }
                })
            })
        })
    }

    /// Fulfils the policy of endorsement keys (PolicyA of the EK Credential Profile).
    fn endorsed(&mut self, session: AuthSession) -> Result<(), Fault> {
        let policy = PolicySession::try_from(session).map_err(Fault::of("TPM2_PolicySecret"))?;
        self.command_in(AuthSession::Password, "TPM2_PolicySecret", |context| {
            let (nonce, reference) = (Nonce::default(), Nonce::default());
            let hierarchy = AuthHandle::Endorsement;
            context.policy_secret(policy, hierarchy, nonce, Digest::default(), reference, None)
        })
        .map(drop)
    }
}

fn not_ours() -> HsmError {
    let text = "the challenge is not for this TPM with its attestation key, or was changed";
    HsmError::Refused(text.into())
}

/// The one SEQUENCE at the front, whose length has two bytes; what follows is the rest of the NV index.
fn der(bytes: &[u8]) -> Option<&[u8]> {
    let [0x30, 0x82, high, low] = *bytes.first_chunk()? else { return None };
    bytes.get(..4 + usize::from(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_cut_out_of_what_is_around_it() {
        let certificate = [&[0x30, 0x82, 1, 2][..], &[7; 258]].concat();
        assert_eq!(der(&certificate), Some(&certificate[..]));
        let padded = [&certificate[..], &[0xff; 100]].concat();
        assert_eq!(der(&padded), Some(&certificate[..]));
        for bad in [&certificate[..261], &certificate[..3], &[0xff; 300], &[0; 300], &[]] {
            assert_eq!(der(bad), None);
        }
    }
}
