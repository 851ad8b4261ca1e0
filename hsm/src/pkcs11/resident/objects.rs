//! The objects of resident keys in the token: finding, listing and reading them.
//!
//! A key is one object: of a pair the private half. The public half is read when the pair is made
//! and then kept out of the token, because anybody can put a public object there or take it away,
//! without a PIN: who relied on it would encrypt to another's key. Where a token has no session
//! objects it keeps the public half under the same label, and it is never read again.
//!
//! ```text
//! CKA_LABEL  the key's name
//! CKA_ID     the first 16 bytes of SHA-256("claviger/hsm/resident-id\0" ‖ the name)
//! ```
//!
//! By CKA_ID a key of ours is told from another application's, and from a root key.

use super::super::fault::Fault;
use super::super::objects::{RsaPublic, public_half};
use super::super::value::Value;
use super::super::wrap::Device;
use crate::{Curve, Hash, HsmError, ResidentId, ResidentSpec};
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki_sys::{CKK_AES, CKK_EC, CKK_GENERIC_SECRET, CKK_RSA};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

pub(super) fn object_id(id: &ResidentId) -> Vec<u8> {
    let hash = Sha256::new().chain_update(b"claviger/hsm/resident-id\0").chain_update(id.as_str());
    hash.finalize().iter().take(16).copied().collect()
}

/// The one object that is this key.
pub(super) fn find_one(device: Device<'_>, id: &ResidentId) -> Result<ObjectHandle, Fault> {
    let mut keys = Vec::new();
    for object in ours(device, id)? {
        if !device.is_public(object)? {
            keys.push(object);
        }
    }
    match keys[..] {
        [key] => Ok(key),
        [] => Err(none(device, id)?),
        _ => {
            let count = keys.len();
            Err(HsmError::DuplicateResidentKey { id: id.clone(), count }.into())
        }
    }
}

/// Objects with the name and the CKA_ID of this key.
fn ours(device: Device<'_>, id: &ResidentId) -> Result<Vec<ObjectHandle>, Fault> {
    let wanted = [Attribute::Label(id.as_str().into()), Attribute::Id(object_id(id))];
    device.find(&wanted)
}

/// That there is no such key; says how many others have its name.
pub(super) fn none(device: Device<'_>, id: &ResidentId) -> Result<Fault, Fault> {
    let found = device.find(&[Attribute::Label(id.as_str().into())])?.len();
    Ok(HsmError::NoSuchResidentKey { wanted: id.clone(), found }.into())
}

/// Everything that is of this key: also what has lost its label, or has no CKA_ID yet because it
/// was being made. What has another CKA_ID is somebody else's, whatever its label.
pub(super) fn all_of(device: Device<'_>, id: &ResidentId) -> Result<Vec<ObjectHandle>, Fault> {
    let mut all = device.find(&[Attribute::Id(object_id(id))])?;
    all.extend(device.half_made(id.as_str())?);
    Ok(all)
}

/// How many objects, whoever's, a new key of this name would be confused with.
pub(super) fn count_like(device: Device<'_>, id: &ResidentId) -> Result<usize, Fault> {
    let named = device.find(&[Attribute::Label(id.as_str().into())])?;
    let mut all = device.find(&[Attribute::Id(object_id(id))])?;
    all.extend(named.into_iter().filter(|object| !all.contains(object)).collect::<Vec<_>>());
    Ok(all.len())
}

/// The names of all keys of ours, half-made ones included, sorted.
pub(super) fn names(device: Device<'_>) -> Result<Vec<ResidentId>, Fault> {
    let mut names = BTreeSet::new();
    for object in device.find(&[Attribute::Token(true)])? {
        let found = device.bytes(object, AttributeType::Id)?;
        let label = device.bytes(object, AttributeType::Label)?;
        let (Some(found), Some(label)) = (found, label) else { continue };
        let Ok(label) = String::from_utf8(label) else { continue };
        let id = ResidentId::new(label);
        if object_id(&id) == found {
            names.insert(id);
        }
    }
    Ok(names.into_iter().collect())
}

/// What kind of key an object is; `Err` within says why it is none.
pub(super) fn spec_of(
    device: Device<'_>,
    key: ObjectHandle,
) -> Result<Result<ResidentSpec, String>, Fault> {
    let Some(Value::Number(key_type)) = device.readable(key, AttributeType::KeyType)? else {
        return Ok(Err("CKA_KEY_TYPE cannot be read".into()));
    };
    let may = |attribute| -> Result<bool, Fault> {
        Ok(device.readable(key, attribute)? == Some(Value::Is(true)))
    };
    Ok(match key_type {
        CKK_AES => Ok(ResidentSpec::Aes256),
        CKK_GENERIC_SECRET => match device.readable(key, AttributeType::ValueLen)? {
            Some(Value::Number(len)) => hash_of(len)
                .map(ResidentSpec::Hmac)
                .ok_or_else(|| format!("a generic secret of {len} bytes is for no HMAC")),
            _ => Err("CKA_VALUE_LEN cannot be read".into()),
        },
        CKK_RSA => {
            let RsaPublic { modulus, .. } = public_half(device.raw, device.session, key)?;
            let signs = may(AttributeType::Sign)?;
            match (u16::try_from(modulus.len() * 8), signs) {
                (Ok(bits @ (2048 | 3072 | 4096)), true) => Ok(ResidentSpec::RsaSign(bits)),
                (Ok(bits @ (2048 | 3072 | 4096)), false) => Ok(ResidentSpec::RsaDecrypt(bits)),
                _ => Err(format!("a modulus of {} bytes", modulus.len())),
            }
        }
        CKK_EC => match device.bytes(key, AttributeType::EcParams)? {
            Some(found) => match curve_of(&found) {
                Some(curve) if may(AttributeType::Derive)? => Ok(ResidentSpec::EcAgree(curve)),
                Some(curve) => Ok(ResidentSpec::EcSign(curve)),
                None => Err("CKA_EC_PARAMS name no curve of ours".into()),
            },
            None => Err("CKA_EC_PARAMS cannot be read".into()),
        },
        other => Err(format!("CKA_KEY_TYPE is {other:#x}")),
    })
}

fn hash_of(len: u64) -> Option<Hash> {
    let all = [Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512];
    all.into_iter().find(|hash| hash.digest_len() as u64 == len)
}

fn curve_of(params: &[u8]) -> Option<Curve> {
    let all = [Curve::P256, Curve::P384, Curve::P521, Curve::Secp256k1];
    all.into_iter().find(|curve| curve.oid() == params)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is in tokens for years.
    #[test]
    fn the_object_id_is_pinned() {
        let id = object_id(&ResidentId::new("claviger/test/key/k/1"));
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "00ed23774bb5f9f571d4f31a4b195943");
    }
}
