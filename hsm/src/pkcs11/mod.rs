//! Root keys in a PKCS#11 token: made there, used there, never out of there.
//!
//! A root key is, in the best of cases, an AES-256 token key that may only encrypt and decrypt, and
//! only with AES-GCM; other keys are wrapped with it by C_Encrypt, as data. Where a token cannot do
//! that, another way is taken (`negotiate`). No key ever has WRAP and DECRYPT, or UNWRAP and
//! ENCRYPT: with both, any key it wraps can be read.
//!
//! | module | role |
//! |---|---|
//! | `config`, `pin` | which module, which token, where its PIN comes from |
//! | `module` | a vendor's library, loaded and initialised once a process, restarted if need be |
//! | `gate` | who may be inside a module: many callers, or one who restarts it |
//! | `token` | finding the one token with our label; its PIN flags; logging in, once |
//! | `init` | making a blank token ours |
//! | `session_pool` | one anchor session that stays logged in, and a few to work with; heals |
//! | `backoff` | when to heal again after healing has failed |
//! | `handles`, `proof` | object handles by epoch; that a root key found again is the same key |
//! | `kind` | the kinds of objects that a root key is made of, and what each may be used for |
//! | `objects` | finding and making them |
//! | `destroy` | destroying them, and that none is left |
//! | `attributes` | what they must look like, read back from the device |
//! | `cipher` | AES-GCM in the token, whoever chooses the IV |
//! | `wrap` | the other ways to wrap |
//! | `negotiate` | which way a token wraps, tried with keys that are thrown away |
//! | `enforcement` | whether a token enforces what it promises, tried likewise |
//! | `root` | a root key in a session: the formats of a wrapped key, by its mechanism |
//! | `resident` | keys that live in the token and are used there |
//! | `fault` | PKCS#11 return values by what can be done about them, and as our errors |
//! | `raw`, `mechanism`, `template` | calls that cryptoki cannot make, or not safely; the only `unsafe` of this crate |
//! | `value`, `token_info` | what an object and a token say of themselves, at most so much of it |
//! | `vectors` | published test vectors, by a real module |
//! | `report` | everything known about the device, for an operator |

mod attributes;
mod backoff;
mod cipher;
mod config;
mod destroy;
mod enforcement;
mod fault;
mod gate;
mod handles;
mod init;
mod kind;
mod mechanism;
mod module;
mod negotiate;
mod objects;
mod pin;
mod proof;
mod raw;
mod report;
mod resident;
mod root;
mod session_pool;
mod template;
mod token;
mod token_info;
mod value;
#[cfg(test)]
mod vectors;
mod wrap;

pub use config::Pkcs11Config;
pub use enforcement::Enforcement;
pub use fault::{Class, class};
pub use init::init_token;
pub use module::end_modules;
#[cfg(feature = "suite")]
pub use module::{finalize_modules, login_attempts, restarts};
pub use negotiate::WrapChoice;
pub use pin::{Pin, PinSource, Watcher};
pub use report::{Attribute, Report, RootKeyReport, SessionLimits};

use crate::profile::Profile;
use crate::{
    DeviceInfo, Hsm, HsmError, KeyBytes, Mechanism, ResidentKeys, RootKeyId, WrappedKey, wrapped,
};
use fault::Fault;
use handles::Handles;
use negotiate::Iv;
use proof::{Proofs, Root as _};
use resident::Residents;
use root::TokenRoot;
use session_pool::{Lent, SessionPool};
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use token::Token;
use wrap::Device;

