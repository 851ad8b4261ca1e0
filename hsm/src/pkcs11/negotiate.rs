//! Which way a token wraps: tried with keys that are thrown away, before a root key is made.
//!
//! The first way of the profile's order that passes is taken. A root key keeps the mechanism that
//! it was made for (its CKA_ID and every wrapped key say it), so a later choice changes nothing
//! for it.

use super::cipher;
use super::fault::Fault;
use super::kind;
use super::mechanism;
use super::objects::{self, Root};
use super::wrap::Device;
use crate::profile::GcmIv;
use crate::wrapped::IV_LEN;
use crate::{HsmError, KeyBytes, Mechanism, RootKeyId};
use cryptoki::object::Attribute;
use cryptoki_sys::CK_MECHANISM_TYPE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The label of every key that is made for a trial.
pub(super) const LABEL: &str = "claviger/hsm/trial";
/// How often a way to wrap is used in a trial: a token whose IVs repeat, or come from a counter
/// that starts anew with every session, shows in fewer.
const RUNS: usize = 16;
const AAD: &[u8] = b"claviger/hsm/trial";
const OTHER_AAD: &[u8] = b"claviger/hsm/triaL";

/// How new root keys wrap, and why not otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapChoice {
    pub mechanism: Mechanism,
    /// Of aes-gcm alone: who chooses the IV.
    pub gcm_iv: Option<GcmIv>,
    /// The better ways that were passed over, and what the token lacks or answered.
    pub passed_over: Vec<(Mechanism, String)>,
}

/// The IVs of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Iv {
    pub(super) chooser: GcmIv,
    /// In bytes. What is not 12 has no room in format 01.
    pub(super) len: usize,
}

impl Iv {
    /// As nearly every token has it.
    pub(super) fn usual(chooser: GcmIv) -> Self {
        Self { chooser, len: IV_LEN }
    }
}

/// The names of what a way to wrap needs and a token has not.
pub(super) fn lacks(mechanism: Mechanism, has: &[CK_MECHANISM_TYPE]) -> Vec<String> {
    let missing = kind::needs(mechanism).into_iter().filter(|number| !has.contains(number));
    missing.map(mechanism::name).collect()
}

/// Tries one way. `Err` within says what the token does wrong; a fault is the token's own answer.
pub(super) fn try_one(
    device: Device<'_>,
    mechanism: Mechanism,
) -> Result<Result<Option<Iv>, String>, Fault> {
    with_trial_key(device, mechanism, |root| match mechanism {
        Mechanism::AesGcm => Ok(find_iv(device, root)?.map(Some)),
        _ => Ok(wraps(device, root)?.map(|()| None)),
    })
}

/// Who chooses the IVs of a token, found with a key that is thrown away.
pub(super) fn iv(device: Device<'_>) -> Result<Result<Iv, String>, Fault> {
    with_trial_key(device, Mechanism::AesGcm, |root| find_iv(device, root))
}

/// Runs `trial` with a key that is destroyed afterwards.
pub(super) fn with_trial_key<T>(
    device: Device<'_>,
    mechanism: Mechanism,
    trial: impl FnOnce(&Root) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let in_token = !device.profile.session_objects;
    if in_token {
        sweep(device)?;
    }
    let root = objects::generate(device, &RootKeyId::new(LABEL), mechanism, in_token)?;
    let result = trial(&root);
    let gone = root.destroy(device.session);
    let result = result?;
    gone?;
    Ok(result)
}

/// Destroys what a trial left in the token when its process was killed.
fn sweep(device: Device<'_>) -> Result<(), Fault> {
    for label in objects::labels(&RootKeyId::new(LABEL)) {
        let mine = [Attribute::Label(label.into()), Attribute::Token(true)];
        for object in device.find(&mine)? {
            device.session.destroy_object(object)?;
        }
    }
    Ok(())
}

/// Tries who may choose the IV, the profile's first.
fn find_iv(device: Device<'_>, root: &Root) -> Result<Result<Iv, String>, Fault> {
    let first = device.profile.gcm_iv;
    let others = GcmIv::ALL.into_iter().filter(|chooser| *chooser != first);
    let mut why = Vec::new();
    for chooser in [first].into_iter().chain(others) {
        match seals(device, root, chooser) {
            Ok(Ok(len)) => return Ok(Ok(Iv { chooser, len })),
            Ok(Err(reason)) => why.push(format!("{chooser:?}: {reason}")),
            Err(fault) if fault.is_stale() => return Err(fault),
            Err(fault) => why.push(format!("{chooser:?}: {}", HsmError::from(fault))),
        }
    }
    Ok(Err(why.join("; ")))
}

/// AES-GCM: opens what it seals, minds associated data and tag, repeats no IV. Gives the length
/// of the IVs.
fn seals(device: Device<'_>, root: &Root, chooser: GcmIv) -> Result<Result<usize, String>, Fault> {
    let Device { raw, session, .. } = device;
    let mut ivs = BTreeSet::new();
    let mut len = 0;
    for _ in 0..RUNS {
        let key = device.wrapping_key()?;
        let sealed = cipher::encrypt(raw, session, root.key, chooser, &key, AAD)?;
        let open = |bytes: &[u8], aad: &[u8]| {
            cipher::decrypt(raw, session, root.key, &sealed.iv, bytes, aad)
        };
        if open(&sealed.bytes, AAD)? != key {
            return Ok(Err("it opened another key than was sealed".into()));
        }
        if ivs.is_empty() {
            if is_opened(open(&sealed.bytes, OTHER_AAD))? {
                return Ok(Err("it opened a key under other associated data".into()));
            }
            if is_opened(open(&flipped(&sealed.bytes), AAD))? {
                return Ok(Err("it opened a key whose tag was changed".into()));
            }
            len = sealed.iv.len();
        }
        if sealed.iv.len() != len || !ivs.insert(sealed.iv) {
            return Ok(Err(format!("an IV was repeated within {RUNS}")));
        }
    }
    Ok(Ok(len))
}

/// The others: open what they wrap, and not what was changed.
fn wraps(device: Device<'_>, root: &Root) -> Result<Result<(), String>, Fault> {
    // It asks nobody for an IV.
    let chooser = GcmIv::Caller;
    let mut blobs = BTreeSet::new();
    for _ in 0..RUNS {
        let key = device.wrapping_key()?;
        let blob = device.close(root, chooser, &key)?;
        if device.open(root, &blob)? != key {
            return Ok(Err("it opened another key than was wrapped".into()));
        }
        if blobs.is_empty() && is_opened(device.open(root, &flipped(&blob)))? {
            return Ok(Err("it opened a wrapped key that was changed".into()));
        }
        if !blobs.insert(blob) {
            return Ok(Err("two keys were wrapped alike".into()));
        }
    }
    Ok(Ok(()))
}

/// Whether a changed blob was opened; a token that has lost us has said nothing about it.
fn is_opened(opened: Result<KeyBytes, Fault>) -> Result<bool, Fault> {
    match opened {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_stale() => Err(fault),
        Err(_) => Ok(false),
    }
}

/// With one bit of the last byte changed.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes
}
