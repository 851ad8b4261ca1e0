//! Root keys in a PKCS#11 token: made there, used there, never out of there.
//!
//! A root key is an AES-256 token key that may only encrypt and decrypt, and only with AES-GCM.
//! It never has WRAP or UNWRAP besides: with WRAP and DECRYPT on one key, any key it wraps can be
//! read. Other keys are wrapped with it by C_Encrypt, as data.
//!
//! | module | role |
//! |---|---|
//! | `config` | which module, which token, which PIN |
//! | `module` | a vendor's library, loaded and initialised once a process |
//! | `token` | finding the one token with our label; its PIN flags; logging in, once |
//! | `init` | making a blank token ours |
//! | `session_pool` | one anchor session that stays logged in, and a few to work with |
//! | `objects` | finding and making the root key object |
//! | `attributes` | what a root key must look like, read back from the device |
//! | `cipher` | AES-GCM in the token, and what its errors mean |
//! | `fault` | PKCS#11 return values as our errors |
//! | `report` | everything known about the device, for an operator |

mod attributes;
mod cipher;
mod config;
mod fault;
mod init;
mod module;
mod objects;
mod report;
mod session_pool;
mod token;

pub use config::{Pin, Pkcs11Config};
pub use init::init_token;
pub use module::login_attempts;
pub use report::{Attribute, Report, RootKeyReport, SessionLimits};

use crate::{DeviceInfo, Hsm, HsmError, KeyBytes, RootKeyId, WrappedKey, wrapped};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use fault::Fault;
use session_pool::SessionPool;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use token::Token;

/// What the self-test of a root key wraps under, and what it must then not open under.
const SELF_TEST_AAD: &[u8] = b"claviger/hsm/self-test";
const SELF_TEST_OTHER_AAD: &[u8] = b"claviger/hsm/self-tesT";

/// A PKCS#11 token, open and logged in.
pub struct Pkcs11Hsm {
    token: Token,
    pool: SessionPool,
    /// Root keys whose attributes were checked, by handle. Finding an object is slow (linear in
    /// SoftHSM), so it is done once; forgotten whenever the token forgets us.
    handles: Mutex<BTreeMap<RootKeyId, ObjectHandle>>,
    /// One root key is made at a time, so that two calls cannot both find a name free.
    creating: Mutex<()>,
}

impl Pkcs11Hsm {
    /// Opens the one token with the configured label and logs in: one attempt, never two.
    ///
    /// PKCS#11 logs in a process, not a session: where another `Pkcs11Hsm` of this process is
    /// logged in to the token already, its login serves, and the PIN is not tried at all.
    pub fn open(config: Pkcs11Config) -> Result<Self, HsmError> {
        let module = module::load(&config.module)?;
        let token = Token::find(module, &config.token_label)?;
        token.require(&[MechanismType::AES_GCM])?;
        let anchor = token.log_in(&config.pin)?;
        let pool = SessionPool::new(token.clone(), anchor);
        Ok(Self { token, pool, handles: Mutex::default(), creating: Mutex::default() })
    }

    /// Runs `op` in a session; once more if the token lost our sessions or handles meanwhile.
    /// `op` must bear being run twice.
    fn run<T>(&self, op: impl Fn(&Session) -> Result<T, Fault>) -> Result<T, Fault> {
        match self.pool.with(&op) {
            Err(fault) if fault.is_stale() => {
                self.handles().clear();
                self.pool.reopen()?;
                self.pool.with(&op)
            }
            other => other,
        }
    }

    /// Runs `op` with a root key, which is found and checked on first use.
    fn run_with_root<T>(
        &self,
        root: &RootKeyId,
        op: impl Fn(&Session, ObjectHandle) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.run(|session| {
            let known = self.handles().get(root).copied();
            let handle = match known {
                Some(handle) => handle,
                None => self.find_checked(session, root)?,
            };
            op(session, handle)
        })
    }

