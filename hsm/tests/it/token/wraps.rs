//! The ways to wrap, on SoftHSM: each through the suite, how one is chosen, and that a root key
//! is used by no other than its own.

use super::support::{LABEL, TestToken, assert_says, memory_bytes, on_softhsm, on_token, root_id};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::profile::GcmIv;
use claviger_hsm::{Hsm, HsmError, KeyBytes, Mechanism, RootKeyId, WrappedKey, suite};
use cryptoki::mechanism::Mechanism as Cryptoki;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

/// Those that SoftHSM can do, besides aes-gcm.
const OTHERS: [Mechanism; 3] = [Mechanism::AesKw, Mechanism::AesCbcHmac, Mechanism::RsaOaepSha1];

fn open(token: &TestToken, wrap: Mechanism) -> Pkcs11Hsm {
    let mut config = token.config();
    config.wrap = Some(wrap);
    Pkcs11Hsm::open(config).unwrap()
}

fn key() -> KeyBytes {
    KeyBytes::new(vec![5; 32])
}

#[test]
fn aes_kw_passes_the_suite() {
    on_token(aes_kw_passes_the_suite, |token| suite::all(&open(token, Mechanism::AesKw)));
}

#[test]
fn aes_cbc_and_hmac_pass_the_suite() {
    on_token(aes_cbc_and_hmac_pass_the_suite, |token| {
        suite::all(&open(token, Mechanism::AesCbcHmac));
    });
}

#[test]
fn rsa_oaep_passes_the_suite() {
    on_token(rsa_oaep_passes_the_suite, |token| {
        suite::all(&open(token, Mechanism::RsaOaepSha1));
    });
}

#[test]
fn the_best_way_is_chosen_and_said() {
    on_token(the_best_way_is_chosen_and_said, |token| {
        let report = token.open().report().unwrap();
        let choice = report.wrap.unwrap();
        assert_eq!((choice.mechanism, choice.gcm_iv), (Mechanism::AesGcm, Some(GcmIv::Caller)));
        assert_eq!(choice.passed_over, []);
        assert_eq!(report.profile.name, "softhsm");
    });
}

/// The profile's order, with what the token has not left out one by one.
fn chosen(token: &TestToken, wanted: Mechanism, passed_over: &[(Mechanism, &str)]) {
    token.init(LABEL);
    let hsm = token.open();
    assert_eq!(hsm.wrap_mechanism(), Ok(wanted));
    hsm.create_root_key(&root_id()).unwrap();
    let wrapped = hsm.wrap(&root_id(), &key(), b"a").unwrap();
    assert_eq!(wrapped.bytes[..2], [2, wanted as u8]);
    assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
    let choice = hsm.report().unwrap().wrap.unwrap();
    assert_eq!(choice.passed_over.len(), passed_over.len(), "{choice:?}");
    for ((found, why), (wanted, says)) in choice.passed_over.iter().zip(passed_over) {
        assert!(found == wanted && why.contains(says), "{found}: {why}");
    }
}

#[test]
fn without_gcm_it_is_aes_kw() {
    let conf = "slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP,CKM_AES_CBC,CKM_SHA256_HMAC\n";
    on_softhsm(without_gcm_it_is_aes_kw, conf, |token| {
        chosen(token, Mechanism::AesKw, &[(Mechanism::AesGcm, "lacks CKM_AES_GCM")]);
    });
}

#[test]
fn without_kw_either_it_is_aes_cbc_and_hmac() {
    let conf = "slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_CBC,CKM_SHA256_HMAC,CKM_GENERIC_SECRET_KEY_GEN\n";
    on_softhsm(without_kw_either_it_is_aes_cbc_and_hmac, conf, |token| {
        let lacks = [
            (Mechanism::AesGcm, "lacks CKM_AES_GCM"),
            (Mechanism::AesKw, "lacks CKM_AES_KEY_WRAP"),
        ];
        chosen(token, Mechanism::AesCbcHmac, &lacks);
    });
}

