//! Does a token enforce what it promises? Tried with keys that are thrown away, held exactly as
//! root keys are: they are to be wrapped out, copied into weaker ones, weakened, read.
//!
//! Attributes are a token's own words. A token that says "not extractable" and wraps the key all
//! the same (NSS does) keeps nothing from anyone who has its PIN.

use super::fault::Fault;
use super::mechanism::{self, RawMechanism};
use super::negotiate::{LABEL, with_trial_key};
use super::objects::Root;
use super::template::Template;
use super::value::Value;
use super::wrap::Device;
use crate::{Hash, KeyBytes, Mechanism};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki_sys::*;
use serde::{Deserialize, Serialize};

/// Room for whatever an attack may get out, in bytes.
const ROOM: usize = 1024;
const ZEROS: [u8; 16] = [0; 16];
/// Of a key pair that was made for this; its private half was thrown away.
const ATTACKERS_MODULUS: &[u8; 256] =
    b"\xc6\x43\xe5\x78\x2b\xf7\xc5\x01\xca\x9a\x92\x87\x96\x74\xf5\xa9\xc3\x36\xab\xcf\x7c\x1b\
      \x17\x97\x0b\x1b\x67\x06\xb5\x05\x8d\xef\x59\xc2\x27\xc4\x57\x3e\xf4\x50\x16\x9d\xae\xf5\
      \x96\x37\x8a\x8e\x64\xdd\xd0\xfb\xcb\x96\x6f\x65\xed\x9e\xca\x15\xd1\x33\x00\xb9\x17\xf0\
      \x81\x3e\xbf\x37\xfe\x75\x05\x8f\xe4\x2f\xbc\x44\xc8\xb4\x77\x6d\x0b\xc9\x7d\x19\x25\xfd\
      \x81\xd8\x33\xba\x06\xc9\x2c\x2d\x84\xb4\x37\xcd\x48\x61\x89\x5d\xee\x13\xb1\x4c\x0d\xe3\
      \xc3\x45\xb6\xa6\xf3\xf8\x81\xff\xf4\xf3\x48\x9d\x51\x19\x1b\xa9\x4c\x30\x99\x98\x4e\xfb\
      \xd3\x18\x15\xbf\x5c\xb2\x19\xdb\x00\x89\xf7\xea\xbd\x7f\x93\x1a\x5f\x91\x7c\x90\x60\x68\
      \x09\x5f\x74\xd0\xf8\x30\x35\x6a\xd1\x23\x79\x60\x20\xce\x86\xcc\xa6\x64\x92\x01\x54\xc7\
      \x29\xfd\x4a\x88\xca\x04\xa2\x4a\x4c\xfe\xb8\x93\x0d\xd1\x65\x86\xde\x6b\x47\xf6\x92\xcb\
      \x88\x43\x48\x7c\xf9\x7a\x00\x3c\xf2\x07\xe6\x89\x6e\x9e\x89\x16\xab\x1f\x76\xe9\xf0\xac\
      \x6c\x50\xd1\xe9\x39\x08\x60\x12\xe7\x97\x63\x42\x08\x53\x5b\x8f\x39\x45\x8e\x7a\x2b\xf3\
      \x85\x23\xb7\x82\xd3\x04\xb9\xd8\x82\xbb\xcb\xde\x3b\xf5";
const ATTACKERS_EXPONENT: [u8; 3] = [1, 0, 1];

/// What was tried against a token's keys, and what it allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// Mechanisms by which a key that is not extractable was wrapped all the same.
    pub wrapped_out: Vec<String>,
    /// Attributes that a copy of a key got, though the key had them otherwise.
    pub copied: Vec<String>,
    /// Attributes that were changed, though they must not change.
    pub changed: Vec<String>,
    /// Whether the value of a sensitive key could be read.
    pub value_read: bool,
    /// Mechanisms that a key served although CKA_ALLOWED_MECHANISMS names another. A note: what
    /// keeps root keys apart is their uses.
    pub ignored_allowed_mechanisms: Vec<String>,
    /// Lengths of AES-GCM tags, in bits, that were taken on opening, though they are shorter than
    /// ours. A note: we never ask for less than 128.
    pub short_tags: Vec<u16>,
    /// What could not be tried, and why.
    pub untried: Vec<String>,
}

impl Enforcement {
    /// Whether root keys in it are safe from who has the PIN.
    pub fn is_enough(&self) -> bool {
        self.findings().is_empty()
    }

    /// What it allows that it must not, in words.
    pub fn findings(&self) -> Vec<String> {
        let lists = [
            ("a key that is not extractable was wrapped by", &self.wrapped_out),
            ("a key was copied with", &self.copied),
            ("a key that is not modifiable was changed to", &self.changed),
        ];
        let mut all: Vec<String> = lists
            .into_iter()
            .filter(|(_, found)| !found.is_empty())
            .map(|(what, found)| format!("{what} {}", found.join(", ")))
            .collect();
        if self.value_read {
            all.push("the value of a sensitive key was read".into());
        }
        all
    }
}

