//! Every way a device can be wrong, and that the error names what was sought and what was found.

use super::support::{LABEL, TestToken, assert_says, logins, on_softhsm, on_token, root_id};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::{Hsm, HsmError, KeyBytes, RootKeyId};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};

#[test]
fn the_module_is_missing() {
    on_token(the_module_is_missing, |token| {
        let error = token.open_error(|config| config.module = "/nowhere/libhsm.so".into());
        assert!(matches!(error, HsmError::ModuleMissing { .. }), "{error:?}");
        assert_says(&error, &["/nowhere/libhsm.so", "no such file"]);
        // A bare name is a path like any other, and not searched for among system libraries.
        let error = token.open_error(|config| config.module = "libc.so.6".into());
        assert!(matches!(error, HsmError::ModuleMissing { .. }), "{error:?}");
    });
}

#[test]
fn the_module_is_no_library() {
    on_token(the_module_is_no_library, |token| {
        let path = token.dir.join("text.so");
        std::fs::write(&path, "not a library").unwrap();
        let error = token.open_error(|config| config.module = path.clone());
        assert!(matches!(error, HsmError::NotAModule { .. }), "{error:?}");
        assert_says(&error, &["text.so", "not a PKCS#11 module"]);
        let error = token.open_error(|config| config.module = token.dir.clone());
        assert!(matches!(error, HsmError::NotAModule { .. }), "{error:?}");
    });
}