#[test]
fn without_aes_it_is_rsa_oaep() {
    let conf = "slots.mechanisms = CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS_OAEP\n";
    on_softhsm(without_aes_it_is_rsa_oaep, conf, |token| {
        let lacks = [
            (Mechanism::AesGcm, "lacks CKM_AES_GCM, CKM_AES_KEY_GEN"),
            (Mechanism::AesKw, "lacks CKM_AES_KEY_WRAP"),
            (Mechanism::AesCbcHmac, "CKM_SHA256_HMAC, CKM_GENERIC_SECRET_KEY_GEN"),
        ];
        chosen(token, Mechanism::RsaOaepSha1, &lacks);
    });
}

#[test]
fn what_the_token_cannot_do_is_refused_and_nothing_else_is_done_instead() {
    on_token(what_the_token_cannot_do_is_refused_and_nothing_else_is_done_instead, |token| {
        // SoftHSM has OAEP with SHA-1 only, and lists the mechanism without saying so.
        let hsm = open(token, Mechanism::RsaOaepSha256);
        let error = hsm.create_root_key(&root_id()).unwrap_err();
        assert!(matches!(error, HsmError::NoWrap { .. }), "{error:?}");
        assert_says(&error, &[LABEL, "rsa-oaep-sha256: ", "ArgumentsBad"]);
        assert_eq!(hsm.root_keys().unwrap(), []);
        let error = token.open_error(|config| config.wrap = Some(Mechanism::AesKwp));
        assert_says(&error, &["lacks CKM_AES_KEY_WRAP_KWP; found:", "CKM_AES_GCM"]);
        let error = token.open_error(|config| config.wrap = Some(Mechanism::TpmSeal));
        assert!(matches!(error, HsmError::MechanismMissing { .. }), "{error:?}");
        let report = hsm.report().unwrap();
        assert!(report.wrap.unwrap_err().contains("rsa-oaep-sha256"));
        assert_eq!((report.aes_keys, report.rsa_keys), (vec![], vec![]));
    });
}

#[test]
fn a_root_key_keeps_its_mechanism() {
    on_token(a_root_key_keeps_its_mechanism, |token| {
        let all = [Mechanism::AesGcm].into_iter().chain(OTHERS);
        let mut made = Vec::new();
        for (n, mechanism) in all.enumerate() {
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            let hsm = open(token, mechanism);
            hsm.create_root_key(&id).unwrap();
            made.push((mechanism, hsm.wrap(&id, &key(), b"a").unwrap()));
        }
        for (wrap, _) in made.clone() {
            let hsm = open(token, wrap);
            assert_eq!(hsm.root_keys().unwrap().len(), 4);
            for (mechanism, wrapped) in &made {
                hsm.check_root_key(&wrapped.root).unwrap();
                assert_eq!(hsm.unwrap(wrapped, b"a").unwrap(), key());
                let again = hsm.wrap(&wrapped.root, &key(), b"a").unwrap();
                assert_eq!(again.bytes.len(), wrapped.bytes.len());
                assert_eq!(again.bytes[0], wrapped.bytes[0], "{mechanism}");
            }
        }
        // Nor does a wrapped key choose: under another root, or with another mechanism's number.
        let hsm = token.open();
        for (mechanism, wrapped) in &made {
            for (other, theirs) in &made {
                let moved = WrappedKey { root: theirs.root.clone(), ..wrapped.clone() };
                let opened = hsm.unwrap(&moved, b"a");
                let expected =
                    if mechanism == other { Ok(key()) } else { Err(HsmError::Authentication) };
                assert_eq!(opened, expected, "{mechanism} by {other}");
                let mut renamed = wrapped.clone();
                renamed.bytes[1] = *other as u8;
                if mechanism != other {
                    assert_eq!(hsm.unwrap(&renamed, b"a"), Err(HsmError::Authentication));
                }
            }
        }
    });
}

fn find(session: &Session, label: &str) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Label(label.into())]).unwrap()
}

