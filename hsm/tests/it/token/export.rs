//! Who has the PIN can use a root key, but not take it out: tried with raw PKCS#11, both beside
//! the open device and alone.

use super::support::{TestToken, on_token, root_id};
use claviger_hsm::{Hsm, KeyBytes};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle,
};
use cryptoki::session::Session;

fn beside_the_device(token: &TestToken, attack: fn(&Session, ObjectHandle)) {
    let hsm = token.open();
    hsm.create_root_key(&root_id()).unwrap();
    let wrapped = hsm.wrap(&root_id(), &KeyBytes::new(vec![1; 32]), b"").unwrap();
    run(token, attack);
    // Still the key it was, still as it must be.
    hsm.check_root_key(&root_id()).unwrap();
    hsm.unwrap(&wrapped, b"").unwrap();
    drop(hsm);
    // All sessions of the device are closed: this one logs in by itself.
    run(token, attack);
    token.open().check_root_key(&root_id()).unwrap();
}

fn run(token: &TestToken, attack: fn(&Session, ObjectHandle)) {
    let session = token.raw_session();
    let label = [Attribute::Label(root_id().as_str().into())];
    let [root] = session.find_objects(&label).unwrap()[..] else { panic!("not one root key") };
    attack(&session, root);
}

fn rv<T>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(rv, _)) => rv,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was allowed"),
    }
}

/// A session key made by the attacker.
fn own_key(session: &Session, more: &[Attribute]) -> ObjectHandle {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(false),
        Attribute::Extractable(true),
        Attribute::Sensitive(false),
    ];
    template.extend_from_slice(more);
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

#[test]
fn its_value_cannot_be_read() {
    on_token(its_value_cannot_be_read, |token| {
        beside_the_device(token, |session, root| {
            let info = session.get_attribute_info(root, &[AttributeType::Value]).unwrap();
            assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
            let value = session.get_attributes(root, &[AttributeType::Value]);
            assert!(value.is_ok_and(|found| found.is_empty()));
        });
    });
}

#[test]
fn it_cannot_be_wrapped_out() {
    on_token(it_cannot_be_wrapped_out, |token| {
        beside_the_device(token, |session, root| {
            let mine = own_key(session, &[Attribute::Wrap(true), Attribute::Unwrap(true)]);
            for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
                let refused = rv(session.wrap_key(&mechanism, mine, root));
                assert_eq!(refused, RvError::KeyUnextractable);
            }
        });
    });
}

#[test]
fn it_cannot_wrap_unwrap_derive_or_sign() {
    on_token(it_cannot_wrap_unwrap_derive_or_sign, |token| {
        beside_the_device(token, |session, root| {
            let mine = own_key(session, &[]);
            let not_permitted = RvError::KeyFunctionNotPermitted;
            assert_eq!(rv(session.wrap_key(&Mechanism::AesKeyWrap, root, mine)), not_permitted);
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
            ];
            let unwrapped = session.unwrap_key(&Mechanism::AesKeyWrap, root, &[0; 40], &template);
            assert_eq!(rv(unwrapped), not_permitted);
            assert_eq!(rv(session.sign(&Mechanism::AesCMac, root, &[0; 16])), not_permitted);
        });
    });
}

/// ECB would be a way to open RFC 3394 blobs by hand; CBC and CTR likewise.
#[test]
fn it_serves_no_mechanism_but_gcm() {
    on_token(it_serves_no_mechanism_but_gcm, |token| {
        beside_the_device(token, |session, root| {
            for mechanism in [Mechanism::AesEcb, Mechanism::AesCbc([0; 16])] {
                let refused = rv(session.decrypt(&mechanism, root, &[0; 16]));
                assert_eq!(refused, RvError::MechanismInvalid);
                let refused = rv(session.encrypt(&mechanism, root, &[0; 16]));
                assert_eq!(refused, RvError::MechanismInvalid);
            }
            let mut iv = [9; 12];
            let gcm = GcmParams::new(&mut iv, b"", 128.into()).unwrap();
            session.encrypt(&Mechanism::AesGcm(gcm), root, &[0; 16]).unwrap();
        });
    });
}

#[test]
fn no_weaker_copy_can_be_made() {
    on_token(no_weaker_copy_can_be_made, |token| {
        beside_the_device(token, |session, root| {
            let weaker: [&[Attribute]; 5] = [
                &[Attribute::Extractable(true)],
                &[Attribute::Sensitive(false)],
                &[Attribute::Wrap(true)],
                &[Attribute::Token(false)],
                &[Attribute::Label(b"copy".into())],
            ];
            for template in weaker {
                let refused = rv(session.copy_object(root, template));
                assert_eq!(refused, RvError::ActionProhibited, "{template:?}");
            }
        });
    });
}

#[test]
fn no_attribute_can_be_changed() {
    on_token(no_attribute_can_be_changed, |token| {
        beside_the_device(token, |session, root| {
            for change in [
                Attribute::Extractable(true),
                Attribute::Sensitive(false),
                Attribute::Wrap(true),
                Attribute::Unwrap(true),
                Attribute::Derive(true),
                Attribute::Copyable(true),
                Attribute::Modifiable(true),
                Attribute::Label(b"other".into()),
                Attribute::AllowedMechanisms(vec![MechanismType::AES_ECB]),
            ] {
                let refused = rv(session.update_attributes(root, std::slice::from_ref(&change)));
                let expected = [RvError::ActionProhibited, RvError::AttributeReadOnly];
                assert!(expected.contains(&refused), "{change:?}: {refused:?}");
            }
        });
    });
}
