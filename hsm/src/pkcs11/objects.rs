//! The root key as an object in the token: finding it, making it.

use super::fault::Fault;
use crate::{HsmError, RootKeyId};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use sha2::{Digest, Sha256};

/// Root keys are AES-256.
const KEY_LEN: u64 = 32;

/// How many objects bear this label, of whatever class: a half-made object may have lost its.
pub(super) fn count(session: &Session, id: &RootKeyId) -> Result<usize, Fault> {
    Ok(labelled(session, id)?.len())
}

/// The one object with this label.
pub(super) fn find_one(session: &Session, id: &RootKeyId) -> Result<ObjectHandle, Fault> {
    match labelled(session, id)?.as_slice() {
        [one] => Ok(*one),
        [] => Err(Fault::Hsm(HsmError::NoSuchKey {
            wanted: id.clone(),
            found: aes_keys(session)?.into_iter().map(|key| key.label).collect(),
        })),
        more => Err(Fault::Hsm(HsmError::DuplicateKey { id: id.clone(), count: more.len() })),
    }
}

fn labelled(session: &Session, id: &RootKeyId) -> Result<Vec<ObjectHandle>, Error> {
    session.find_objects(&[Attribute::Label(id.as_str().into())])
}

/// An AES key of the token, whoever made it.
pub(super) struct AesKey {
    pub(super) handle: ObjectHandle,
    pub(super) label: String,
    object_id: Option<Vec<u8>>,
}

pub(super) fn aes_keys(session: &Session) -> Result<Vec<AesKey>, Error> {
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
    ];
    let mut keys = Vec::new();
    for handle in session.find_objects(&wanted)? {
        // An object whose label cannot be read hides no other.
        let label = match one_attribute(session, handle, AttributeType::Label) {
            Some(Attribute::Label(label)) => String::from_utf8_lossy(&label).into_owned(),
            _ => "(no label)".into(),
        };
        let object_id = match one_attribute(session, handle, AttributeType::Id) {
            Some(Attribute::Id(id)) => Some(id),
            _ => None,
        };
        keys.push(AesKey { handle, label, object_id });
    }
    keys.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(keys)
}

fn one_attribute(session: &Session, key: ObjectHandle, wanted: AttributeType) -> Option<Attribute> {
    session.get_attributes(key, &[wanted]).ok()?.into_iter().next()
}

/// The keys that [`generate`] made: those whose CKA_ID belongs to their label.
pub(super) fn root_keys(session: &Session) -> Result<Vec<RootKeyId>, Error> {
    let ours = aes_keys(session)?.into_iter().filter_map(|key| {
        let id = RootKeyId::new(key.label);
        (key.object_id? == object_id(&id)).then_some(id)
    });
    let mut ours: Vec<RootKeyId> = ours.collect();
    ours.dedup();
    Ok(ours)
}

/// CKA_ID of a root key = the first 16 bytes of SHA-256("claviger/hsm/object-id\0" ‖ label).
/// Derived, so that a key of ours can be told from another application's in the same token.
fn object_id(id: &RootKeyId) -> Vec<u8> {
    let hash = Sha256::new().chain_update(b"claviger/hsm/object-id\0").chain_update(id.as_str());
    hash.finalize().iter().take(16).copied().collect()
}

/// Makes the key inside the token. Not every token knows CKA_ALLOWED_MECHANISMS: one that
/// refuses the template with it is asked again without.
pub(super) fn generate(session: &Session, id: &RootKeyId) -> Result<ObjectHandle, Fault> {
    let only_gcm = Attribute::AllowedMechanisms(vec![MechanismType::AES_GCM]);
    let mut template = template(id);
    template.push(only_gcm);
    let first = session.generate_key(&Mechanism::AesKeyGen, &template).map_err(Fault::from);
    match first {
        Err(fault) if refuses_template(&fault) => {
            template.pop();
            Ok(session.generate_key(&Mechanism::AesKeyGen, &template)?)
        }
        other => other,
    }
}

fn refuses_template(fault: &Fault) -> bool {
    matches!(
        fault.rv(),
        Some(
            RvError::AttributeTypeInvalid
                | RvError::AttributeValueInvalid
                | RvError::AttributeReadOnly
                | RvError::TemplateInconsistent
        )
    )
}

/// Every attribute is said: tokens differ in what they assume of one that is left out.
fn template(id: &RootKeyId) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(KEY_LEN.into()),
        Attribute::Label(id.as_str().into()),
        Attribute::Id(object_id(id)),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Derive(false),
    ]
}