/// A PKCS#11 token, open and logged in.
pub struct Pkcs11Hsm {
    token: Token,
    pool: SessionPool,
    /// Root keys whose attributes were checked, with their handles. Finding an object is slow
    /// (linear in SoftHSM), so it is done once; forgotten whenever the token forgets us.
    handles: Handles<RootKeyId, objects::Root>,
    proofs: Proofs,
    /// The only way that new root keys may wrap, if the operator has said one.
    wrap: Option<Mechanism>,
    accept_weak_token: bool,
    /// How new root keys wrap, once it was tried.
    choice: Mutex<Option<WrapChoice>>,
    /// What the token enforces, once it was tried.
    enforcement: Mutex<Option<Enforcement>>,
    /// The IVs of AES-GCM, once they were tried.
    iv: OnceLock<Iv>,
    residents: Residents,
    /// One key is made at a time, so that two calls cannot both find a name free.
    creating: Mutex<()>,
}

impl Pkcs11Hsm {
    /// Opens the one token with the configured label and logs in: one attempt, never two.
    ///
    /// PKCS#11 logs in a process, not a session: where another `Pkcs11Hsm` of this process is
    /// logged in to the token already, its login serves, and the PIN is not tried at all.
    pub fn open(config: Pkcs11Config) -> Result<Self, HsmError> {
        let module = module::load(&config.module, config.parameters.as_deref())?;
        let profile = config.profile.as_deref().map(Profile::named).transpose()?;
        let token = Token::find(&module, &config.token_label, profile)?;
        root::require_any(&token, config.wrap)?;
        let hsm = Self {
            pool: SessionPool::open(token.clone(), config.pin, config.sessions)?,
            token,
            handles: Handles::default(),
            proofs: Proofs::default(),
            wrap: config.wrap,
            accept_weak_token: config.accept_weak_token,
            choice: Mutex::default(),
            enforcement: Mutex::default(),
            iv: OnceLock::new(),
            residents: Residents::default(),
            creating: Mutex::default(),
        };
        // Where it costs the token nothing. Elsewhere it is tried before a root key is made.
        if hsm.token.profile.session_objects {
            hsm.require_enforcement(Mechanism::AesGcm)?;
        }
        Ok(hsm)
    }

    /// Runs `op` in a session, and again if the token lost our sessions, our login or our object
    /// handles meanwhile. `op` must bear being run several times, and must not call this.
    fn run<T>(&self, op: impl Fn(&Lent<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        self.pool.with(op)
    }

    /// Runs `op` with a root key, which is found and checked on first use.
    fn run_with_root<T>(
        &self,
        id: &RootKeyId,
        op: impl Fn(&TokenRoot<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.run(|session| match self.handles.get(session.epoch(), id) {
            Some(root) => op(&self.in_session(session, root, id)?),
            None => op(&self.find_checked(session, id)?),
        })
    }

    /// Finds the one root key of this name, refuses it unless it is held as it must be and is the
    /// key that it was before, and remembers it.
    fn find_checked<'a>(
        &'a self,
        session: &'a Lent<'a>,
        id: &'a RootKeyId,
    ) -> Result<TokenRoot<'a>, Fault> {
        self.handles.forget(id);
        let found = objects::find_one(self.device(session), id)?;
        attributes::check(self.device(session), &found, id, !self.accept_weak_token)?;
        let root = self.in_session(session, found.clone(), id)?;
        self.proofs.check(&root)?;
        self.handles.put(session.epoch(), id, found);
        Ok(root)
    }

    fn device<'a>(&'a self, session: &'a Lent<'a>) -> Device<'a> {
        Device { raw: &self.token.module.raw, session, profile: &self.token.profile }
    }

    fn in_session<'a>(
        &'a self,
        session: &'a Lent<'a>,
        root: objects::Root,
        id: &'a RootKeyId,
    ) -> Result<TokenRoot<'a>, Fault> {
        let device = self.device(session);
        let iv = match root.mechanism {
            Mechanism::AesGcm => self.iv(device)?,
            _ => Iv::usual(self.token.profile.gcm_iv),
        };
        Ok(TokenRoot { device, root, iv, id })
    }

    /// Makes a root key and checks it as if it were found. One that does not pass is destroyed.
    fn create_in(
        &self,
        session: &Lent<'_>,
        id: &RootKeyId,
        mechanism: Mechanism,
    ) -> Result<(), Fault> {
        if objects::count(self.device(session), id)? > 0 {
            return Err(Fault::Hsm(HsmError::KeyExists(id.clone())));
        }
        let made = objects::generate(self.device(session), id, mechanism, true)?;
        self.proofs.forget(id);
        // Read back, used and compared before anyone relies on it: a token may have kept the
        // object half (SoftHSM does not sync), or another process may have taken the name.
        let Err(wrong) = self.find_checked(session, id) else { return Ok(()) };
        self.handles.forget(id);
        self.proofs.forget(id);
        Err(match made.destroy(session) {
            Ok(()) => wrong,
            Err(e) => Fault::Hsm(HsmError::Refused(format!(
                "{}; nor could the new key be destroyed again: {}",
                HsmError::from(wrong),
                fault::words(&e)
            ))),
        })
    }
}

