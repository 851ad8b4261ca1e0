//! Published test vectors, computed by a real module through [`Raw`], and its corner cases.
//!
//! By NSS without a database: keys of these tests are known and live in a session.

use super::fault::Fault;
use super::mechanism::{self, RawMechanism};
use super::negotiate::{self, Iv};
use super::raw::Raw;
use super::template::Template;
use super::wrap::Device;
use crate::profile::{GcmIv, Profile};
use crate::{Hash, HsmError, KeyBytes, Mechanism};
use cryptoki::context::Pkcs11;
use cryptoki::error::RvError;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use cryptoki_sys::*;
use std::path::Path;

const MODULES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
    "/usr/lib/aarch64-linux-gnu/libsoftokn3.so",
    "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
    "/usr/lib64/libsoftokn3.so",
];

struct Nss {
    raw: Raw,
    session: Session,
    slot: Slot,
}

fn nss() -> Nss {
    let path = MODULES.map(Path::new).into_iter().find(|path| path.exists());
    let path = path.expect("NSS is not installed. Run softhsm-setup/install.sh nss");
    let pkcs11 = Pkcs11::new(path).unwrap();
    let raw = Raw::load(path).unwrap();
    let parameters = c"configDir='' certPrefix='' keyPrefix='' secmod='' flags=noCertDB,noModDB";
    if let Err(fault) = raw.initialize(Some(parameters)) {
        assert_eq!(fault.rv(), Some(RvError::CryptokiAlreadyInitialized));
    }
    // The first slot is for session keys and wants no PIN.
    let slot = pkcs11.get_slots_with_token().unwrap()[0];
    let session = pkcs11.open_ro_session(slot).unwrap();
    Nss { raw, session, slot }
}

impl Nss {
    fn key(&self, key_type: KeyType, value: &[u8], uses: &[Attribute]) -> ObjectHandle {
        let mut attributes = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(key_type),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        attributes.extend_from_slice(uses);
        let value = KeyBytes::new(value.to_vec());
        let template = Template { attributes: &attributes, value: Some(&value), allowed: &[] };
        self.raw.create_object(&self.session, template).unwrap()
    }