/// With the PIN, by hand: no root key of any kind does more than its one thing.
#[test]
fn no_kind_of_root_key_can_be_taken_out() {
    on_token(no_kind_of_root_key_can_be_taken_out, |token| {
        for (n, mechanism) in OTHERS.into_iter().enumerate() {
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            let hsm = open(token, mechanism);
            hsm.create_root_key(&id).unwrap();
            let session = token.raw_session();
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::ValueLen(32.into()),
                Attribute::Token(false),
                Attribute::Extractable(true),
                Attribute::Wrap(true),
            ];
            let mine = session.generate_key(&Cryptoki::AesKeyGen, &template).unwrap();
            let mut objects = find(&session, id.as_str());
            objects.extend(find(&session, &format!("{id}+mac")));
            assert_eq!(objects.len(), if mechanism == Mechanism::AesCbcHmac { 2 } else { 1 });
            for object in objects {
                for way in [Cryptoki::AesKeyWrap, Cryptoki::AesKeyWrapPad] {
                    assert!(session.wrap_key(&way, mine, object).is_err(), "{mechanism}");
                }
                // Clulow: what was wrapped is not decrypted in the clear.
                for way in [Cryptoki::AesEcb, Cryptoki::RsaX509, Cryptoki::RsaPkcs] {
                    assert!(session.decrypt(&way, object, &[1; 32]).is_err(), "{mechanism}");
                    assert!(session.encrypt(&way, object, &[1; 32]).is_err(), "{mechanism}");
                    assert!(session.sign(&way, object, &[1; 32]).is_err(), "{mechanism}");
                }
                for weaker in [Attribute::Extractable(true), Attribute::Decrypt(true)] {
                    let copied = session.copy_object(object, std::slice::from_ref(&weaker));
                    assert!(copied.is_err(), "{mechanism}");
                    assert!(session.update_attributes(object, &[weaker]).is_err(), "{mechanism}");
                }
            }
            hsm.check_root_key(&id).unwrap();
        }
    });
}

#[test]
fn the_second_key_of_cbc_and_hmac_is_part_of_the_root_key() {
    on_token(the_second_key_of_cbc_and_hmac_is_part_of_the_root_key, |token| {
        let hsm = open(token, Mechanism::AesCbcHmac);
        let (id, mac) = (root_id(), RootKeyId::new(format!("{}+mac", root_id())));
        hsm.create_root_key(&id).unwrap();
        let wrapped = hsm.wrap(&id, &key(), b"").unwrap();
        // Its name is no root key's, and it is none itself.
        let made = hsm.create_root_key(&mac);
        assert!(matches!(made, Err(HsmError::Refused(_))), "{made:?}");
        assert_eq!(hsm.root_keys().unwrap(), std::slice::from_ref(&id));
        let session = token.raw_session();
        session.destroy_object(find(&session, mac.as_str())[0]).unwrap();
        let hsm = token.open();
        for refused in [
            hsm.check_root_key(&id).unwrap_err(),
            hsm.unwrap(&wrapped, b"").unwrap_err(),
            hsm.wrap(&id, &key(), b"").unwrap_err(),
        ] {
            assert!(matches!(&refused, HsmError::NoSuchKey { wanted, .. } if *wanted == mac));
        }
    });
}

/// A key made by hand with the label and the CKA_ID of a root key of this kind.
fn imitate(token: &TestToken, mechanism: Mechanism, changed: &[Attribute]) {
    let hsm = open(token, mechanism);
    hsm.create_root_key(&root_id()).unwrap();
    let session = token.raw_session();
    let [good] = find(&session, root_id().as_str())[..] else { panic!("not one root key") };
    let object_id = session.get_attributes(good, &[AttributeType::Id]).unwrap().remove(0);
    session.destroy_object(good).unwrap();
    let is_rsa = mechanism == Mechanism::RsaOaepSha1;
    let wraps = mechanism == Mechanism::AesKw;
    let (class, key_type) = if is_rsa {
        (ObjectClass::PRIVATE_KEY, KeyType::RSA)
    } else {
        (ObjectClass::SECRET_KEY, KeyType::AES)
    };
    let mut template = vec![
        Attribute::Class(class),
        Attribute::KeyType(key_type),
        Attribute::Label(root_id().as_str().into()),
        object_id,
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Decrypt(!wraps),
        Attribute::Unwrap(wraps),
        Attribute::Sign(false),
        Attribute::Derive(false),
    ];
    if is_rsa {
        template.push(Attribute::SignRecover(false));
    } else {
        template.push(Attribute::ValueLen(32.into()));
        template.push(Attribute::Encrypt(!wraps));
        template.push(Attribute::Wrap(wraps));
        template.push(Attribute::Verify(false));
    }
    let is_kept = |a: &Attribute| changed.iter().all(|c| c.attribute_type() != a.attribute_type());
    template.retain(is_kept);
    template.extend_from_slice(changed);
    if is_rsa {
        let public = [
            Attribute::Token(false),
            Attribute::ModulusBits(2048.into()),
            Attribute::PublicExponent(vec![1, 0, 1]),
        ];
        session.generate_key_pair(&Cryptoki::RsaPkcsKeyPairGen, &public, &template).unwrap();
    } else {
        session.generate_key(&Cryptoki::AesKeyGen, &template).unwrap();
    }
}