/// What attackers wrap with: everything that takes no parameters or only an IV.
fn wrapping_mechanisms(iv: &mut [u8; 12]) -> Vec<RawMechanism<'_>> {
    vec![
        RawMechanism::AesKeyWrap,
        RawMechanism::AesKeyWrapKwp,
        RawMechanism::Bare(CKM_AES_KEY_WRAP_PAD),
        RawMechanism::Bare(CKM_AES_KEY_WRAP_PKCS7),
        RawMechanism::Bare(CKM_AES_ECB),
        RawMechanism::AesCbc { iv: &ZEROS },
        RawMechanism::AesCbcPad { iv: &ZEROS },
        RawMechanism::AesGcm { iv, aad: b"", tag_bits: 128 },
    ]
}

/// Tries all attacks. A fault is that of a token that has lost us, or cannot make keys.
pub(super) fn test(device: Device<'_>, mechanism: Mechanism) -> Result<Enforcement, Fault> {
    let mut found = Enforcement::default();
    with_trial_key(device, mechanism, |victim| {
        found.value_read =
            is_done(device.raw.attribute(device.session, victim.key, value_of(mechanism), ROOM))?;
        wrap_out(device, victim, &mut found)?;
        copy(device, victim, &mut found)?;
        if mechanism == Mechanism::AesGcm {
            use_otherwise(device, victim, &mut found)?;
            shorten_tags(device, victim, &mut found)?;
        }
        Ok(())
    })?;
    // Last, and with a key of its own: it may be another after that.
    with_trial_key(device, mechanism, |victim| change(device, victim, &mut found))?;
    Ok(found)
}

/// The attribute that is the secret.
fn value_of(mechanism: Mechanism) -> CK_ATTRIBUTE_TYPE {
    match mechanism {
        Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1 => CKA_PRIVATE_EXPONENT,
        _ => CKA_VALUE,
    }
}

/// Whether the token did what was asked. One that has lost us has answered nothing.
fn is_done<T>(answer: Result<T, Fault>) -> Result<bool, Fault> {
    match answer {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_stale() => Err(fault),
        Err(_) => Ok(false),
    }
}

fn wrap_out(device: Device<'_>, victim: &Root, found: &mut Enforcement) -> Result<(), Fault> {
    let Device { raw, session, .. } = device;
    // The attacker's own keys: one to wrap with, and one that may be wrapped, to see that a
    // mechanism wraps at all. They never reach the token's storage where it has another.
    let wrapping = match attackers_key(device, &[Attribute::Wrap(true), Attribute::Encrypt(true)]) {
        Ok(key) => key,
        Err(fault) if fault.is_stale() => return Err(fault),
        Err(fault) => {
            found.untried.push(format!("wrapping: {}", crate::HsmError::from(fault)));
            return Ok(());
        }
    };
    let mine = attackers_key(device, &[])?;
    let mut iv = [7; 12];
    let mut works = false;
    for mut mechanism in wrapping_mechanisms(&mut iv) {
        let mut wraps = |key| is_done(raw.wrap_key(session, &mut mechanism, wrapping, key, ROOM));
        works |= wraps(mine)?;
        if wraps(victim.key)? {
            found.wrapped_out.push(mechanism::name(mechanism.number()));
        }
    }
    if !works && found.wrapped_out.is_empty() {
        found.untried.push("wrapping: by no mechanism does the token wrap an AES key".into());
    }
    session.destroy_object(wrapping)?;
    session.destroy_object(mine)?;
    wrap_out_by_rsa(device, victim, found)
}

/// The usual way out: by a public key, whose private half the attacker has at home.
fn wrap_out_by_rsa(
    device: Device<'_>,
    victim: &Root,
    found: &mut Enforcement,
) -> Result<(), Fault> {
    let attributes = [
        Attribute::Class(ObjectClass::PUBLIC_KEY),
        Attribute::KeyType(KeyType::RSA),
        Attribute::Label(LABEL.into()),
        Attribute::Token(!device.profile.session_objects),
        Attribute::Private(false),
        Attribute::Wrap(true),
        Attribute::Modulus(ATTACKERS_MODULUS.to_vec()),
        Attribute::PublicExponent(ATTACKERS_EXPONENT.to_vec()),
    ];
    let template = Template { attributes: &attributes, ..Template::default() };
    let public = match device.raw.create_object(device.session, template) {
        Ok(public) => public,
        Err(fault) if fault.is_stale() => return Err(fault),
        Err(fault) => {
            let why = crate::HsmError::from(fault);
            found.untried.push(format!("wrapping by an RSA key: {why}"));
            return Ok(());
        }
    };
    let oaep = [RawMechanism::RsaOaep(Hash::Sha1), RawMechanism::RsaOaep(Hash::Sha256)];
    for mut mechanism in [RawMechanism::RsaPkcs].into_iter().chain(oaep) {
        let wrapped = device.raw.wrap_key(device.session, &mut mechanism, public, victim.key, ROOM);
        let name = mechanism::name(mechanism.number());
        if is_done(wrapped)? && !found.wrapped_out.contains(&name) {
            found.wrapped_out.push(name);
        }
    }
    Ok(device.session.destroy_object(public)?)
}