    fn wraps(&self, mechanism: &mut RawMechanism<'_>, kek: &str, key: &str, wanted: &str) {
        let uses = [Attribute::Wrap(true), Attribute::Unwrap(true)];
        let kek = self.key(KeyType::AES, &hex(kek), &uses);
        // The vectors of RFC 5649 wrap what is no AES key.
        let key_type = KeyType::GENERIC_SECRET;
        let object = self.key(key_type, &hex(key), &[]);
        let Nss { raw, session, .. } = self;
        let wrapped = raw.wrap_key(session, mechanism, kek, object, 64).unwrap();
        assert_eq!(wrapped.expose(), hex(wanted));
        let attributes = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(key_type),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ];
        let template = Template { attributes: &attributes, ..Template::default() };
        let back = raw.unwrap_key(session, mechanism, kek, wrapped.expose(), template).unwrap();
        assert_eq!(raw.attribute(session, back, CKA_VALUE, 64).unwrap().expose(), hex(key));
        let mut bad = wrapped.expose().to_vec();
        bad[9] ^= 1;
        let refused = raw.unwrap_key(session, mechanism, kek, &bad, template).unwrap_err();
        assert!(refused.is_bad_tag(), "{refused:?}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn key_wrap_is_that_of_rfc_3394() {
    // 4.6: 256 bits of key data with a 256-bit KEK.
    nss().wraps(
        &mut RawMechanism::AesKeyWrap,
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
        "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
        "28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326 CBC7F0E71A99F43B FB988B9B7A02DD21",
    );
}

#[test]
fn key_wrap_with_padding_is_that_of_rfc_5649() {
    // 6: 20 and 7 octets with a 192-bit KEK.
    let kek = "5840df6e29b02af1 ab493b705bf16ea1 ae8338f4dcc176a8";
    let nss = nss();
    nss.wraps(
        &mut RawMechanism::AesKeyWrapKwp,
        kek,
        "c37b7e6492584340 bed1220780894115 5068f738",
        "138bdeaa9b8fa7fc 61f97742e72248ee 5ae6ae5360d1ae6a 5f54f373fa543b6a",
    );
    nss.wraps(
        &mut RawMechanism::AesKeyWrapKwp,
        kek,
        "466f7250617369",
        "afbeb0f07dfbf541 9200f2ccb50bb24f",
    );
}

#[test]
fn gcm_is_that_of_its_specification() {
    // McGrew, Viega, "The Galois/Counter Mode of Operation", test case 16.
    let nss = nss();
    let Nss { raw, session, .. } = &nss;
    let key = nss.key(
        KeyType::AES,
        &hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
        &[Attribute::Encrypt(true), Attribute::Decrypt(true)],
    );
    let plain = hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                     1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let wanted = hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                      8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
                      76fc6ece0f4e1768cddf8853bb2d551b");
    let mut iv = hex("cafebabefacedbaddecaf888");
    let mut gcm = |aad, tag_bits, input: &[u8], seal: bool, room| {
        let mut mechanism = RawMechanism::AesGcm { iv: &mut iv, aad, tag_bits };
        if seal {
            raw.encrypt(session, &mut mechanism, key, input, room)
        } else {
            raw.decrypt(session, &mut mechanism, key, input, room)
        }
    };
    let sealed = gcm(&aad, 128, &plain, true, 76).unwrap();
    assert_eq!(sealed.expose(), wanted);
    assert_eq!(gcm(&aad, 128, &wanted, false, 76).unwrap().expose(), plain);
    assert!(gcm(b"", 128, &wanted, false, 76).unwrap_err().is_bad_tag());
    // A buffer too small is an error of that name, or made longer; never a piece of the output.
    match gcm(&aad, 128, &plain, true, 4) {
        Ok(sealed) => assert_eq!(sealed.expose(), wanted),
        Err(fault) => assert_eq!(fault.rv(), Some(RvError::BufferTooSmall)),
    }
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    // 4.3, test case 2.
    let nss = nss();
    let Nss { raw, session, .. } = &nss;
    let key = nss.key(KeyType::GENERIC_SECRET, b"Jefe", &[Attribute::Sign(true)]);
    for (hash, wanted) in [
        (Hash::Sha224, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        (Hash::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Hash::Sha384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e
             8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            Hash::Sha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let mut hmac = RawMechanism::Hmac(hash);
        let message = b"what do ya want for nothing?";
        let mac = raw.sign(session, &mut hmac, key, message, 64).unwrap();
        assert_eq!(mac.expose(), hex(wanted), "{hash:?}");
    }
}

/// With CKA_VALUE_LEN in the template for C_UnwrapKey, as some tokens want it, and without.
#[test]
fn every_way_to_wrap_is_found_to_work() {
    let nss = nss();
    let Nss { raw, session, .. } = &nss;
    for unwrap_value_len in [false, true] {
        let profile = Profile { unwrap_value_len, ..Profile::named("nss").unwrap() };
        let device = Device { raw, session, profile: &profile };
        // The slot without a database makes no key pairs.
        for mechanism in profile.wraps.iter().copied().filter(|way| *way < Mechanism::RsaOaepSha256)
        {
            let iv = negotiate::try_one(device, mechanism).unwrap().unwrap();
            let usual = Some(Iv::usual(GcmIv::Caller));
            assert_eq!(iv, usual.filter(|_| mechanism == Mechanism::AesGcm), "{mechanism}");
        }
        let fault = negotiate::try_one(device, Mechanism::TpmSeal).unwrap_err();
        assert!(matches!(fault, Fault::Hsm(HsmError::Unsupported(_))));
    }
}

/// NSS writes whole blocks into a buffer that has room, and says how long the key is.
#[test]
fn what_is_wrapped_is_as_long_as_the_token_says() {
    let nss = nss();
    let Nss { raw, session, .. } = &nss;
    let kek = nss.key(KeyType::AES, &[1; 32], &[Attribute::Wrap(true)]);
    let key = nss.key(KeyType::AES, &[2; 32], &[]);
    for room in [40, 41, 48, 64, 1000] {
        let blob = raw.wrap_key(session, &mut RawMechanism::AesKeyWrap, kek, key, room).unwrap();
        assert_eq!(blob.expose().len(), 40, "room for {room}");
    }
}

#[test]
fn mechanisms_that_nobody_knows_are_listed_by_number() {
    let Nss { raw, slot, .. } = &nss();
    let all = raw.mechanisms(*slot).unwrap();
    assert!(all.contains(&CKM_AES_KEY_WRAP_KWP) && all.len() > 100, "{}", all.len());
    // Mozilla's own are above CKM_VENDOR_DEFINED, others between the standard's.
    let names: Vec<String> = all.iter().map(|number| mechanism::name(*number)).collect();
    assert!(names.iter().any(|name| name.starts_with("0x")));
    assert!(names.contains(&"CKM_AES_KEY_WRAP_KWP".to_owned()));
    let info = raw.mechanism_info(*slot, CKM_AES_KEY_WRAP_KWP).unwrap();
    assert_eq!(info.flags & (CKF_WRAP | CKF_UNWRAP), CKF_WRAP | CKF_UNWRAP);
    let fault = raw.mechanism_info(*slot, 0x7fff_0000).unwrap_err();
    assert_eq!(fault.rv(), Some(RvError::MechanismInvalid));
}

#[test]
fn a_token_says_who_it_is() {
    let Nss { raw, slot, .. } = &nss();
    let info = raw.token_info(*slot).unwrap();
    assert_eq!(info.label, "NSS Generic Crypto Services");
    assert_eq!(info.manufacturer, "Mozilla Foundation");
    assert!(!info.model.is_empty() && !info.serial.is_empty());
    assert_ne!(info.flags & CKF_RNG, 0);
}

#[test]
fn what_is_not_there_is_an_error_and_no_value() {
    let nss = nss();
    let Nss { raw, session, .. } = &nss;
    let sensitive = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    let key = nss.key(KeyType::AES, &[3; 32], &sensitive);
    let fault = raw.attribute(session, key, CKA_VALUE, 64).unwrap_err();
    assert_eq!(fault.rv(), Some(RvError::AttributeSensitive));
    let open = nss.key(KeyType::AES, &[3; 32], &[]);
    // Longer than there is room for.
    let fault = raw.attribute(session, open, CKA_VALUE, 31).unwrap_err();
    let text = HsmError::from(fault).to_string();
    assert!(text.contains("wanted at most 31 bytes, found 32"), "{text}");
    assert_eq!(raw.attribute(session, open, CKA_VALUE, 33).unwrap().expose(), [3; 32]);
    let fault = raw.attribute(session, open, CKA_MODULUS, 64).unwrap_err();
    assert_eq!(fault.rv(), Some(RvError::AttributeTypeInvalid));
    let nowhere = Path::new("/nowhere/libhsm.so");
    assert!(matches!(Raw::load(nowhere), Err(HsmError::NotAModule { .. })));
    assert!(matches!(fault, Fault::Device(_)));
}
