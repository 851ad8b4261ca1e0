//! Destroying a key in the token: all its objects, and then the proof that none is left.

use super::fault::{Fault, words};
use super::wrap::Device;
use super::{Pkcs11Hsm, objects};
use crate::{HsmError, RootKeyId};
use cryptoki::object::ObjectHandle;
use std::sync::PoisonError;

impl Pkcs11Hsm {
    /// Destroys a root key. What bears its name and has a CKA_ID that is none of ours is left
    /// alone, and is the error: somebody else made it, and knows what for.
    pub(super) fn destroy_root(&self, id: &RootKeyId) -> Result<(), HsmError> {
        let forget = || {
            self.handles.forget(id);
            self.proofs.forget(id);
        };
        self.destroy_objects(
            &format!("root key {id}"),
            |device| objects::ours(device, id),
            forget,
        )?;
        match self.run(|session| objects::count(self.device(session), id))? {
            0 => Ok(()),
            left => Err(HsmError::Refused(format!(
                "root key {id}: {left} objects of its name are still in the token, whose CKA_ID is \
                 none of ours; if they are not needed, destroy them by the vendor's tool"
            ))),
        }
    }

    /// Destroys the objects that `find` finds, looks whether any is left, and has the key
    /// forgotten. `find` answers that there is no such key if there is none, which makes the pool
    /// ask whether the token is well: to a session that was logged out nothing is there.
    pub(super) fn destroy_objects(
        &self,
        name: &str,
        find: impl Fn(Device<'_>) -> Result<Vec<ObjectHandle>, Fault>,
        forget: impl Fn(),
    ) -> Result<(), HsmError> {
        // The lock guards no data.
        let _one_at_a_time = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        if self.left(&find)? == 0 {
            forget();
            return Ok(());
        }
        let refused = self.pool.once(|session| {
            let mut refused = None;
            for object in find(self.device(session))? {
                // One that is gone already is as good; what is left is seen below.
                refused = session.destroy_object(object).err().or(refused);
            }
            Ok(refused)
        });
        // Whatever came of it, what is known of the key may not be so any more.
        forget();
        let refused =
            refused.or_else(|fault| if is_absent(&fault) { Ok(None) } else { Err(fault) })?;
        match self.left(&find)? {
            0 => Ok(()),
            left => {
                let why = refused.map(|error| words(&error));
                let why = why.unwrap_or_else(|| "C_DestroyObject answered that it was".into());
                Err(HsmError::Refused(format!(
                    "{name} is not destroyed: {left} of its objects are still in the token; {why}"
                )))
            }
        }
    }

    fn left(
        &self,
        find: impl Fn(Device<'_>) -> Result<Vec<ObjectHandle>, Fault>,
    ) -> Result<usize, HsmError> {
        match self.run(|session| find(self.device(session))) {
            Ok(found) => Ok(found.len()),
            Err(fault) if is_absent(&fault) => Ok(0),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn is_absent(fault: &Fault) -> bool {
    matches!(fault, Fault::Hsm(HsmError::NoSuchKey { .. } | HsmError::NoSuchResidentKey { .. }))
}
