//! Who has the PIN can use a resident key, but not take it out: tried with raw PKCS#11 beside the
//! open device; and what the device itself ever asked of the token.

use super::super::support::{TestToken, on_shim, on_token};
use super::{ONE_OF_EACH, id_of, keys, object_id, objects, use_once};
use claviger_hsm::{Hash, Hsm, ResidentSpec};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::Session;

/// Runs an attack on a key of each kind, beside the device that made it; the key stays what it was.
fn on_each(token: &TestToken, attack: fn(&Session, ObjectHandle, ResidentSpec)) {
    let hsm = token.open();
    for spec in ONE_OF_EACH {
        let public = keys(&hsm).generate(&id_of(spec), spec).unwrap();
        let session = token.raw_session();
        let [object] = objects(&session, &id_of(spec))[..] else {
            panic!("{spec}: not one object")
        };
        attack(&session, object, spec);
        use_once(keys(&hsm), &id_of(spec), spec, &public).unwrap();
        keys(&hsm).check(&id_of(spec), public.as_deref()).unwrap();
    }
    assert_eq!(keys(&hsm).broken().unwrap(), []);
}

fn rv<T>(result: Result<T, Error>, what: &str) -> RvError {
    match result {
        Err(Error::Pkcs11(rv, _)) => rv,
        Err(other) => panic!("{what}: {other:?}"),
        Ok(_) => panic!("{what} was allowed"),
    }
}

/// What is the secret of each kind.
fn secrets(spec: ResidentSpec) -> &'static [AttributeType] {
    match spec {
        ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => &[
            AttributeType::PrivateExponent,
            AttributeType::Prime1,
            AttributeType::Prime2,
            AttributeType::Exponent1,
            AttributeType::Exponent2,
            AttributeType::Coefficient,
        ],
        _ => &[AttributeType::Value],
    }
}

#[test]
fn no_attribute_gives_its_value() {
    on_token(no_attribute_gives_its_value, |token| {
        on_each(token, |session, object, spec| {
            for secret in secrets(spec) {
                let info = session.get_attribute_info(object, &[*secret]).unwrap();
                assert!(
                    matches!(info[..], [AttributeInfo::Sensitive]),
                    "{spec} {secret}: {info:?}"
                );
                let value = session.get_attributes(object, &[*secret]);
                assert!(value.is_ok_and(|found| found.is_empty()), "{spec} {secret}");
            }
        });
    });
}

#[test]
fn it_cannot_be_wrapped_out() {
    on_token(it_cannot_be_wrapped_out, |token| {
        on_each(token, |session, object, spec| {
            let mine = session
                .generate_key(
                    &Mechanism::AesKeyGen,
                    &[
                        Attribute::ValueLen(32.into()),
                        Attribute::Token(false),
                        Attribute::Wrap(true),
                        Attribute::Unwrap(true),
                    ],
                )
                .unwrap();
            for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
                let refused = rv(session.wrap_key(&mechanism, mine, object), "wrapping");
                assert_eq!(refused, RvError::KeyUnextractable, "{spec}");
            }
        });
    });
}

#[test]
fn no_copy_can_be_made_and_nothing_changed() {
    on_token(no_copy_can_be_made_and_nothing_changed, |token| {
        on_each(token, |session, object, spec| {
            for change in [
                Attribute::Extractable(true),
                Attribute::Sensitive(false),
                Attribute::Unwrap(true),
                Attribute::Derive(spec.to_string().contains("AES")),
                Attribute::Sign(true),
                Attribute::Decrypt(true),
                Attribute::Copyable(true),
                Attribute::Modifiable(true),
                Attribute::Label(b"other".into()),
                Attribute::AllowedMechanisms(vec![MechanismType::AES_ECB]),
            ] {
                let one = std::slice::from_ref(&change);
                let refused = rv(session.copy_object(object, one), "copying");
                assert_eq!(refused, RvError::ActionProhibited, "{spec} {change:?}");
                let refused = rv(session.update_attributes(object, one), "changing");
                let expected = [RvError::ActionProhibited, RvError::AttributeReadOnly];
                assert!(expected.contains(&refused), "{spec} {change:?}: {refused:?}");
            }
        });
    });
}

