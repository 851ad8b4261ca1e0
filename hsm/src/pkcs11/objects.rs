//! The objects of a root key in the token: finding them, making them, destroying them.
//!
//! | mechanism | objects |
//! |---|---|
//! | aes-gcm, aes-kwp, aes-kw | one AES key, labelled as the root key |
//! | aes-cbc-hmac | the AES key, and a generic secret with "+mac" after the label |
//! | rsa-oaep-… | the private key; the public half is read from it |
//!
//! CKA_ID of an object is derived from its label and the mechanism, so that a key of ours can be
//! told from another application's in the same token, and a root key is never used by another
//! mechanism than it was made for.

use super::fault::{Class, Fault};
use super::kind::Kind;
use super::raw::Raw;
use super::template::Template;
use super::wrap::{Device, is_about_template};
use crate::{AttributeFault, HsmError, Mechanism, RootKeyId};
use cryptoki::error::Error;
use cryptoki::mechanism::{Mechanism as Cryptoki, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki_sys::{CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKM_RSA_PKCS_KEY_PAIR_GEN};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Root keys are AES-256, and HMAC keys as long; in bytes.
const KEY_LEN: u64 = 32;
/// What a token is asked for if it can; about as hard to break as AES-128 (SP 800-57, table 2).
const RSA_BITS: u64 = 3072;
/// Else, and what a key must have at least.
pub(super) const MIN_RSA_BITS: u64 = 2048;
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// Longest modulus that is read, in bytes.
const MAX_MODULUS_LEN: usize = 2048;
/// After the label of an aes-cbc-hmac root key, its second key.
const MAC_SUFFIX: &str = "+mac";

/// The mechanisms of root keys in a token.
const MECHANISMS: [Mechanism; 6] = [
    Mechanism::AesGcm,
    Mechanism::AesKwp,
    Mechanism::AesKw,
    Mechanism::AesCbcHmac,
    Mechanism::RsaOaepSha256,
    Mechanism::RsaOaepSha1,
];

/// A root key in the token. Handles: worth something as long as the session's epoch.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) mechanism: Mechanism,
    pub(super) key: ObjectHandle,
    /// The second key of aes-cbc-hmac.
    pub(super) mac: Option<ObjectHandle>,
    /// The public half of rsa-oaep.
    pub(super) public: Option<Arc<RsaPublic>>,
}

/// Both big endian, without zeros in front.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RsaPublic {
    pub(super) modulus: Vec<u8>,
    pub(super) exponent: Vec<u8>,
}

impl Root {
    /// Its objects and what each must be.
    pub(super) fn objects(&self) -> impl Iterator<Item = (ObjectHandle, Kind)> {
        let first = Kind::of(self.mechanism).map(|kind| (self.key, kind));
        first.into_iter().chain(self.mac.map(|mac| (mac, Kind::Mac)))
    }

    /// Destroys all its objects; the first that cannot be is the error.
    pub(super) fn destroy(&self, session: &Session) -> Result<(), Error> {
        let all = [Some(self.key), self.mac].into_iter().flatten();
        let results: Vec<_> = all.map(|object| session.destroy_object(object)).collect();
        results.into_iter().collect()
    }
}

/// How many objects bear the labels of this root key, of whatever class: a half-made object may
/// have lost its.
pub(super) fn count(device: Device<'_>, id: &RootKeyId) -> Result<usize, Fault> {
    let mut count = 0;
    for label in labels(id) {
        count += device.find(&[Attribute::Label(label.into())])?.len();
    }
    Ok(count)
}

/// The objects of a root key, whole or half made: those with a CKA_ID of its, and those with one
/// of its labels that have none. [`HsmError::NoSuchKey`] if there are none.
pub(super) fn ours(device: Device<'_>, id: &RootKeyId) -> Result<Vec<ObjectHandle>, Fault> {
    let [label, mac] = labels(id);
    let mut all = Vec::new();
    let main = MECHANISMS.map(|mechanism| object_id(&label, mechanism));
    for object_id in main.into_iter().chain([object_id(&mac, Mechanism::AesCbcHmac)]) {
        all.extend(device.find(&[Attribute::Id(object_id)])?);
    }
    for label in [label, mac] {
        all.extend(device.half_made(&label)?);
    }
    if all.is_empty() {
        return Err(HsmError::NoSuchKey { wanted: id.clone(), found: Vec::new() }.into());
    }
    Ok(all)
}

