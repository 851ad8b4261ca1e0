//! What the objects of a root key must look like, read back from the device.
//!
//! Attributes are asked one at a time: one odd value would fail the whole question.

use super::fault::{Fault, words};
use super::kind::Kind;
use super::mechanism;
use super::objects::{MIN_RSA_BITS, Root};
use super::raw::Raw;
use super::report;
use super::value::Value;
use super::wrap::Device;
use crate::{AttributeFault, HsmError, RootKeyId};
use cryptoki::object::{AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_MECHANISM_TYPE, CK_UNAVAILABLE_INFORMATION, CKA_ALLOWED_MECHANISMS, CKA_KEY_GEN_MECHANISM,
};

/// What is said where a device does not know an attribute.
const UNKNOWN: &str = "nothing";

/// An attribute: its name, and the values that are right, the first the best.
pub(super) struct Wanted {
    name: &'static str,
    attribute: AttributeType,
    right: Vec<String>,
    /// The device's own account of the key's past, or a promise for its future: not what it is
    /// now. A token that was accepted although it keeps no key need not pretend.
    is_a_promise: bool,
}

impl Wanted {
    pub(super) fn is(name: &'static str, attribute: AttributeType, right: &str) -> Self {
        Self { name, attribute, right: vec![right.to_owned()], is_a_promise: false }
    }

    fn promise(name: &'static str, attribute: AttributeType, right: &[&str]) -> Self {
        let right = right.iter().map(ToString::to_string).collect();
        Self { name, attribute, right, is_a_promise: true }
    }
}

/// What is wanted of every key, whatever its kind.
pub(super) fn held(class: ObjectClass, key_type: KeyType) -> Vec<Wanted> {
    let (is, promise) = (Wanted::is, Wanted::promise);
    vec![
        is("CKA_CLASS", AttributeType::Class, &class.to_string()),
        is("CKA_KEY_TYPE", AttributeType::KeyType, &key_type.to_string()),
        is("CKA_TOKEN", AttributeType::Token, "true"),
        is("CKA_PRIVATE", AttributeType::Private, "true"),
        is("CKA_SENSITIVE", AttributeType::Sensitive, "true"),
        promise("CKA_ALWAYS_SENSITIVE", AttributeType::AlwaysSensitive, &["true"]),
        is("CKA_EXTRACTABLE", AttributeType::Extractable, "false"),
        promise("CKA_NEVER_EXTRACTABLE", AttributeType::NeverExtractable, &["true"]),
        // An imported key lacks it.
        promise("CKA_LOCAL", AttributeType::Local, &["true"]),
        promise("CKA_MODIFIABLE", AttributeType::Modifiable, &["false"]),
        // Younger than many devices.
        promise("CKA_COPYABLE", AttributeType::Copyable, &["false", UNKNOWN]),
    ]
}

fn wanted(kind: Kind) -> Vec<Wanted> {
    let mut all = held(kind.class(), kind.key_type());
    if kind != Kind::Oaep {
        all.insert(2, Wanted::is("CKA_VALUE_LEN", AttributeType::ValueLen, "32"));
    }
    all.extend(
        kind.uses().map(|(a_use, may)| Wanted::is(a_use.name, a_use.attribute, &may.to_string())),
    );
    all
}

/// Refuses a root key that is not held as one must be; names every attribute that is wrong.
/// `promises` is false for a token that was accepted although it keeps none.
pub(super) fn check(
    device: Device<'_>,
    root: &Root,
    id: &RootKeyId,
    promises: bool,
) -> Result<(), Fault> {
    let mut all = Vec::new();
    for (key, kind) in root.objects() {
        all.extend(faults(device, key, kind, promises)?);
    }
    let bits = root.public.as_ref().map(|public| public.modulus.len() as u64 * 8);
    if let Some(bits) = bits.filter(|bits| *bits < MIN_RSA_BITS) {
        all.push(AttributeFault {
            attribute: "CKA_MODULUS".into(),
            wanted: format!("{MIN_RSA_BITS} bits or more"),
            found: format!("{bits} bits"),
        });
    }
    if all.is_empty() {
        return Ok(());
    }
    Err(HsmError::BadAttributes { id: id.clone(), faults: all }.into())
}

pub(super) fn faults(
    device: Device<'_>,
    key: ObjectHandle,
    kind: Kind,
    promises: bool,
) -> Result<Vec<AttributeFault>, Fault> {
    compare(device, key, wanted(kind), promises)
}

/// What an object has otherwise than it is wanted.
pub(super) fn compare(
    device: Device<'_>,
    key: ObjectHandle,
    wanted: Vec<Wanted>,
    promises: bool,
) -> Result<Vec<AttributeFault>, Fault> {
    let mut faults = Vec::new();
    for Wanted { name, attribute, right, .. } in
        wanted.into_iter().filter(|wanted| promises || !wanted.is_a_promise)
    {
        let found = read(device, key, attribute)?;
        if !right.contains(&found) {
            let wanted = right.into_iter().next().unwrap_or_default();
            faults.push(AttributeFault { attribute: name.into(), wanted, found });
        }
    }
    Ok(faults)
}