#[test]
fn weak_attributes_of_every_kind_are_refused_by_name() {
    on_token(weak_attributes_of_every_kind_are_refused_by_name, |token| {
        use Attribute::*;
        for (mechanism, changed, says) in [
            (Mechanism::AesKw, vec![], ""),
            (Mechanism::AesKw, vec![Decrypt(true)], "CKA_DECRYPT wanted false, found true"),
            (Mechanism::AesKw, vec![Encrypt(true)], "CKA_ENCRYPT wanted false, found true"),
            (Mechanism::AesKw, vec![Extractable(true)], "CKA_EXTRACTABLE wanted false, found true"),
            (Mechanism::AesKw, vec![Unwrap(false)], "CKA_UNWRAP wanted true, found false"),
            (Mechanism::AesCbcHmac, vec![Wrap(true)], "CKA_WRAP wanted false, found true"),
            (Mechanism::AesCbcHmac, vec![Copyable(true)], "CKA_COPYABLE wanted false, found true"),
            (Mechanism::RsaOaepSha1, vec![], ""),
            (Mechanism::RsaOaepSha1, vec![Sign(true)], "CKA_SIGN wanted false, found true"),
            (Mechanism::RsaOaepSha1, vec![Unwrap(true)], "CKA_UNWRAP wanted false, found true"),
            (
                Mechanism::RsaOaepSha1,
                vec![Sensitive(false)],
                "CKA_SENSITIVE wanted true, found false",
            ),
        ] {
            imitate(token, mechanism, &changed);
            let hsm = token.open();
            let checked = hsm.check_root_key(&root_id());
            if says.is_empty() {
                assert_eq!(checked, Ok(()), "{mechanism}");
            } else {
                let error = checked.unwrap_err();
                assert!(matches!(error, HsmError::BadAttributes { .. }), "{error:?}");
                assert_says(&error, &[root_id().as_str(), says]);
                assert_eq!(hsm.wrap(&root_id(), &key(), b"").unwrap_err(), error);
                // A token that was accepted although it keeps no promise must still look right.
                let mut weak = token.config();
                weak.accept_weak_token = true;
                let checked = Pkcs11Hsm::open(weak).unwrap().check_root_key(&root_id());
                let promise = matches!(changed[..], [Copyable(_)]);
                assert_eq!(checked.is_ok(), promise, "{mechanism} {says}: {checked:?}");
            }
            drop(hsm);
            let session = token.raw_session();
            for object in session.find_objects(&[Token(true)]).unwrap() {
                session.destroy_object(object).unwrap();
            }
        }
    });
}

/// SoftHSM refuses CKA_VALUE_LEN in the template for C_UnwrapKey; the profile says to try with.
#[test]
fn a_template_that_the_token_refuses_is_tried_the_other_way() {
    on_token(a_template_that_the_token_refuses_is_tried_the_other_way, |token| {
        let mut config = token.config();
        config.profile = Some("luna".into());
        config.wrap = Some(Mechanism::AesKw);
        let hsm = Pkcs11Hsm::open(config).unwrap();
        assert_eq!(hsm.report().unwrap().profile.name, "luna");
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b"").unwrap(), key());
        assert_eq!(hsm.unwrap(&wrapped, b"x"), Err(HsmError::Authentication));
    });
}

/// SoftHSM would encrypt under the zeros that other tokens overwrite, again and again.
#[test]
fn an_iv_of_zeros_is_refused_and_ours_is_taken() {
    on_token(an_iv_of_zeros_is_refused_and_ours_is_taken, |token| {
        for profile in ["cloudhsm", "luna"] {
            let mut config = token.config();
            config.profile = Some(profile.into());
            let hsm = Pkcs11Hsm::open(config).unwrap();
            let id = RootKeyId::new(format!("claviger/test/{profile}/1"));
            hsm.create_root_key(&id).unwrap();
            let choice = hsm.report().unwrap().wrap.unwrap();
            assert_eq!((choice.mechanism, choice.gcm_iv), (Mechanism::AesGcm, Some(GcmIv::Caller)));
            assert_ne!(hsm.wrap(&id, &key(), b"").unwrap().bytes[1..13], [0; 12]);
        }
    });
}

