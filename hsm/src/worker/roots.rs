//! What a helper that was started again must prove of the root keys: that they are the ones that
//! were in use before. A name proves nothing: another object may have taken it meanwhile.
//!
//! Of every root key in use there is a witness: random bytes wrapped under it. A new helper must
//! find the key as it must be and open the witness, before it gets any other work. A key of which
//! it cannot is refused, until it can; the others are not affected.

use super::connection::{Connection, Failure, mistaken};
use super::message::{Answer, Request};
use crate::{HsmError, KeyBytes, RootKeyId, WrappedKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const WITNESS_AAD: &[u8] = b"claviger/hsm/helper-witness";

struct Witness {
    key: KeyBytes,
    wrapped: WrappedKey,
    /// Why the root key is not to be used.
    refused: Option<HsmError>,
}

#[derive(Default)]
pub(super) struct Roots {
    witnesses: Mutex<BTreeMap<RootKeyId, Witness>>,
}

impl Roots {
    /// Whether a root key may be used with the helper of now.
    pub(super) fn allow(&self, root: &RootKeyId) -> Result<(), HsmError> {
        match self.witnesses().get(root).and_then(|witness| witness.refused.as_ref()) {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Whether there is a witness of it.
    pub(super) fn knows(&self, root: &RootKeyId) -> bool {
        self.witnesses().contains_key(root)
    }

    /// Makes a witness of a root key that this helper has just used or made. One that cannot be
    /// made now is made after the next use.
    pub(super) fn remember(&self, root: &RootKeyId, helper: &Connection, deadline: Duration) {
        let mut bytes = vec![0; 32];
        if getrandom::fill(&mut bytes).is_err() {
            return;
        }
        let key = KeyBytes::new(bytes);
        let request =
            Request::Wrap { root: root.clone(), key: key.clone(), aad: WITNESS_AAD.to_vec() };
        if let Ok(Ok(Answer::Wrapped(wrapped))) = helper.request(&request, deadline) {
            let witness = Witness { key, wrapped, refused: None };
            self.witnesses().insert(root.clone(), witness);
        }
    }

    /// A root key was destroyed, or made anew under this name.
    pub(super) fn forget(&self, root: &RootKeyId) {
        self.witnesses().remove(root);
    }

    /// Has a new helper prove all root keys that were in use. An error means that it could not be
    /// asked; a key that is not the one is refused from here on.
    pub(super) fn prove_all(&self, helper: &Connection, deadline: Duration) -> Result<(), Failure> {
        let roots: Vec<RootKeyId> = self.witnesses().keys().cloned().collect();
        for root in roots {
            match helper.request(&Request::CheckRootKey(root.clone()), deadline)? {
                Ok(_) => self.open_witness(&root, helper, deadline)?,
                Err(e) => self.judge(&root, Err(e))?,
            }
        }
        Ok(())
    }

    /// Has a helper open the witness of a root key that it found to be as it must be.
    pub(super) fn open_witness(
        &self,
        root: &RootKeyId,
        helper: &Connection,
        deadline: Duration,
    ) -> Result<(), Failure> {
        let Some(wrapped) = self.witnesses().get(root).map(|w| w.wrapped.bytes.clone()) else {
            return Ok(());
        };
        let request = Request::Unwrap { root: root.clone(), wrapped, aad: WITNESS_AAD.to_vec() };
        self.judge(root, helper.request(&request, deadline)?)
    }

    /// Keeps for [`Roots::allow`] what came of a witness.
    fn judge(&self, root: &RootKeyId, opened: Result<Answer, HsmError>) -> Result<(), Failure> {
        let mut witnesses = self.witnesses();
        let Some(witness) = witnesses.get_mut(root) else { return Ok(()) };
        witness.refused = match opened {
            Ok(Answer::Secret(key)) if key == witness.key => None,
            Ok(Answer::Secret(_)) | Err(HsmError::Authentication) => {
                Some(HsmError::WrongRootKey { id: root.clone() })
            }
            Ok(other) => return Err(Failure::Ended(mistaken("Secret", other.name()))),
            Err(HsmError::Unavailable(why)) => return Err(Failure::Ended(why)),
            Err(other) => Some(other),
        };
        Ok(())
    }

    fn witnesses(&self) -> MutexGuard<'_, BTreeMap<RootKeyId, Witness>> {
        // Every change is one insert, remove or assignment.
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
