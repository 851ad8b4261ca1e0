//! That an object is the key that it was: a device answers to whatever bears the name, and whoever may
//! write to it can put another key there. Shown at the first use after the record was read, and again
//! when the process that the device runs in was started anew: the device itself knows its keys again for
//! as long as it stays open, and no longer.
//!
//! An AES key shows it by opening what it once encrypted, an HMAC key by a MAC that it once made, a key
//! pair by its public half.
use super::ResidentKey;
use super::kinds::resident;
use crate::seal::Label;
use claviger_hsm::{HsmError, KeyBytes, ResidentId, ResidentKeys, ResidentReport, ResidentSpec};
use std::sync::atomic::Ordering;
use subtle::ConstantTimeEq;

/// What is encrypted and bound, or authenticated. No blob is bound to it.
fn proof() -> Vec<u8> {
    [Label::RESIDENT_PROOF.to_string().as_bytes(), &[0]].concat()
}

/// What the key is to be known by. None of pairs.
pub(super) fn make(
    keys: &dyn ResidentKeys,
    id: &ResidentId,
    kind: ResidentSpec,
) -> Result<Option<Vec<u8>>, HsmError> {
    match kind {
        ResidentSpec::Aes256 => keys.encrypt(id, &KeyBytes::new(proof()), &proof()).map(Some),
        ResidentSpec::Hmac(hash) => keys.mac(id, hash, &proof()).map(Some),
        _ => Ok(None),
    }
}

/// Refuses another object. Asks the device once in each of its epochs, for as long as the record is in
/// memory.
pub(super) fn check(keys: &dyn ResidentKeys, key: &ResidentKey) -> Result<(), HsmError> {
    let epoch = keys.epoch().saturating_add(1);
    if key.proved.load(Ordering::Acquire) == epoch {
        return Ok(());
    }
    prove(keys, key)?;
    // If an epoch has begun meanwhile, the next look sees that and proves it in that one.
    key.proved.store(epoch, Ordering::Release);
    Ok(())
}

/// What the device says of the object, once it was proved anew to be the key.
pub fn shown(keys: &dyn ResidentKeys, key: &ResidentKey) -> Result<ResidentReport, HsmError> {
    prove(keys, key)?;
    keys.check(&key.object, key.public())
}

fn prove(keys: &dyn ResidentKeys, key: &ResidentKey) -> Result<(), HsmError> {
    let id = &key.object;
    let made = key.proof.as_ref().map(|made| made.0.as_slice()).unwrap_or_default();
    let same = match resident(key.spec, key.usage) {
        Some(ResidentSpec::Aes256) => match keys.decrypt(id, made, &proof()) {
            Ok(opened) => opened == KeyBytes::new(proof()),
            Err(HsmError::Authentication) => false,
            Err(error) => return Err(error),
        },
        Some(ResidentSpec::Hmac(hash)) => keys.mac(id, hash, &proof())?.ct_eq(made).into(),
        _ => {
            keys.check(id, key.public())?;
            key.public.is_some()
        }
    };
    if !same {
        return Err(HsmError::WrongResidentKey { id: id.clone() });
    }
    Ok(())
}
