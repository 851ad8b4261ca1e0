//! Making a root key: what is written, and what is left when it fails.

use super::support::{on_token, root_id};
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};

#[test]
fn two_calls_make_one_key() {
    on_token(two_calls_make_one_key, |token| {
        let hsm = token.open();
        let made = std::thread::scope(|scope| {
            let calls = [(); 4].map(|()| scope.spawn(|| hsm.create_root_key(&root_id())));
            calls.map(|call| call.join().unwrap())
        });
        assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1);
        let exists = Err(HsmError::KeyExists(root_id()));
        assert_eq!(made.iter().filter(|result| **result == exists).count(), 3);
        hsm.check_root_key(&root_id()).unwrap();
    });
}

#[test]
fn a_name_that_another_object_has_is_taken() {
    on_token(a_name_that_another_object_has_is_taken, |token| {
        let data = [
            Attribute::Class(ObjectClass::DATA),
            Attribute::Label(root_id().as_str().into()),
            Attribute::Token(true),
            Attribute::Value(vec![1]),
        ];
        token.raw_session().create_object(&data).unwrap();
        let hsm = token.open();
        let made = hsm.create_root_key(&root_id());
        assert_eq!(made, Err(HsmError::KeyExists(root_id())));
        // Nor is it taken for a key.
        let error = hsm.check_root_key(&root_id()).unwrap_err().to_string();
        assert!(error.contains("CKA_CLASS wanted CKO_SECRET_KEY, found"), "{error}");
        assert_eq!(hsm.root_keys().unwrap(), []);
    });
}

#[test]
fn each_key_has_an_id_of_its_own() {
    on_token(each_key_has_an_id_of_its_own, |token| {
        let hsm = token.open();
        let names = ["claviger/a/rk-d/1", "claviger/a/rk-d/2"].map(RootKeyId::new);
        for name in &names {
            hsm.create_root_key(name).unwrap();
        }
        assert_eq!(hsm.root_keys().unwrap(), names);
        let session = token.raw_session();
        let keys = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap();
        let ids =
            keys.iter().map(|key| session.get_attributes(*key, &[AttributeType::Id]).unwrap());
        let ids: Vec<_> = ids.map(|found| found.into_iter().next().unwrap()).collect();
        assert!(matches!(&ids[0], Attribute::Id(id) if id.len() == 16), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    });
}