/// Refuses a name that is the label of another root key's second object.
pub(super) fn check_name(id: &RootKeyId) -> Result<(), HsmError> {
    if id.as_str().ends_with(MAC_SUFFIX) {
        let text = format!("{id}: names that end in {MAC_SUFFIX:?} are for parts of root keys");
        return Err(HsmError::Refused(text));
    }
    Ok(())
}

/// The labels of its objects.
pub(super) fn labels(id: &RootKeyId) -> [String; 2] {
    [id.as_str().to_owned(), mac_label(id)]
}

/// The one root key with this label.
pub(super) fn find_one(device: Device<'_>, id: &RootKeyId) -> Result<Root, Fault> {
    let found = labelled(device, id.as_str())?;
    let [key] = found[..] else {
        if found.is_empty() {
            let found = keys(device)?.into_iter().map(|key| key.label).collect();
            return Err(HsmError::NoSuchKey { wanted: id.clone(), found }.into());
        }
        return Err(HsmError::DuplicateKey { id: id.clone(), count: found.len() }.into());
    };
    let mechanism = mechanism_of(device, key, id)?;
    let mut root = Root { mechanism, key, mac: None, public: None };
    match mechanism {
        Mechanism::AesCbcHmac => {
            let wanted = RootKeyId::new(mac_label(id));
            root.mac = match labelled(device, wanted.as_str())?[..] {
                [one] => Some(one),
                [] => return Err(HsmError::NoSuchKey { wanted, found: Vec::new() }.into()),
                ref more => {
                    let count = more.len();
                    return Err(HsmError::DuplicateKey { id: wanted, count }.into());
                }
            };
        }
        Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => {
            root.public = Some(Arc::new(public_half(device.raw, device.session, key)?));
        }
        _ => {}
    }
    Ok(root)
}

/// Objects with this label, without public keys: many tokens keep the public half of a pair under
/// the label of the private, and it is not what is looked for.
fn labelled(device: Device<'_>, label: &str) -> Result<Vec<ObjectHandle>, Fault> {
    let mut found = Vec::new();
    for object in device.find(&[Attribute::Label(label.into())])? {
        if !device.is_public(object)? {
            found.push(object);
        }
    }
    Ok(found)
}

fn mac_label(id: &RootKeyId) -> String {
    format!("{id}{MAC_SUFFIX}")
}

/// What a root key was made for: its CKA_ID says. A key without one of ours was made by hand, and
/// that is done for aes-gcm.
fn mechanism_of(device: Device<'_>, key: ObjectHandle, id: &RootKeyId) -> Result<Mechanism, Fault> {
    let found = device.object_id(key).map_err(|fault| {
        // It lies of its length, today and tomorrow.
        if fault.class() == Class::Request {
            let (attribute, wanted) = ("CKA_ID".into(), "one that can be read".into());
            let found = HsmError::from(fault).to_string();
            let faults = vec![AttributeFault { attribute, wanted, found }];
            return HsmError::BadAttributes { id: id.clone(), faults }.into();
        }
        fault
    })?;
    let ours = |mechanism: &Mechanism| Some(object_id(id.as_str(), *mechanism)) == found;
    Ok(MECHANISMS.into_iter().find(ours).unwrap_or(Mechanism::AesGcm))
}

/// An AES key or an RSA private key of the token, whoever made it.
pub(super) struct Key {
    pub(super) handle: ObjectHandle,
    pub(super) label: String,
    pub(super) class: ObjectClass,
    object_id: Option<Vec<u8>>,
}

