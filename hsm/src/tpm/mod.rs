//! Root keys in a TPM 2.0: derived there from the owner seed, used there, never out of there.
//!
//! A root key is a storage key, made anew by the TPM from its template for every call. A key is
//! wrapped by format 02 (`hybrid.rs`): the TPM seals a random wrapping key, bound to PCRs and to an
//! auth value as configured, and the wrapping key wraps the key. Every wrap and unwrap is a few
//! commands, a second or so of a chip's time: for the few keys at the top, not for requests.
//!
//! Who may use the TPM may seal as well as open: without an auth value, whoever can open
//! `/dev/tpmrm0` and has a wrapped key opens it. What a TPM gives is that the disk alone does not.
//!
//! libtss2 writes what goes wrong to standard error, each refused key as several lines, and can be
//! told to be quiet by its environment only ([`QUIET`]), which a process with threads cannot change
//! safely. So it is set for the process from outside: by the service's unit, by whoever starts it as a
//! child, or by the process starting itself anew. It also leaves copies of what passes through it in
//! memory that it has given back.
//!
//! | module | role |
//! |---|---|
//! | `config` | which TPM, which PCRs, which auth value |
//! | `actor` | the one thread that owns the connection; deadlines, reconnecting |
//! | `device` | primary keys and sessions by scope: nothing stays loaded |
//! | `root` | making and finding root keys, proving the auth value |
//! | `nv` | NV indices by scope |
//! | `record` | the NV index that names a root key, drawn |
//! | `template` | the public areas of our objects |
//! | `seal` | sealing a wrapping key and opening it |
//! | `blob` | a sealed object as bytes, drawn |
//! | `policy` | the policy digest |
//! | `attest`, `verify` | what the TPM asserts, signed; checking it without a TPM |
//! | `endorsement`, `credential` | the maker's certificate; a challenge that ties it to what is signed |
//! | `lockout` | never one attempt too many |
//! | `fault` | response codes as our errors |
//! | `report` | everything known about the device, for an operator |

mod actor;
mod attest;
mod blob;
mod config;
mod credential;
mod device;
mod endorsement;
mod fault;
mod lockout;
mod nv;
mod policy;
mod record;
mod report;
mod root;
mod seal;
mod template;
mod verify;

pub use blob::Binding;
pub use config::{AuthSource, Pcrs, Tcti, TpmConfig};
pub use credential::SECRET_LEN;
pub use lockout::Lockout;
pub use report::{ENDORSEMENT_CERTIFICATE, Report, RootReport};
pub use verify::{AttestationError, Attested};

use crate::hybrid::{self, Hybrid};
use crate::{
    Attestation, Challenge, DeviceInfo, Hsm, HsmError, KeyBytes, Mechanism, RootKeyId, WrappedKey,
    wrapped,
};
use actor::{Actor, Repeat};
use blob::SealedObject;
use device::Device;
use std::fmt;

/// The environment variable that makes libtss2 quiet, and its value.
pub const QUIET: (&str, &str) = ("TSS2_LOG", "all+none");

/// A TPM 2.0, open.
pub struct TpmHsm {
    actor: Actor,
    info: DeviceInfo,
}

impl TpmHsm {
    /// Opens the TPM and asks it what it is. The auth value is not tried: it is a root key's, and
    /// is tried when that is first used.
    pub fn open(config: TpmConfig) -> Result<Self, HsmError> {
        let TpmConfig { tcti, pcrs, auth, auth_source, deadline } = config;
        if auth.as_ref().is_some_and(|auth| auth.expose().is_empty()) {
            return Err(HsmError::Refused("auth value: wanted 1 byte or more, found 0".into()));
        }
        let actor = Actor::start(Device::new(tcti, pcrs, auth, auth_source), deadline)?;
        let info = actor.call(Repeat::Again, Device::open)?;
        Ok(Self { actor, info })
    }

    pub fn report(&self) -> Result<Report, HsmError> {
        let info = self.info.clone();
        self.actor.call(Repeat::Again, move |device| device.report(info.clone()))
    }
}

impl Hsm for TpmHsm {
    fn info(&self) -> DeviceInfo {
        self.info.clone()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        let len = out.len();
        if len == 0 {
            return Ok(());
        }
        let bytes = self.actor.call(Repeat::Again, move |device| {
            device.with_salted_session(|device, session| device.random(session, len))
        })?;
        out.copy_from_slice(bytes.expose());
        Ok(())
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        let id = id.clone();
        self.actor.call(Repeat::Never, move |device| device.create_root(&id))
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        let id = id.clone();
        self.actor.call(Repeat::Again, move |device| device.destroy_root(&id))
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        let indices = self.actor.call(Repeat::Again, Device::indices)?;
        let records = indices.into_iter().filter_map(|index| index.content.ok());
        let mut ids: Vec<RootKeyId> = records.map(|record| record.id).collect();
        ids.sort();
        Ok(ids)
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let id = id.clone();
        self.actor.call(Repeat::Again, move |device| device.check_root(&id))
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        wrapped::check_key_len(key.expose().len())?;
        wrapped::check_aad_len(aad)?;
        let id = root.clone();
        let (blob, wrapping_key) =
            self.actor.call(Repeat::Again, move |device| device.seal(&id))?;
        let bytes = hybrid::seal(Mechanism::TpmSeal, &blob, &wrapping_key, key, aad)?;
        if Hybrid::decode(&bytes)?.open(&wrapping_key, aad)? != *key {
            let reason = "it did not open what it had just wrapped".into();
            return Err(HsmError::SelfTest { id: root.clone(), reason });
        }
        Ok(WrappedKey { root: root.clone(), bytes })
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        wrapped::check_aad_len(aad)?;
        let parts = Hybrid::decode(&wrapped.bytes)?;
        let sealed = SealedObject::decode(parts.blob).filter(SealedObject::is_consistent);
        let sealed = sealed.filter(|_| parts.mechanism == Mechanism::TpmSeal);
        let sealed = sealed.ok_or(HsmError::Authentication)?;
        let id = wrapped.root.clone();
        let call = move |device: &mut Device| device.unseal(&id, &sealed);
        parts.open(&self.actor.call(Repeat::Again, call)?, aad)
    }

    fn probe(&self) -> Result<(), HsmError> {
        self.actor.call(Repeat::Again, |device| {
            device.command("TPM2_GetRandom", |context| context.get_random(16)).map(drop)
        })
    }

    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        let root = root.clone();
        self.actor.call(Repeat::Again, move |device| device.claims(&root))
    }

    fn certify_root_key(
        &self,
        root: &RootKeyId,
        nonce: &[u8],
    ) -> Result<Option<Attestation>, HsmError> {
        let certification = self.certify(root, nonce)?;
        Ok(Some(Attestation { certification, quote: self.quote_bound(nonce)? }))
    }

    fn answer_challenge(&self, challenge: &Challenge) -> Result<KeyBytes, HsmError> {
        let challenge = challenge.clone();
        self.actor.call(Repeat::Again, move |device| device.answer(&challenge))
    }
}

impl fmt::Debug for TpmHsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TpmHsm").field("device", &self.info).finish_non_exhaustive()
    }
}