fn attackers_key(device: Device<'_>, uses: &[Attribute]) -> Result<ObjectHandle, Fault> {
    let mut attributes = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(LABEL.into()),
        Attribute::ValueLen(32.into()),
        Attribute::Token(!device.profile.session_objects),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(true),
    ];
    attributes.extend_from_slice(uses);
    let template = Template { attributes: &attributes, ..Template::default() };
    device.raw.generate_key(device.session, CKM_AES_KEY_GEN, template)
}

/// What would make a key of ours one that can be taken out, by itself or by Clulow's attack.
const WEAKER: [(&str, Attribute, bool); 5] = [
    ("CKA_EXTRACTABLE=true", Attribute::Extractable(true), true),
    ("CKA_SENSITIVE=false", Attribute::Sensitive(false), false),
    ("CKA_WRAP=true", Attribute::Wrap(true), true),
    ("CKA_UNWRAP=true", Attribute::Unwrap(true), true),
    // Parts of a key that may be derived from (CKM_EXTRACT_KEY_FROM_KEY) are soon guessed.
    ("CKA_DERIVE=true", Attribute::Derive(true), true),
];

fn copy(device: Device<'_>, victim: &Root, found: &mut Enforcement) -> Result<(), Fault> {
    for (name, weaker, is) in WEAKER {
        let template = [weaker.clone(), Attribute::Token(!device.profile.session_objects)];
        let copied = device.session.copy_object(victim.key, &template).map_err(Fault::from);
        match copied {
            Ok(copy) => {
                // Some tokens say yes and do otherwise.
                if is_now(device, copy, &weaker, is)? {
                    found.copied.push(name.into());
                }
                device.session.destroy_object(copy)?;
            }
            Err(fault) if fault.is_stale() => return Err(fault),
            Err(_) => {}
        }
    }
    Ok(())
}

fn change(device: Device<'_>, victim: &Root, found: &mut Enforcement) -> Result<(), Fault> {
    for (name, weaker, is) in WEAKER {
        let changed = device.session.update_attributes(victim.key, std::slice::from_ref(&weaker));
        if is_done(changed.map_err(Fault::from))? && is_now(device, victim.key, &weaker, is)? {
            found.changed.push(name.into());
        }
    }
    Ok(())
}

/// Whether an object has an attribute now that is or is not so.
fn is_now(
    device: Device<'_>,
    key: ObjectHandle,
    attribute: &Attribute,
    is: bool,
) -> Result<bool, Fault> {
    Ok(device.value(key, attribute.attribute_type())? == Some(Value::Is(is)))
}

/// Uses a key for AES-GCM for other mechanisms.
fn use_otherwise(device: Device<'_>, victim: &Root, found: &mut Enforcement) -> Result<(), Fault> {
    for mut other in [RawMechanism::Bare(CKM_AES_ECB), RawMechanism::AesCbc { iv: &ZEROS }] {
        let done = device.raw.decrypt(device.session, &mut other, victim.key, &ZEROS, ROOM);
        if is_done(done)? {
            found.ignored_allowed_mechanisms.push(mechanism::name(other.number()));
        }
    }
    Ok(())
}

/// Opens with tags that were cut short.
fn shorten_tags(device: Device<'_>, victim: &Root, found: &mut Enforcement) -> Result<(), Fault> {
    let Device { raw, session, profile } = device;
    let key = KeyBytes::new(ZEROS.to_vec());
    let sealed = super::cipher::encrypt(raw, session, victim.key, profile.gcm_iv, &key, b"");
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(fault) if fault.is_stale() => return Err(fault),
        // Who chooses the IVs is not known yet, and this is a note only.
        Err(_) => {
            found.untried.push("tags that were cut short".into());
            return Ok(());
        }
    };
    for tag_bits in [0_u16, 32, 64, 96] {
        let cut = ZEROS.len() + usize::from(tag_bits / 8);
        let bytes = sealed.bytes.get(..cut).unwrap_or_default();
        let mut iv = sealed.iv.clone();
        let mut gcm = RawMechanism::AesGcm { iv: &mut iv, aad: b"", tag_bits };
        if is_done(raw.decrypt(session, &mut gcm, victim.key, bytes, ROOM))? {
            found.short_tags.push(tag_bits);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hole_is_a_finding_and_a_note_is_none() {
        let holes = [
            Enforcement { wrapped_out: vec!["CKM_AES_KEY_WRAP".into()], ..Default::default() },
            Enforcement { copied: vec!["CKA_EXTRACTABLE=true".into()], ..Default::default() },
            Enforcement { changed: vec!["CKA_SENSITIVE=false".into()], ..Default::default() },
            Enforcement { value_read: true, ..Default::default() },
        ];
        for hole in holes {
            assert!(!hole.is_enough());
            assert_eq!(hole.findings().len(), 1, "{hole:?}");
        }
        let notes = Enforcement {
            ignored_allowed_mechanisms: vec!["CKM_AES_ECB".into()],
            short_tags: vec![0],
            untried: vec!["wrapping".into()],
            ..Default::default()
        };
        assert!(notes.is_enough());
    }
}
