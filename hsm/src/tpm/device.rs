//! The TPM as the one thread that owns it sees it: primary keys and sessions that are gone again
//! when their scope ends, however it ends.
//!
//! A TPM has room for about three objects, and behind a socket nobody makes room. So nothing stays
//! loaded between two calls: a primary key is made for a call and flushed after it, which also
//! leaves nothing to lose when the TPM is restarted. On swtpm that is 1 ms of the 10 of an unwrap
//! (most is the salt's ECDH, on either side); a chip needs some 50 to 200 ms for it. Keeping root keys
//! as persistent objects would save that, at the price of the TPM's scarcest memory and of a handle
//! that others can give to another key.
//!
//! Everything that carries a secret, or must not be forged, goes through a session that is salted
//! with a key of the TPM's and encrypts its first parameter (AES-128-CFB): on the wires between the
//! processor and the TPM neither is to be seen, and a root key that was used once cannot be passed off
//! for another. Who sits on the wires from the first command on and speaks for the TPM is another
//! TPM to us: `attest.rs` tells the two apart. An empty auth value is no secret; it is shown as a
//! password where there is no session yet.

use super::config::{AuthSource, Pcrs, Tcti};
use super::fault::{BAD_AUTH, Fault};
use super::record::NAME_LEN;
use super::root::KnownRoots;
use super::template;
use crate::{HsmError, KeyBytes};
use std::str::FromStr;
use tss_esapi::Context;
use tss_esapi::attributes::SessionAttributesBuilder;
use tss_esapi::constants::{CapabilityType, PropertyTag, SessionType};
use tss_esapi::handles::{KeyHandle, ObjectHandle, SessionHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{CapabilityData, Public, SymmetricDefinition};
use tss_esapi::tcti_ldr::TctiNameConf;

/// The most random bytes that every TPM gives in one command: the longest digest it must know.
const RANDOM_LEN: usize = 32;

/// Owned by one thread. The context is made when it is first needed, and anew after the connection
/// broke.
pub(super) struct Device {
    pub tcti: Tcti,
    /// What the device is called in messages.
    pub token: String,
    pub pcrs: Option<Pcrs>,
    pub auth: Option<KeyBytes>,
    pub auth_source: Option<AuthSource>,
    pub roots: KnownRoots,
    context: Option<Context>,
    /// libtss2 gave up on an answer, and takes no more commands in this context.
    broken: bool,
}

/// A primary key that is loaded.
pub(super) struct Primary {
    pub handle: KeyHandle,
    pub public: Public,
    /// TPM_ALG_SHA256 ‖ SHA-256 of the public area (TPM 2.0 part 1, 16).
    pub name: [u8; NAME_LEN],
}

impl Device {
    pub fn new(
        tcti: Tcti,
        pcrs: Option<Pcrs>,
        auth: Option<KeyBytes>,
        auth_source: Option<AuthSource>,
    ) -> Self {
        let token = tcti.to_string();
        let roots = KnownRoots::default();
        Self { tcti, token, pcrs, auth, auth_source, roots, context: None, broken: false }
    }

    /// Forgets the connection; the next command makes another. What was still loaded is flushed on
    /// the way, if the TPM can be reached.
    pub fn disconnect(&mut self) {
        self.context = None;
    }

    /// Forgets a connection that is of no use any more. What was loaded through it stays loaded where
    /// nobody else sees to it: the kernel's resource manager does, a socket does not.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.broken) {
            self.disconnect();
        }
    }

    /// Runs one command, with no session.
    pub fn command<T>(
        &mut self,
        command: &'static str,
        run: impl FnOnce(&mut Context) -> Result<T, tss_esapi::Error>,
    ) -> Result<T, Fault> {
        let result = run(self.context()?).map_err(Fault::of(command));
        self.broken |= result.as_ref().is_err_and(Fault::is_of_the_library);
        result
    }

    /// Runs one command, authorised by, authenticated by and encrypted in a session.
    pub fn command_in<T>(
        &mut self,
        session: AuthSession,
        command: &'static str,
        run: impl FnOnce(&mut Context) -> Result<T, tss_esapi::Error>,
    ) -> Result<T, Fault> {
        self.command(command, |context| context.execute_with_session(Some(session), run))
    }

    fn context(&mut self) -> Result<&mut Context, Fault> {
        if self.context.is_none() {
            self.tcti.check()?;
            let name = TctiNameConf::from_str(&self.tcti.to_string());
            let name = name.map_err(Fault::of("Tss2_TctiLdr_Initialize"))?;
            let context = Context::new(name).map_err(Fault::of("Esys_Initialize"))?;
            self.context = Some(context);
        }
        let gone = || Fault::Hsm(HsmError::Unavailable("the TPM's connection is gone".into()));
        self.context.as_mut().ok_or_else(gone)
    }

    /// Runs `op`, then flushes `handle`, whether `op` went well or not.
    fn flushing<T>(
        &mut self,
        handle: ObjectHandle,
        op: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let result = op(self);
        let flushed = self.command("TPM2_FlushContext", |context| context.flush_context(handle));
        // What `op` failed with says more than that the handle was gone by then.
        result.and_then(|value| flushed.map(|()| value))
    }

    /// Runs `op` with a transient object loaded.
    pub fn with_object<T>(
        &mut self,
        handle: KeyHandle,
        op: impl FnOnce(&mut Self, KeyHandle) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.flushing(handle.into(), |device| op(device, handle))
    }

    /// Makes a primary key, and runs `op` with it loaded.
    pub fn with_primary<T>(
        &mut self,
        hierarchy: Hierarchy,
        template: Public,
        op: impl FnOnce(&mut Self, &Primary) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let made = self.command_in(AuthSession::Password, "TPM2_CreatePrimary", |context| {
            context.create_primary(hierarchy, template, None, None, None, None)
        });
        let made = made.map_err(|fault| match fault.tpm_code() {
            Some(BAD_AUTH) => Fault::Hsm(HsmError::Refused(format!(
                "the TPM's {hierarchy:?} hierarchy has an auth value, and must have none \
                 (tpm2_changeauth takes it away)"
            ))),
            _ => fault,
        })?;
        self.with_object(made.key_handle, |device, handle| {
            let name = device.command("Esys_TR_GetName", |c| c.tr_get_name(handle.into()))?;
            let name = <[u8; NAME_LEN]>::try_from(name.value()).map_err(|_| {
                let len = name.value().len();
                HsmError::Refused(format!("a key's Name: wanted {NAME_LEN} bytes, found {len}"))
            })?;
            op(device, &Primary { handle, public: made.out_public, name })
        })
    }

    /// Starts a session that is salted with `key`, and runs `op` in it.
    pub fn with_session<T>(
        &mut self,
        key: KeyHandle,
        kind: SessionType,
        op: impl FnOnce(&mut Self, AuthSession) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let cipher = SymmetricDefinition::AES_128_CFB;
        let started = self.command("TPM2_StartAuthSession", |context| {
            let hash = HashingAlgorithm::Sha256;
            context.start_auth_session(Some(key), None, None, kind, cipher, hash)
        })?;
        let none = || HsmError::Refused("TPM2_StartAuthSession gave no session".into());
        let session = started.ok_or_else(none)?;
        self.flushing(SessionHandle::from(session).into(), |device| {
            let (attributes, mask) = SessionAttributesBuilder::new()
                .with_continue_session(true)
                .with_decrypt(true)
                .with_encrypt(true)
                .build();
            device.command("Esys_TRSess_SetAttributes", |context| {
                context.tr_sess_set_attributes(session, attributes, mask)
            })?;
            op(device, session)
        })
    }

    /// A salted session where no root key is at hand.
    pub fn with_salted_session<T>(
        &mut self,
        op: impl FnOnce(&mut Self, AuthSession) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.with_primary(Hierarchy::Owner, template::salt()?, |device, primary| {
            device.with_session(primary.handle, SessionType::Hmac, op)
        })
    }

    /// Random bytes, encrypted on their way.
    pub fn random(&mut self, session: AuthSession, len: usize) -> Result<KeyBytes, Fault> {
        // Capacity for all, so that no copy is left behind by growing.
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            let wanted = RANDOM_LEN.min(len - out.len());
            let some =
                self.command_in(session, "TPM2_GetRandom", |context| context.get_random(wanted))?;
            if some.value().is_empty() || some.value().len() > wanted {
                let found = some.value().len();
                let text = format!("TPM2_GetRandom: wanted {wanted} bytes, found {found}");
                return Err(HsmError::Refused(text).into());
            }
            out.extend_from_slice(some.value());
        }
        Ok(KeyBytes::new(out))
    }

    /// A property by its tag, read now; None if the TPM does not have it.
    pub fn property(&mut self, tag: PropertyTag) -> Result<Option<u32>, Fault> {
        // One at a time: a list that has a tag unknown to tss-esapi would be lost whole.
        let (found, _) = self.command("TPM2_GetCapability", |context| {
            context.get_capability(CapabilityType::TpmProperties, tag.into(), 1)
        })?;
        let CapabilityData::TpmProperties(list) = found else { return Ok(None) };
        Ok(list.find(tag).map(|property| property.value()))
    }
}