#[test]
fn the_module_is_one_that_others_can_change() {
    on_token(the_module_is_one_that_others_can_change, |token| {
        use std::os::unix::fs::{PermissionsExt, chown};
        let path = token.dir.join("copy.so");
        std::fs::copy(&token.module, &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = token.open_error(|config| config.module = path.clone());
        assert!(matches!(error, HsmError::NotAModule { .. }), "{error:?}");
        assert_says(&error, &["copy.so", "everyone may write to it (mode 666)"]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        // Only root can give a file away.
        if chown(&path, Some(65534), None).is_ok() {
            let error = token.open_error(|config| config.module = path.clone());
            assert_says(&error, &["belongs to user 65534"]);
        }
        assert_eq!(logins(&token.module), 0);
    });
}

#[test]
fn the_module_does_not_start() {
    on_softhsm(the_module_does_not_start, "", |token| {
        std::fs::remove_dir(token.dir.join("tokens")).unwrap();
        let error = token.open_error(|_| {});
        assert!(matches!(error, HsmError::ModuleInitialize { .. }), "{error:?}");
        assert_says(&error, &["libsofthsm2.so", "C_Initialize", "SOFTHSM2_CONF"]);
    });
}

#[test]
fn no_token_is_labelled_so() {
    on_token(no_token_is_labelled_so, |token| {
        let error = token.open_error(|config| config.token_label = "production".into());
        assert!(matches!(error, HsmError::NoSuchToken { .. }), "{error:?}");
        let slot = format!("\"{LABEL}\" in slot {}", token.raw_slot().id());
        assert_says(&error, &["\"production\"", &slot, "a blank token in slot"]);
    });
}

#[test]
fn two_tokens_are_labelled_so() {
    on_token(two_tokens_are_labelled_so, |token| {
        let raw = token.raw();
        let blank = |slot: &_| !raw.get_token_info(*slot).unwrap().token_initialized();
        let slot = raw.get_slots_with_token().unwrap().into_iter().find(blank).unwrap();
        raw.init_token(slot, &cryptoki::types::AuthPin::new("12345678".into()), LABEL).unwrap();
        let error = token.open_error(|_| {});
        assert!(matches!(error, HsmError::DuplicateToken { .. }), "{error:?}");
        assert_says(&error, &["wanted one token", LABEL, "found 2", "in slot"]);
    });
}

#[test]
fn no_token_is_initialised() {
    on_softhsm(no_token_is_initialised, "", |token| {
        let error = token.open_error(|_| {});
        assert!(matches!(error, HsmError::TokenNotInitialised { .. }), "{error:?}");
        assert_says(&error, &[LABEL, "no token is initialised yet", "a blank token in slot 0"]);
    });
}

#[test]
fn every_way_to_wrap_is_missing() {
    let conf = "slots.mechanisms = CKM_AES_KEY_GEN,CKM_AES_CBC\n";
    on_softhsm(every_way_to_wrap_is_missing, conf, |token| {
        token.init(LABEL);
        let error = token.open_error(|_| {});
        assert!(matches!(error, HsmError::MechanismMissing { .. }), "{error:?}");
        assert_says(
            &error,
            &[
                "lacks CKM_AES_GCM, or CKM_AES_KEY_WRAP, or CKM_AES_CBC and CKM_SHA256_HMAC, or \
                 CKM_RSA_PKCS_OAEP; found:",
                "CKM_AES_KEY_GEN",
                "CKM_AES_CBC",
            ],
        );
        assert_eq!(logins(&token.module), 0);
    });
}

#[test]
fn aes_key_gen_is_missing() {
    on_softhsm(aes_key_gen_is_missing, "slots.mechanisms = CKM_AES_GCM\n", |token| {
        token.init(LABEL);
        // Keys that are there already could still be used, so only making one is refused.
        let error = token.open().create_root_key(&root_id()).unwrap_err();
        assert!(matches!(error, HsmError::NoWrap { .. }), "{error:?}");
        assert_says(&error, &["aes-gcm: lacks CKM_AES_KEY_GEN;", "aes-kw: lacks CKM_AES_KEY_WRAP"]);
    });
}

#[test]
fn the_root_key_is_absent() {
    on_token(the_root_key_is_absent, |token| {
        let hsm = token.open();
        let error = hsm.check_root_key(&root_id()).unwrap_err();
        assert_says(&error, &[root_id().as_str(), "keys found: none"]);
        let other = RootKeyId::new("claviger/other/rk-d/1");
        hsm.create_root_key(&other).unwrap();
        let error = hsm.check_root_key(&root_id()).unwrap_err();
        assert!(matches!(error, HsmError::NoSuchKey { .. }), "{error:?}");
        assert_says(&error, &[root_id().as_str(), other.as_str()]);
    });
}

/// The template of a good root key, made by hand, with some attributes otherwise.
fn make(token: &TestToken, changed: &[Attribute]) {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(root_id().as_str().into()),
        Attribute::ValueLen(32.into()),
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
    ];
    let is_kept = |a: &Attribute| changed.iter().all(|c| c.attribute_type() != a.attribute_type());
    template.retain(is_kept);
    template.extend_from_slice(changed);
    token.raw_session().generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

#[test]
fn two_keys_are_labelled_so() {
    on_token(two_keys_are_labelled_so, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        make(token, &[]);
        let error = hsm.check_root_key(&root_id()).unwrap_err();
        assert_eq!(error, HsmError::DuplicateKey { id: root_id(), count: 2 });
        assert_says(&error, &["exactly one", root_id().as_str(), "found 2"]);
        // Nor is either of the two used: which one would be chance.
        let key = KeyBytes::new(vec![1; 32]);
        assert_eq!(hsm.wrap(&root_id(), &key, b"").unwrap_err(), error);
        assert_eq!(token.open().wrap(&root_id(), &key, b"").unwrap_err(), error);
    });
}

#[test]
fn a_key_made_by_hand_with_the_right_attributes_will_do() {
    on_token(a_key_made_by_hand_with_the_right_attributes_will_do, |token| {
        make(token, &[]);
        let hsm = token.open();
        hsm.check_root_key(&root_id()).unwrap();
        // It is not among those that create_root_key made.
        assert_eq!(hsm.root_keys().unwrap(), []);
    });
}

/// Makes a key with one attribute otherwise; it must be refused for every use, naming it.
fn refused(token: &TestToken, changed: &[Attribute], parts: &[&str]) {
    make(token, changed);
    let hsm: Pkcs11Hsm = token.open();
    let error = hsm.check_root_key(&root_id()).unwrap_err();
    assert!(matches!(error, HsmError::BadAttributes { .. }), "{error:?}");
    assert_says(&error, &[root_id().as_str()]);
    assert_says(&error, parts);
    assert_eq!(hsm.wrap(&root_id(), &KeyBytes::new(vec![1; 32]), b"").unwrap_err(), error);
    let faults = &hsm.report().unwrap().aes_keys[0].faults;
    assert!(parts.iter().all(|part| part.starts_with(&faults[0].attribute) || faults.len() > 1));
    let session = token.raw_session();
    let label = [Attribute::Label(root_id().as_str().into())];
    for key in session.find_objects(&label).unwrap() {
        session.destroy_object(key).unwrap();
    }
}

#[test]
fn weak_attributes_are_refused_by_name() {
    on_token(weak_attributes_are_refused_by_name, |token| {
        use Attribute::*;
        refused(
            token,
            &[Extractable(true)],
            &[
                "CKA_EXTRACTABLE wanted false, found true",
                "CKA_NEVER_EXTRACTABLE wanted true, found false",
            ],
        );
        refused(
            token,
            &[Sensitive(false)],
            &[
                "CKA_SENSITIVE wanted true, found false",
                "CKA_ALWAYS_SENSITIVE wanted true, found false",
            ],
        );
        refused(token, &[Modifiable(true)], &["CKA_MODIFIABLE wanted false, found true"]);
        refused(token, &[Copyable(true)], &["CKA_COPYABLE wanted false, found true"]);
        refused(token, &[Private(false)], &["CKA_PRIVATE wanted true, found false"]);
        refused(token, &[Wrap(true)], &["CKA_WRAP wanted false, found true"]);
        refused(token, &[Unwrap(true)], &["CKA_UNWRAP wanted false, found true"]);
        refused(token, &[Derive(true)], &["CKA_DERIVE wanted false, found true"]);
        refused(token, &[Sign(true)], &["CKA_SIGN wanted false, found true"]);
        refused(token, &[Decrypt(false)], &["CKA_DECRYPT wanted true, found false"]);
        refused(token, &[ValueLen(16.into())], &["CKA_VALUE_LEN wanted 32, found 16"]);
    });
}

#[test]
fn an_imported_key_is_refused() {
    on_token(an_imported_key_is_refused, |token| {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(root_id().as_str().into()),
            Attribute::Value(vec![7; 32]),
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
        ];
        token.raw_session().create_object(&template).unwrap();
        let error = token.open().check_root_key(&root_id()).unwrap_err();
        assert_says(&error, &["CKA_LOCAL wanted true, found false", "CKA_NEVER_EXTRACTABLE"]);
    });
}