#[test]
fn ivs_differ_also_after_the_device_was_closed() {
    on_token(ivs_differ_also_after_the_device_was_closed, |token| {
        token.open().create_root_key(&root_id()).unwrap();
        let mut ivs = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let hsm = token.open();
            for _ in 0..16 {
                ivs.insert(hsm.wrap(&root_id(), &key(), b"").unwrap().bytes[1..13].to_vec());
            }
            drop(hsm);
            claviger_hsm::pkcs11::finalize_modules();
        }
        assert_eq!(ivs.len(), 64);
    });
}

/// A leak of 240 bytes a call, as SoftHSM 2.6 has one for every object that is made, would show.
#[test]
fn opening_many_keys_takes_no_memory() {
    on_token(opening_many_keys_takes_no_memory, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let open = |times| {
            for _ in 0..times {
                assert_eq!(hsm.unwrap(&wrapped, b"").unwrap(), key());
            }
        };
        open(2000);
        let before = memory_bytes();
        open(20_000);
        let more = memory_bytes().saturating_sub(before);
        assert!(more < 20_000 * 100, "{more} bytes for 20000 keys");
    });
}

#[test]
fn a_profile_that_is_none_is_refused() {
    on_token(a_profile_that_is_none_is_refused, |token| {
        let error = token.open_error(|config| config.profile = Some("lunar".into()));
        assert_says(&error, &["\"lunar\"", "wanted one of softhsm,", "generic"]);
    });
}

/// A token without session objects, as smart cards are: every trial is made in the token, and
/// nothing of it stays, not even what a killed process left.
#[test]
fn a_token_without_session_objects_is_tried_and_left_clean() {
    on_token(a_token_without_session_objects_is_tried_and_left_clean, |token| {
        let left = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Label("claviger/hsm/trial".into()),
            Attribute::Token(true),
            Attribute::Value(vec![1]),
        ];
        let session = token.raw_session();
        session.create_object(&left).unwrap();
        let mut config = token.config();
        config.profile = Some("smartcard-hsm".into());
        let hsm = Pkcs11Hsm::open(config).unwrap();
        // To open it wrote nothing and destroyed nothing.
        assert_eq!(hsm.enforcement(), None);
        assert_eq!(find(&session, "claviger/hsm/trial").len(), 1);
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::RsaOaepSha1));
        assert!(hsm.enforcement().unwrap().is_enough());
        let wrapped = hsm.wrap(&root_id(), &key(), b"a").unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
        let all = session.find_objects(&[Attribute::Token(true)]).unwrap();
        let root = find(&session, root_id().as_str());
        assert!(all.iter().all(|object| root.contains(object)), "{all:?} {root:?}");
        let report = hsm.report().unwrap();
        assert_eq!(report.rsa_keys.len(), 1);
        assert_eq!(report.rsa_keys[0].faults, []);
        assert_eq!(report.rsa_keys[0].mechanism, Mechanism::RsaOaepSha1);
    });
}

#[test]
fn the_name_of_trials_is_no_name_of_a_root_key() {
    on_token(the_name_of_trials_is_no_name_of_a_root_key, |token| {
        let made = token.open().create_root_key(&RootKeyId::new("claviger/hsm/trial"));
        assert!(matches!(made, Err(HsmError::Refused(_))), "{made:?}");
    });
}

#[test]
fn softhsm_keeps_what_it_promises() {
    on_token(softhsm_keeps_what_it_promises, |token| {
        let hsm = token.open();
        let enforcement = hsm.enforcement().unwrap();
        assert_eq!(enforcement.findings(), Vec::<String>::new());
        assert!(enforcement.is_enough());
        // Known of SoftHSM 2.6; why the length of a tag is never taken from outside.
        assert!(enforcement.short_tags.contains(&32), "{enforcement:?}");
        assert_eq!(enforcement.ignored_allowed_mechanisms, Vec::<String>::new());
        assert_eq!(enforcement.untried, Vec::<String>::new());
        // Trials left nothing.
        let session = token.raw_session();
        assert_eq!(session.find_objects(&[]).unwrap(), []);
    });
}