    /// Finds the one object that is this root key, refuses it unless it is held as it must be,
    /// and remembers it.
    fn find_checked(&self, session: &Session, root: &RootKeyId) -> Result<ObjectHandle, Fault> {
        self.handles().remove(root);
        let handle = objects::find_one(session, root)?;
        attributes::check(session, handle, root)?;
        self.handles().insert(root.clone(), handle);
        Ok(handle)
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<RootKeyId, ObjectHandle>> {
        // Every change to the map is one insert, remove or clear: none can be left half done.
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wraps a random key, opens it, and sees that other associated data does not open it.
    fn self_test(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let fails = |reason: &str| HsmError::SelfTest { id: id.clone(), reason: reason.into() };
        let mut bytes = vec![0; 32];
        self.random(&mut bytes)?;
        let key = KeyBytes::new(bytes);
        let wrapped = self.wrap(id, &key, SELF_TEST_AAD)?;
        if self.unwrap(&wrapped, SELF_TEST_AAD)? != key {
            return Err(fails("it opened another key than was wrapped"));
        }
        match self.unwrap(&wrapped, SELF_TEST_OTHER_AAD) {
            Err(HsmError::Authentication) => Ok(()),
            Err(other) => Err(other),
            Ok(_) => Err(fails("it opened a key under other associated data")),
        }
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
        self.token.require(&[MechanismType::AES_GCM, MechanismType::AES_KEY_GEN])?;
        // The lock guards no data.
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let session = self.token.open_rw()?;
        if !token::is_logged_in(&session)? {
            return Err(self.pool.logged_out());
        }
        if objects::count(&session, id)? > 0 {
            return Err(HsmError::KeyExists(id.clone()));
        }
        let handle = objects::generate(&session, id)?;
        // Read back, used and compared before anyone relies on it: a token may have kept the
        // object half (SoftHSM does not sync), or another process may have taken the name.
        let Err(wrong) = self.check_root_key(id) else { return Ok(()) };
        self.handles().remove(id);
        Err(match session.destroy_object(handle) {
            Ok(()) => wrong,
            Err(e) => HsmError::Refused(format!(
                "{wrong}; nor could the new key be destroyed again: {}",
                fault::words(&e)
            )),
        })
    }

    fn root_keys(&self) -> Result<Vec<RootKeyId>, HsmError> {
        Ok(self.run(|session| Ok(objects::root_keys(session)?))?)
    }

    fn check_root_key(&self, id: &RootKeyId) -> Result<(), HsmError> {
        self.run(|session| self.find_checked(session, id))?;
        self.self_test(id)
    }

    fn wrap(&self, root: &RootKeyId, key: &KeyBytes, aad: &[u8]) -> Result<WrappedKey, HsmError> {
        wrapped::check_key_len(key.expose().len())?;
        let aad = wrapped::bound(aad)?;
        let bytes = self.run_with_root(root, |session, handle| {
            let (iv, sealed) = cipher::encrypt(session, handle, key, &aad)?;
            match cipher::decrypt(session, handle, iv, &sealed, &aad) {
                Ok(opened) if opened == *key => Ok(wrapped::encode(&iv, &sealed)),
                Err(fault) if fault.is_stale() => Err(fault),
                _ => Err(Fault::Hsm(HsmError::SelfTest {
                    id: root.clone(),
                    reason: "it did not open what it had just wrapped".into(),
                })),
            }
        })?;
        Ok(WrappedKey { root: root.clone(), bytes })
    }

    fn unwrap(&self, wrapped: &WrappedKey, aad: &[u8]) -> Result<KeyBytes, HsmError> {
        let (iv, sealed) = wrapped::decode(&wrapped.bytes)?;
        let aad = wrapped::bound(aad)?;
        self.run_with_root(&wrapped.root, |session, handle| {
            cipher::decrypt(session, handle, iv, sealed, &aad)
        })
        .map_err(|fault| fault.of_unwrap(|| self.pool.is_healthy()))
    }
}

impl fmt::Debug for Pkcs11Hsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Hsm").field("device", &self.info()).finish_non_exhaustive()
    }
}
