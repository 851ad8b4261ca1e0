//! Keys that live in a PKCS#11 token and are used there ([`ResidentKeys`]).
//!
//! | module | role |
//! |---|---|
//! | `plan` | what each kind of key is in a token: class, uses, mechanisms, attributes |
//! | `create` | making it |
//! | `objects` | finding, listing and reading the objects |
//! | `key` | a key in a session: what it does |
//! | `oaep` | the padding of RSA-OAEP, for tokens that lack it |
//! | `proof` | that a key works, and is the key that it was |
//! | `offer` | which kinds a token can do |
//! | `serve` | the trait |

mod create;
mod key;
mod oaep;
mod objects;
mod offer;
mod plan;
mod proof;
mod serve;

use super::attributes;
use super::fault::{Fault, words};
use super::handles::Handles;
use super::negotiate::Iv;
use super::objects::public_half;
use super::session_pool::Lent;
use super::{Mechanism, Pkcs11Hsm};
use crate::resident::public_key;
use crate::{HsmError, ResidentId, ResidentSpec};
use create::Wish;
use cryptoki::object::ObjectHandle;
use cryptoki_sys::CK_MECHANISM_TYPE;
use key::{Found, Key, Routes};
use proof::Proofs;
use std::sync::{Arc, OnceLock};

/// What is remembered of the resident keys of a token.
#[derive(Debug, Default)]
pub(super) struct Residents {
    found: Handles<ResidentId, Arc<Found>>,
    proofs: Proofs,
    /// The kinds of keys that the token makes, once they were tried.
    offered: OnceLock<Vec<ResidentSpec>>,
    /// How the token decrypts RSA-OAEP, once it was tried.
    routes: OnceLock<Routes>,
}

impl Pkcs11Hsm {
    /// Runs `op` with a resident key, which is found and checked on first use.
    fn run_with_key<T>(
        &self,
        id: &ResidentId,
        op: impl Fn(&Key<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.run(|session| match self.residents.found.get(session.epoch(), id) {
            Some(found) => op(&self.key_in(session, id, found)?),
            None => op(&self.find_key(session, id, None)?),
        })
    }

    /// Finds the one key of this name, refuses it unless it is held as it must be, works, and is
    /// the key that it was before, and remembers it.
    fn find_key<'a>(
        &'a self,
        session: &'a Lent<'a>,
        id: &'a ResidentId,
        public: Option<&[u8]>,
    ) -> Result<Key<'a>, Fault> {
        self.residents.found.forget(id);
        let object = objects::find_one(self.device(session), id)?;
        let spec = self.check_held(session, id, object)?;
        let device = self.device(session);
        let rsa = match spec {
            ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => {
                let told = public_half(device.raw, session, object)?;
                Some(public_key::of_rsa(&told.modulus, &told.exponent))
            }
            _ => None,
        };
        let found = Found { key: object, spec, rsa, routes: Routes::default() };
        let mut key = self.key_in(session, id, Arc::new(found))?;
        let routes = self.residents.proofs.check(&key, public)?;
        if let Some(found) = Arc::get_mut(&mut key.found) {
            found.routes = routes;
        }
        self.residents.found.put(session.epoch(), id, Arc::clone(&key.found));
        Ok(key)
    }

    /// Refuses a key that is not held as it must be; says of what kind it is.
    fn check_held(
        &self,
        session: &Lent<'_>,
        id: &ResidentId,
        object: ObjectHandle,
    ) -> Result<ResidentSpec, Fault> {
        let bad = |faults| HsmError::BadResidentKey { id: id.clone(), faults };
        let spec = match objects::spec_of(self.device(session), object)? {
            Ok(spec) => spec,
            Err(found) => {
                let (attribute, wanted) = ("CKA_KEY_TYPE".into(), "one that is made here".into());
                return Err(bad(vec![crate::AttributeFault { attribute, wanted, found }]).into());
            }
        };
        let wanted = plan::wanted(spec);
        let mut faults =
            attributes::compare(self.device(session), object, wanted, !self.accept_weak_token)?;
        let allowed = plan::may_serve(spec);
        faults.extend(attributes::allowed_too_much(self.device(session), object, &allowed)?);
        if faults.is_empty() { Ok(spec) } else { Err(bad(faults).into()) }
    }

    fn key_in<'a>(
        &'a self,
        session: &'a Lent<'a>,
        id: &'a ResidentId,
        found: Arc<Found>,
    ) -> Result<Key<'a>, Fault> {
        let device = self.device(session);
        let iv = match found.spec {
            ResidentSpec::Aes256 => self.iv(device)?,
            _ => Iv::usual(device.profile.gcm_iv),
        };
        Ok(Key { device, id, iv, found })
    }

    /// Makes a key and checks it as if it were found. One that does not pass is destroyed.
    fn generate_in(
        &self,
        session: &Lent<'_>,
        id: &ResidentId,
        spec: ResidentSpec,
        serves: &[CK_MECHANISM_TYPE],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let found = objects::count_like(self.device(session), id)?;
        if found > 0 {
            return Err(HsmError::ResidentKeyExists { id: id.clone(), found }.into());
        }
        let wish = Wish { id, spec, serves, in_token: true };
        let new = wish.make(self.device(session))?;
        self.residents.proofs.forget(id);
        // Read back and used before anyone relies on it: a token may have kept the object half, or
        // another process may have taken the name.
        let wrong = match self.find_key(session, id, new.public.as_deref()) {
            Ok(key) if key.found.spec == spec => return Ok(new.public),
            Ok(key) => HsmError::Refused(format!(
                "{id}: a key for {spec} was asked for, one for {} was made",
                key.found.spec
            ))
            .into(),
            Err(wrong) => wrong,
        };
        self.forget_key(id);
        Err(match session.destroy_object(new.key) {
            Ok(()) => wrong,
            Err(e) => Fault::Hsm(HsmError::Refused(format!(
                "{}; nor could the new key be destroyed again: {}",
                HsmError::from(wrong),
                words(&e)
            ))),
        })
    }

    fn forget_key(&self, id: &ResidentId) {
        self.residents.found.forget(id);
        self.residents.proofs.forget(id);
    }

    /// Refuses a token that hands out keys, unless the operator has accepted it.
    fn require_keeping(&self) -> Result<(), HsmError> {
        self.require_enforcement(Mechanism::AesGcm)
    }
}
