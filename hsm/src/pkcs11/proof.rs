//! That a root key found again is the root key that was used before.
//!
//! A token that was away may come back with another object under the same label. What was wrapped
//! under that one would be lost with it, and nobody would notice until it is needed. So one
//! wrapped key is kept in memory for each root key; it must open before the root key is used under
//! a new handle.

use super::fault::Fault;
use crate::{HsmError, KeyBytes, RootKeyId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the wrapped key of a proof is bound to, and what it must not open under.
const AAD: &[u8] = b"claviger/hsm/self-test";
const OTHER_AAD: &[u8] = b"claviger/hsm/self-tesT";
const KEY_LEN: usize = 32;

/// A root key found in the token, in one session.
pub(super) trait Root {
    fn id(&self) -> &RootKeyId;

    /// The wrapped key in its stored format.
    fn wrap(&self, key: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, Fault>;

    /// What does not open is [`Fault::is_bad_tag`].
    fn unwrap(&self, wrapped: &[u8], aad: &[u8]) -> Result<KeyBytes, Fault>;
}

/// A random key, and the same wrapped under a root key.
struct Proof {
    key: KeyBytes,
    wrapped: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Proofs {
    known: Mutex<BTreeMap<RootKeyId, Arc<Proof>>>,
}

impl Proofs {
    /// Refuses a root key that does not open what it wrapped before. One that is used for the
    /// first time must open what it wraps now, and not under other associated data; that is kept.
    pub(super) fn check(&self, root: &impl Root) -> Result<(), Fault> {
        let known = self.known().get(root.id()).cloned();
        let Some(known) = known else {
            let made = Arc::new(make(root)?);
            self.known().entry(root.id().clone()).or_insert(made);
            return Ok(());
        };
        match root.unwrap(&known.wrapped, AAD) {
            Ok(key) if key == known.key => Ok(()),
            Err(fault) if !fault.is_bad_tag() => Err(fault),
            // Another key, or a token that cannot decrypt at all: then it fails here.
            _ => {
                make(root)?;
                Err(Fault::Hsm(HsmError::WrongRootKey { id: root.id().clone() }))
            }
        }
    }

    /// Whether a root key opens now what it wrapped before; false if nothing is known of it.
    pub(super) fn opens(&self, root: &impl Root) -> Result<bool, Fault> {
        let Some(known) = self.known().get(root.id()).cloned() else { return Ok(false) };
        Ok(root.unwrap(&known.wrapped, AAD)? == known.key)
    }

    /// Whether the root key was there before.
    pub(super) fn knows(&self, id: &RootKeyId) -> bool {
        self.known().contains_key(id)
    }

    /// The root key was made anew by ourselves.
    pub(super) fn forget(&self, id: &RootKeyId) {
        self.known().remove(id);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<RootKeyId, Arc<Proof>>> {
        // Every change is one insert or remove.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The self-test of a root key.
fn make(root: &impl Root) -> Result<Proof, Fault> {
    let fails = |reason: &str| {
        Fault::Hsm(HsmError::SelfTest { id: root.id().clone(), reason: reason.into() })
    };
    let mut bytes = vec![0; KEY_LEN];
    getrandom::fill(&mut bytes).map_err(|e| {
        Fault::Hsm(HsmError::Unavailable(format!("the system's random generator: {e}")))
    })?;
    let key = KeyBytes::new(bytes);
    let wrapped = root.wrap(&key, AAD)?;
    match root.unwrap(&wrapped, AAD) {
        Ok(opened) if opened == key => {}
        Err(fault) if !fault.is_bad_tag() => return Err(fault),
        _ => return Err(fails("it did not open what it had just wrapped")),
    }
    match root.unwrap(&wrapped, OTHER_AAD) {
        Ok(_) => Err(fails("it opened a key under other associated data")),
        Err(fault) if fault.is_bad_tag() => Ok(Proof { key, wrapped }),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root key that is one number; `binds` = whether it minds the associated data.
    struct Number {
        id: RootKeyId,
        number: u8,
        binds: bool,
        works: bool,
    }

    impl Root for Number {
        fn id(&self) -> &RootKeyId {
            &self.id
        }

        fn wrap(&self, key: &KeyBytes, aad: &[u8]) -> Result<Vec<u8>, Fault> {
            let aad = if self.binds { aad } else { b"" };
            Ok([&[self.number], aad, key.expose()].concat())
        }

        fn unwrap(&self, wrapped: &[u8], aad: &[u8]) -> Result<KeyBytes, Fault> {
            if !self.works {
                return Err(Fault::Hsm(HsmError::Unavailable("gone".into())));
            }
            let aad = if self.binds { aad } else { b"" };
            match wrapped.strip_prefix(&[self.number]).and_then(|rest| rest.strip_prefix(aad)) {
                Some(key) => Ok(KeyBytes::new(key.to_vec())),
                None => Err(Fault::Hsm(HsmError::Authentication)),
            }
        }
    }

    fn check(proofs: &Proofs, number: u8, binds: bool, works: bool) -> Result<(), HsmError> {
        Ok(proofs.check(&Number { id: RootKeyId::new("r"), number, binds, works })?)
    }

    #[test]
    fn another_key_of_the_same_name_is_refused() {
        let proofs = Proofs::default();
        check(&proofs, 1, true, true).unwrap();
        check(&proofs, 1, true, true).unwrap();
        let refused = check(&proofs, 2, true, true).unwrap_err();
        assert!(matches!(refused, HsmError::WrongRootKey { .. }), "{refused:?}");
        // Again and again, not once.
        assert!(check(&proofs, 2, true, true).is_err());
        check(&proofs, 1, true, true).unwrap();
        proofs.forget(&RootKeyId::new("r"));
        check(&proofs, 2, true, true).unwrap();
    }

    #[test]
    fn a_device_that_fails_is_not_taken_for_another_key() {
        let proofs = Proofs::default();
        check(&proofs, 1, true, true).unwrap();
        let error = check(&proofs, 1, true, false).unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
    }

    #[test]
    fn associated_data_that_is_not_bound_is_noticed() {
        let error = check(&Proofs::default(), 1, false, true).unwrap_err();
        assert!(matches!(error, HsmError::SelfTest { .. }), "{error:?}");
    }
}