/// All that is checked, and what it is allowed to be used with, as an operator reads it.
pub(super) fn shown(device: Device<'_>, key: ObjectHandle, kind: Kind) -> Vec<report::Attribute> {
    shown_of(device, key, wanted(kind))
}

pub(super) fn shown_of(
    device: Device<'_>,
    key: ObjectHandle,
    wanted: Vec<Wanted>,
) -> Vec<report::Attribute> {
    let Device { raw, session, .. } = device;
    let checked = wanted.into_iter().map(|Wanted { name, attribute, .. }| {
        let value = read(device, key, attribute).unwrap_or_else(|e| HsmError::from(e).to_string());
        report::Attribute { name: name.into(), value }
    });
    let allowed = report::Attribute {
        name: "CKA_ALLOWED_MECHANISMS".into(),
        value: allowed(raw, session, key),
    };
    let made = report::Attribute {
        name: "CKA_KEY_GEN_MECHANISM".into(),
        value: generated(raw, session, key),
    };
    checked.chain([made, allowed]).collect()
}

/// How the token says that it made the key: nothing if it did not make it itself, or does not say.
fn generated(raw: &Raw, session: &Session, key: ObjectHandle) -> String {
    let len = size_of::<CK_MECHANISM_TYPE>();
    let bytes = match raw.attribute(session, key, CKA_KEY_GEN_MECHANISM, len) {
        Ok(bytes) => bytes,
        Err(fault) => return HsmError::from(fault).to_string(),
    };
    match <[u8; size_of::<CK_MECHANISM_TYPE>()]>::try_from(bytes.expose()) {
        Ok(number) => match CK_MECHANISM_TYPE::from_ne_bytes(number) {
            CK_UNAVAILABLE_INFORMATION => UNKNOWN.into(),
            number => mechanism::name(number),
        },
        Err(_) => UNKNOWN.into(),
    }
}

/// The names of the mechanisms, also of those that cryptoki does not know.
fn allowed(raw: &Raw, session: &Session, key: ObjectHandle) -> String {
    match allowed_mechanisms(raw, session, key) {
        Ok(numbers) if numbers.is_empty() => UNKNOWN.into(),
        Ok(numbers) => names(&numbers),
        Err(fault) => HsmError::from(fault).to_string(),
    }
}

fn names(mechanisms: &[CK_MECHANISM_TYPE]) -> String {
    mechanisms.iter().map(|number| mechanism::name(*number)).collect::<Vec<_>>().join(" ")
}

/// CKA_ALLOWED_MECHANISMS; none where the token does not know it.
fn allowed_mechanisms(
    raw: &Raw,
    session: &Session,
    key: ObjectHandle,
) -> Result<Vec<CK_MECHANISM_TYPE>, Fault> {
    const MOST: usize = 64;
    const LEN: usize = size_of::<CK_MECHANISM_TYPE>();
    let bytes = raw.attribute(session, key, CKA_ALLOWED_MECHANISMS, MOST * LEN)?;
    let (numbers, _) = bytes.expose().as_chunks::<LEN>();
    Ok(numbers.iter().map(|n| CK_MECHANISM_TYPE::from_ne_bytes(*n)).collect())
}

/// What is wrong with CKA_ALLOWED_MECHANISMS where the token knows it: it names others than these.
pub(super) fn allowed_too_much(
    device: Device<'_>,
    key: ObjectHandle,
    right: &[CK_MECHANISM_TYPE],
) -> Result<Option<AttributeFault>, Fault> {
    let found = match allowed_mechanisms(device.raw, device.session, key) {
        Ok(found) => found,
        Err(fault) if fault.is_stale() => return Err(fault),
        Err(_) => return Ok(None),
    };
    Ok((!found.iter().all(|number| right.contains(number))).then(|| AttributeFault {
        attribute: "CKA_ALLOWED_MECHANISMS".into(),
        wanted: names(right),
        found: names(&found),
    }))
}

/// An attribute as text. Only a session or handle that is gone is an error; whatever else a
/// device answers is a finding.
fn read(device: Device<'_>, key: ObjectHandle, wanted: AttributeType) -> Result<String, Fault> {
    match device.value(key, wanted) {
        Ok(found) => Ok(found.map_or_else(|| UNKNOWN.into(), |found| text(wanted, found))),
        Err(fault) if fault.is_stale() => Err(fault),
        Err(Fault::Device(error)) => Ok(words(&error)),
        Err(Fault::Hsm(error)) => Ok(error.to_string()),
    }
}

fn text(attribute: AttributeType, value: Value) -> String {
    let hex = |number| format!("{number:#x}");
    match (attribute, value) {
        (_, Value::Is(is)) => is.to_string(),
        (AttributeType::Class, Value::Number(number)) => {
            ObjectClass::try_from(number).map_or_else(|_| hex(number), |class| class.to_string())
        }
        (AttributeType::KeyType, Value::Number(number)) => {
            KeyType::try_from(number).map_or_else(|_| hex(number), |kind| kind.to_string())
        }
        (_, Value::Number(number)) => number.to_string(),
        (_, Value::Bytes(bytes)) => format!("{} bytes", bytes.len()),
    }
}