impl Key {
    /// The root key that it is, and its mechanism, if [`generate`] made it.
    pub(super) fn root(&self) -> Option<(RootKeyId, Mechanism)> {
        let found = self.object_id.as_ref()?;
        let ours = |mechanism: &Mechanism| object_id(&self.label, *mechanism) == *found;
        let mechanism = MECHANISMS.into_iter().find(ours)?;
        Some((RootKeyId::new(self.label.clone()), mechanism))
    }
}

/// Every AES key and RSA private key, by label.
pub(super) fn keys(device: Device<'_>) -> Result<Vec<Key>, Fault> {
    let kinds = [(ObjectClass::SECRET_KEY, KeyType::AES), (ObjectClass::PRIVATE_KEY, KeyType::RSA)];
    let mut keys = Vec::new();
    for (class, key_type) in kinds {
        let wanted =
            [Attribute::Class(class), Attribute::KeyType(key_type), Attribute::Token(true)];
        for handle in device.find(&wanted)? {
            // An object whose label cannot be read hides no other.
            let label = device.bytes(handle, AttributeType::Label)?;
            let label = label.map(|label| String::from_utf8_lossy(&label).into_owned());
            let label = label.unwrap_or_else(|| "(no label)".into());
            let object_id = device.bytes(handle, AttributeType::Id)?;
            keys.push(Key { handle, label, class, object_id });
        }
    }
    keys.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(keys)
}

/// The keys that [`generate`] made: those whose CKA_ID belongs to their label.
pub(super) fn root_keys(device: Device<'_>) -> Result<Vec<RootKeyId>, Fault> {
    let keys = keys(device)?;
    let mut ours: Vec<RootKeyId> =
        keys.iter().filter_map(|key| key.root()).map(|(id, _)| id).collect();
    ours.dedup();
    Ok(ours)
}

/// CKA_ID = the first 16 bytes of SHA-256("claviger/hsm/object-id\0" ‖ label) for aes-gcm, and of
/// SHA-256("claviger/hsm/object-id/" ‖ mechanism's number ‖ "\0" ‖ label) for the others.
fn object_id(label: &str, mechanism: Mechanism) -> Vec<u8> {
    let hash = match mechanism {
        Mechanism::AesGcm => Sha256::new().chain_update(b"claviger/hsm/object-id\0"),
        other => {
            let number = (other as u8).to_string();
            Sha256::new().chain_update(b"claviger/hsm/object-id/").chain_update(number + "\0")
        }
    };
    hash.chain_update(label).finalize().iter().take(16).copied().collect()
}

/// Makes a root key inside the token: as token objects, or for as long as the session lives.
pub(super) fn generate(
    device: Device<'_>,
    id: &RootKeyId,
    mechanism: Mechanism,
    in_token: bool,
) -> Result<Root, Fault> {
    let Some(kind) = Kind::of(mechanism) else {
        return Err(HsmError::Unsupported(format!("{mechanism:?} in a PKCS#11 token")).into());
    };
    let object = New { label: id.as_str(), id: object_id(id.as_str(), mechanism), in_token };
    if kind == Kind::Oaep {
        return generate_pair(device, &object, mechanism);
    }
    let key = generate_secret(device, &object, kind)?;
    let mut root = Root { mechanism, key, mac: None, public: None };
    if mechanism == Mechanism::AesCbcHmac {
        let label = mac_label(id);
        let object = New { label: &label, id: object_id(&label, mechanism), in_token };
        match generate_secret(device, &object, Kind::Mac) {
            Ok(mac) => root.mac = Some(mac),
            Err(fault) => {
                // Half a root key is none; what went wrong first is what is told.
                let _ = root.destroy(device.session);
                return Err(fault);
            }
        }
    }
    Ok(root)
}

/// Where a new object is, and how it is called.
struct New<'a> {
    label: &'a str,
    id: Vec<u8>,
    in_token: bool,
}

impl New<'_> {
    /// Every attribute is said: tokens differ in what they assume of one that is left out.
    fn template(&self, kind: Kind, copyable_said: bool) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Class(kind.class()),
            Attribute::KeyType(kind.key_type()),
            Attribute::Label(self.label.into()),
            Attribute::Id(self.id.clone()),
            Attribute::Token(self.in_token),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
        ];
        template.extend(copyable_said.then_some(Attribute::Copyable(false)));
        template.extend(kind.uses().map(|(a_use, may)| (a_use.say)(may)));
        template
    }
}