/// No key serves two purposes, or another mechanism than its own.
#[test]
fn it_serves_nothing_but_its_use() {
    on_token(it_serves_nothing_but_its_use, |token| {
        on_each(token, |session, object, spec| {
            let unwrapped = session.unwrap_key(
                &Mechanism::AesKeyWrap,
                object,
                &[0; 40],
                &[
                    Attribute::Class(ObjectClass::SECRET_KEY),
                    Attribute::KeyType(KeyType::AES),
                    Attribute::Token(false),
                ],
            );
            rv(unwrapped, "unwrapping");
            let tries: [(&str, Mechanism<'_>, u8); 8] = [
                ("aes", Mechanism::AesEcb, b'd'),
                ("aes", Mechanism::AesCbc([0; 16]), b'd'),
                ("aes", Mechanism::AesCMac, b's'),
                ("rsa", Mechanism::RsaPkcs, b'd'),
                ("rsa", Mechanism::RsaX509, b's'),
                ("rsa", Mechanism::Sha256RsaPkcs, b's'),
                ("ec", Mechanism::EcdsaSha1, b's'),
                ("hmac", Mechanism::Sha1Hmac, b's'),
            ];
            let kind = match spec {
                ResidentSpec::Aes256 => "aes",
                ResidentSpec::Hmac(_) => "hmac",
                ResidentSpec::RsaSign(_) | ResidentSpec::RsaDecrypt(_) => "rsa",
                ResidentSpec::EcSign(_) | ResidentSpec::EcAgree(_) => "ec",
            };
            for (_, mechanism, what) in tries.iter().filter(|(of, ..)| *of == kind) {
                let input = vec![0; if kind == "rsa" { 256 } else { 32 }];
                match what {
                    b'd' => rv(session.decrypt(mechanism, object, &input), "decrypting"),
                    _ => rv(session.sign(mechanism, object, &input), "signing"),
                };
            }
            // The other use of the same kind of key.
            match spec {
                ResidentSpec::RsaSign(_) => {
                    rv(session.decrypt(&Mechanism::RsaPkcs, object, &[0; 256]), "decrypting");
                    rv(session.decrypt(&Mechanism::RsaX509, object, &[0; 256]), "decrypting");
                }
                ResidentSpec::RsaDecrypt(_) => {
                    rv(session.sign(&Mechanism::RsaPkcs, object, &[0; 32]), "signing");
                }
                ResidentSpec::EcSign(_) => {
                    let point = [&[4][..], &[0; 64]].concat();
                    let params = Ecdh1DeriveParams::new(EcKdf::null(), &point);
                    let ecdh = Mechanism::Ecdh1Derive(params);
                    rv(session.derive_key(&ecdh, object, &[]), "deriving");
                }
                ResidentSpec::EcAgree(_) => {
                    rv(session.sign(&Mechanism::Ecdsa, object, &[0; 32]), "signing");
                }
                _ => {}
            }
        });
    });
}

#[test]
fn it_is_one_object_held_as_it_must_be() {
    on_token(it_is_one_object_held_as_it_must_be, |token| {
        let hsm = token.open();
        let session = token.raw_session();
        for spec in ResidentSpec::ALL {
            // As good as the shortest, and quicker.
            if matches!(spec, ResidentSpec::RsaSign(3072..) | ResidentSpec::RsaDecrypt(3072..)) {
                continue;
            }
            keys(&hsm).generate(&id_of(spec), spec).unwrap();
            let found = objects(&session, &id_of(spec));
            assert_eq!(found.len(), 1, "{spec}: the public half is kept out of the token");
            let report = keys(&hsm).check(&id_of(spec), None).unwrap();
            assert_eq!(report.spec, spec);
            let says = |name: &str| {
                let one = report.attributes.iter().find(|(found, _)| found == name);
                one.unwrap_or_else(|| panic!("{spec}: {name}")).1.clone()
            };
            for (name, value) in [
                ("CKA_TOKEN", "true"),
                ("CKA_PRIVATE", "true"),
                ("CKA_SENSITIVE", "true"),
                ("CKA_ALWAYS_SENSITIVE", "true"),
                ("CKA_EXTRACTABLE", "false"),
                ("CKA_NEVER_EXTRACTABLE", "true"),
                ("CKA_LOCAL", "true"),
                ("CKA_MODIFIABLE", "false"),
                ("CKA_COPYABLE", "false"),
                ("CKA_UNWRAP", "false"),
            ] {
                assert_eq!(says(name), value, "{spec} {name}");
            }
            // SoftHSM takes no padding off by SHA-256 (`oaep`).
            let allowed = match spec {
                ResidentSpec::Aes256 => "CKM_AES_GCM",
                ResidentSpec::Hmac(Hash::Sha224) => "CKM_SHA224_HMAC",
                ResidentSpec::Hmac(Hash::Sha256) => "CKM_SHA256_HMAC",
                ResidentSpec::Hmac(Hash::Sha384) => "CKM_SHA384_HMAC",
                ResidentSpec::Hmac(_) => "CKM_SHA512_HMAC",
                ResidentSpec::RsaSign(_) => "CKM_RSA_PKCS CKM_RSA_PKCS_PSS",
                ResidentSpec::RsaDecrypt(_) => "CKM_RSA_X_509 CKM_RSA_PKCS_OAEP",
                ResidentSpec::EcSign(_) => "CKM_ECDSA",
                ResidentSpec::EcAgree(_) => "CKM_ECDH1_DERIVE",
            };
            let names = |text: &str| {
                let mut names: Vec<String> = text.split(' ').map(str::to_owned).collect();
                names.sort();
                names
            };
            assert_eq!(names(&says("CKA_ALLOWED_MECHANISMS")), names(allowed), "{spec}");
            let found = session.get_attributes(found[0], &[AttributeType::Id]).unwrap();
            assert_eq!(found, [Attribute::Id(object_id(&id_of(spec)))]);
        }
    });
}

/// Every byte that came out of the module, in every call that the device makes of every kind of
/// key: none is a secret attribute of a key of the token.
#[test]
fn the_device_never_asks_for_a_value() {
    on_shim(the_device_never_asks_for_a_value, |token| {
        let hsm = token.open();
        // What was tried with keys that are thrown away.
        keys(&hsm).specs();
        let tried = claviger_pkcs11_shim::log(&token.dir.join("calls")).len();
        for spec in ONE_OF_EACH {
            let public = keys(&hsm).generate(&id_of(spec), spec).unwrap();
            use_once(keys(&hsm), &id_of(spec), spec, &public).unwrap();
            keys(&hsm).check(&id_of(spec), public.as_deref()).unwrap();
        }
        keys(&hsm).broken().unwrap();
        hsm.probe().unwrap();
        for spec in ONE_OF_EACH {
            keys(&hsm).destroy(&id_of(spec)).unwrap();
        }
        let secret = [
            ("0x11", "CKA_VALUE"),
            ("0x123", "CKA_PRIVATE_EXPONENT"),
            ("0x124", "CKA_PRIME_1"),
            ("0x125", "CKA_PRIME_2"),
            ("0x126", "CKA_EXPONENT_1"),
            ("0x127", "CKA_EXPONENT_2"),
            ("0x128", "CKA_COEFFICIENT"),
        ];
        let log = claviger_pkcs11_shim::log(&token.dir.join("calls"));
        assert!(log.len() > 100);
        let asks_a_length =
            |line: &str| line.starts_with("C_GetAttributeValue ") && line.ends_with("rv=0x0");
        // A shared secret of ECDH is read, once an agreement: it is what was asked for. It is the
        // value of a session object, made by the call before.
        let mut derived = 0;
        for (n, line) in log.iter().enumerate() {
            for (number, name) in secret {
                if !line.contains(&format!(" {number}=")) {
                    continue;
                }
                let before = log[..n].iter().rev().find(|line| !asks_a_length(line));
                let is_shared = before.is_some_and(|line| line.starts_with("C_DeriveKey "));
                assert!(is_shared, "{name} came out: {line} after {before:?}");
                derived += 1;
            }
        }
        // When it was made, when it was used, when it was checked.
        assert_eq!(derived, 3);
        // Nor was one ever wrapped.
        let wrapped = |line: &&String| line.starts_with("C_WrapKey ");
        assert_eq!(log.iter().skip(tried).find(wrapped), None);
        assert!(log.iter().take(tried).any(|line| wrapped(&line)), "the trial has wrapped none");
    });
}
