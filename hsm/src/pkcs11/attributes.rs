//! What a root key must look like, read back from the device.
//!
//! Attributes are asked one at a time: one odd value would fail the whole question.

use super::fault::{Fault, words};
use super::report;
use crate::{AttributeFault, HsmError, RootKeyId};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// What is said where a device does not know an attribute.
const UNKNOWN: &str = "nothing";

/// (name, attribute, values that are right). ALWAYS_SENSITIVE, NEVER_EXTRACTABLE and LOCAL are
/// the device's own account of the key's past and cannot be set: an imported key lacks them.
/// COPYABLE is younger than many devices.
const WANTED: [(&str, AttributeType, &[&str]); 18] = [
    ("CKA_CLASS", AttributeType::Class, &["CKO_SECRET_KEY"]),
    ("CKA_KEY_TYPE", AttributeType::KeyType, &["CKK_AES"]),
    ("CKA_VALUE_LEN", AttributeType::ValueLen, &["32"]),
    ("CKA_TOKEN", AttributeType::Token, &["true"]),
    ("CKA_PRIVATE", AttributeType::Private, &["true"]),
    ("CKA_SENSITIVE", AttributeType::Sensitive, &["true"]),
    ("CKA_ALWAYS_SENSITIVE", AttributeType::AlwaysSensitive, &["true"]),
    ("CKA_EXTRACTABLE", AttributeType::Extractable, &["false"]),
    ("CKA_NEVER_EXTRACTABLE", AttributeType::NeverExtractable, &["true"]),
    ("CKA_LOCAL", AttributeType::Local, &["true"]),
    ("CKA_MODIFIABLE", AttributeType::Modifiable, &["false"]),
    ("CKA_COPYABLE", AttributeType::Copyable, &["false", UNKNOWN]),
    ("CKA_ENCRYPT", AttributeType::Encrypt, &["true"]),
    ("CKA_DECRYPT", AttributeType::Decrypt, &["true"]),
    ("CKA_WRAP", AttributeType::Wrap, &["false"]),
    ("CKA_UNWRAP", AttributeType::Unwrap, &["false"]),
    ("CKA_SIGN", AttributeType::Sign, &["false"]),
    ("CKA_DERIVE", AttributeType::Derive, &["false"]),
];

/// Refuses a key that is not held as a root key must be; names every attribute that is wrong.
pub(super) fn check(session: &Session, key: ObjectHandle, id: &RootKeyId) -> Result<(), Fault> {
    let faults = faults(session, key)?;
    if faults.is_empty() {
        return Ok(());
    }
    Err(Fault::Hsm(HsmError::BadAttributes { id: id.clone(), faults }))
}

pub(super) fn faults(session: &Session, key: ObjectHandle) -> Result<Vec<AttributeFault>, Fault> {
    let mut faults = Vec::new();
    for (name, attribute, right) in WANTED {
        let found = read(session, key, attribute)?;
        if !right.contains(&found.as_str()) {
            let wanted = right.first().copied().unwrap_or(UNKNOWN).to_owned();
            faults.push(AttributeFault { attribute: name.into(), wanted, found });
        }
    }
    Ok(faults)
}

/// All that is checked, and what it is allowed to be used with, as an operator reads it.
pub(super) fn shown(session: &Session, key: ObjectHandle) -> Vec<report::Attribute> {
    let allowed = ("CKA_ALLOWED_MECHANISMS", AttributeType::AllowedMechanisms, &[][..]);
    let all = WANTED.into_iter().chain([allowed]);
    all.map(|(name, attribute, _)| report::Attribute {
        name: name.into(),
        value: read(session, key, attribute).unwrap_or_else(|e| HsmError::from(e).to_string()),
    })
    .collect()
}

/// An attribute as text. Only a session or handle that is gone is an error; whatever else a
/// device answers is a finding.
fn read(session: &Session, key: ObjectHandle, wanted: AttributeType) -> Result<String, Fault> {
    match session.get_attributes(key, &[wanted]) {
        Ok(found) => Ok(found.first().map_or_else(|| UNKNOWN.into(), text)),
        Err(error) => {
            let answer = words(&error);
            let fault = Fault::from(error);
            if fault.is_stale() { Err(fault) } else { Ok(answer) }
        }
    }
}

fn text(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Class(ObjectClass::SECRET_KEY) => "CKO_SECRET_KEY".into(),
        Attribute::KeyType(KeyType::AES) => "CKK_AES".into(),
        Attribute::ValueLen(len) => len.to_string(),
        Attribute::AllowedMechanisms(allowed) => {
            allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        Attribute::Token(is)
        | Attribute::Private(is)
        | Attribute::Sensitive(is)
        | Attribute::AlwaysSensitive(is)
        | Attribute::Extractable(is)
        | Attribute::NeverExtractable(is)
        | Attribute::Local(is)
        | Attribute::Modifiable(is)
        | Attribute::Copyable(is)
        | Attribute::Encrypt(is)
        | Attribute::Decrypt(is)
        | Attribute::Wrap(is)
        | Attribute::Unwrap(is)
        | Attribute::Sign(is)
        | Attribute::Verify(is)
        | Attribute::Derive(is) => is.to_string(),
        other => format!("{other:?}"),
    }
}