/// Makes an object with CKA_ALLOWED_MECHANISMS and CKA_COPYABLE, without the first, without both:
/// they are younger than many tokens. One that refuses the template is asked again with less.
pub(super) fn with_less_and_less<T>(
    device: Device<'_>,
    make: impl Fn(bool, bool) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if device.profile.young_attributes {
        for allowed in [true, false] {
            match make(allowed, true) {
                Err(fault) if is_about_template(&fault) => {}
                other => return other,
            }
        }
    }
    make(false, false)
}

fn generate_secret(device: Device<'_>, new: &New<'_>, kind: Kind) -> Result<ObjectHandle, Fault> {
    with_less_and_less(device, |allowed, copyable| {
        let mut attributes = new.template(kind, copyable);
        attributes.push(Attribute::ValueLen(KEY_LEN.into()));
        let only = [kind.serves()];
        let allowed = if allowed { &only[..] } else { &[] };
        let template = Template { attributes: &attributes, allowed, value: None };
        device.raw.generate_key(device.session, kind.made_by(), template)
    })
}

fn generate_pair(device: Device<'_>, new: &New<'_>, mechanism: Mechanism) -> Result<Root, Fault> {
    let Device { raw, session, .. } = device;
    let slot = session.get_session_info()?.slot_id();
    let most = raw.mechanism_info(slot, CKM_RSA_PKCS_KEY_PAIR_GEN)?.max_key_size;
    let bits = if most >= RSA_BITS { RSA_BITS } else { MIN_RSA_BITS };
    let public = [
        Attribute::Label(new.label.into()),
        Attribute::Id(new.id.clone()),
        // The public half is read from the private one, so that nobody can put another in its
        // place; tokens without session objects keep it all the same.
        Attribute::Token(new.in_token && !device.profile.session_objects),
        Attribute::Private(false),
        Attribute::Encrypt(true),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::ModulusBits(bits.into()),
        Attribute::PublicExponent(RSA_EXPONENT.to_vec()),
    ];
    let (public, key) = with_less_and_less(device, |allowed, copyable| {
        let mut private = new.template(Kind::Oaep, copyable);
        if allowed {
            private.push(Attribute::AllowedMechanisms(vec![MechanismType::RSA_PKCS_OAEP]));
        }
        Ok(session.generate_key_pair(&Cryptoki::RsaPkcsKeyPairGen, &public, &private)?)
    })?;
    // Some tokens cannot do without: then it stays.
    let _ = session.destroy_object(public);
    let mut root = Root { mechanism, key, mac: None, public: None };
    match public_half(raw, session, key) {
        Ok(public) => root.public = Some(Arc::new(public)),
        Err(fault) => {
            let _ = root.destroy(session);
            return Err(fault);
        }
    }
    Ok(root)
}

/// The public half, as the private one says it. Some tokens do not say the exponent; it is then
/// the one that was asked for, and if it is not, the root key opens nothing that it wraps.
pub(super) fn public_half(
    raw: &Raw,
    session: &Session,
    key: ObjectHandle,
) -> Result<RsaPublic, Fault> {
    let read = |attribute| -> Result<Vec<u8>, Fault> {
        let bytes = raw.attribute(session, key, attribute, MAX_MODULUS_LEN)?;
        let zeros = bytes.expose().iter().take_while(|byte| **byte == 0).count();
        Ok(bytes.expose().iter().skip(zeros).copied().collect())
    };
    let modulus = read(CKA_MODULUS)?;
    let exponent = match read(CKA_PUBLIC_EXPONENT) {
        Ok(exponent) if !exponent.is_empty() => exponent,
        Err(fault) if fault.is_stale() => return Err(fault),
        _ => RSA_EXPONENT.to_vec(),
    };
    Ok(RsaPublic { modulus, exponent })
}