impl Hsm for Pkcs11Hsm {
    fn info(&self) -> DeviceInfo {
        self.token.device_info()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        let len = out.len();
        if len == 0 {
            return Ok(());
        }
        let bytes = self.run(|session| Ok(KeyBytes::new(cipher::random(session, len)?)))?;
        out.copy_from_slice(bytes.expose());
        Ok(())
    }

    fn create_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        if id.as_str().starts_with(negotiate::LABEL) {
            let text = format!("{id}: keys of this name are thrown away after trials");
            return Err(HsmError::Refused(text));
        }
        objects::check_name(id)?;
        // The lock guards no data.
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let mechanism = self.choice()?.mechanism;
        self.require_enforcement(mechanism)?;
        Ok(self.pool.once(|session| self.create_in(session, id, mechanism))?)
    }

    fn destroy_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        id.check()?;
        self.destroy_root(id)
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        Ok(self.run(|session| objects::root_keys(self.device(session)))?)
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let check = || self.run(|session| self.find_checked(session, id).map(|_| ()));
        match check() {
            // A token whose files were away has no objects, and yet is well: SoftHSM reads the
            // files again only when it is started again.
            Err(missing @ Fault::Hsm(HsmError::NoSuchKey { .. })) if self.proofs.knows(id) => {
                Ok(self.pool.start_anew(missing, check)?)
            }
            checked => Ok(checked?),
        }
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        wrapped::check_key_len(key.expose().len())?;
        wrapped::check_aad_len(aad)?;
        let bytes = self.run_with_root(root, |root| {
            let bytes = root.wrap(key, aad)?;
            match root.unwrap(&bytes, aad) {
                Ok(opened) if opened == *key => Ok(bytes),
                Err(fault) if !fault.is_bad_tag() => Err(fault),
                _ => Err(Fault::Hsm(HsmError::SelfTest {
                    id: root.id.clone(),
                    reason: "it did not open what it had just wrapped".into(),
                })),
            }
        })?;
        Ok(WrappedKey { root: root.clone(), bytes })
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        root::check_format(&wrapped.bytes)?;
        self.run_with_root(&wrapped.root, |root| root.unwrap(&wrapped.bytes, aad)).map_err(
            |fault| {
                // A token that does not open what it certainly wrapped says nothing of this one.
                fault.of_unwrap(|| {
                    let opens = self.run_with_root(&wrapped.root, |root| self.proofs.opens(root));
                    opens.is_ok_and(|opens| opens)
                })
            },
        )
    }

    fn token_report(&self) -> Result<Option<Report>, HsmError> {
        self.report().map(Some)
    }

    /// One for each session.
    fn calls_at_once(&self) -> Option<usize> {
        usize::try_from(self.pool.limit()).ok()
    }

    fn resident(&self) -> Option<&dyn ResidentKeys> {
        Some(self)
    }

    fn root_key_claims(&self, root: &RootKeyId) -> Result<Vec<(String, String)>, HsmError> {
        self.claims(root)
    }
}

impl fmt::Debug for Pkcs11Hsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Hsm").field("device", &self.info()).finish_non_exhaustive()
    }
}
