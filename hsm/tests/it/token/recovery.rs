//! The token loses our sessions or our key underneath us.

use super::support::{logins, on_token, root_id};
use claviger_hsm::{Hsm, HsmError, KeyBytes};
use cryptoki::object::Attribute;

#[test]
fn a_login_lost_underneath_is_unavailable_not_forged() {
    on_token(a_login_lost_underneath_is_unavailable_not_forged, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let key = KeyBytes::new(vec![1; 32]);
        let wrapped = hsm.wrap(&root_id(), &key, b"").unwrap();
        token.raw_session().logout().unwrap();
        for _ in 0..3 {
            let opened = hsm.unwrap(&wrapped, b"");
            assert!(matches!(opened, Err(HsmError::Unavailable(_))), "{opened:?}");
            // "There is no key" would be a lie, and an invitation to make another.
            let keys = hsm.root_keys();
            assert!(matches!(keys, Err(HsmError::Unavailable(_))), "{keys:?}");
            let made = hsm.create_root_key(&root_id());
            assert!(matches!(made, Err(HsmError::Unavailable(_))), "{made:?}");
        }
        // Nobody tried the PIN again behind the operator's back.
        assert_eq!(logins(&token.module), 1);
        drop(hsm);
        assert_eq!(token.open().unwrap(&wrapped, b"").unwrap(), key);
    });
}

#[test]
fn a_root_key_destroyed_underneath_is_absent() {
    on_token(a_root_key_destroyed_underneath_is_absent, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &KeyBytes::new(vec![1; 32]), b"").unwrap();
        let session = token.raw_session();
        let label = [Attribute::Label(root_id().as_str().into())];
        session.destroy_object(session.find_objects(&label).unwrap()[0]).unwrap();
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::NoSuchKey { .. })), "{opened:?}");
        // Made anew under the same name it is another key.
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b""), Err(HsmError::Authentication));
    });
}

#[test]
fn many_forgeries_do_not_wear_the_device_out() {
    on_token(many_forgeries_do_not_wear_the_device_out, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let key = KeyBytes::new(vec![1; 32]);
        let wrapped = hsm.wrap(&root_id(), &key, b"").unwrap();
        for _ in 0..2000 {
            assert_eq!(hsm.unwrap(&wrapped, b"forged"), Err(HsmError::Authentication));
        }
        assert_eq!(hsm.unwrap(&wrapped, b"").unwrap(), key);
        assert_eq!(logins(&token.module), 1);
    });
}

#[test]
fn a_module_finalised_underneath_is_unavailable() {
    on_token(a_module_finalised_underneath_is_unavailable, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &KeyBytes::new(vec![1; 32]), b"").unwrap();
        token.raw().finalize().unwrap();
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::Unavailable(_))), "{opened:?}");
        let random = hsm.random(&mut [0; 8]);
        assert!(matches!(random, Err(HsmError::Unavailable(_))), "{random:?}");
    });
}

#[test]
fn sessions_are_used_again() {
    on_token(sessions_are_used_again, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        // SoftHSM gives handles out in ascending order: the distance counts the sessions opened.
        let before = token.raw_session().handle();
        for _ in 0..100 {
            let wrapped = hsm.wrap(&root_id(), &KeyBytes::new(vec![1; 32]), b"").unwrap();
            hsm.unwrap(&wrapped, b"").unwrap();
        }
        let opened = token.raw_session().handle() - before;
        assert!(opened < 5, "{opened} sessions for 200 calls");
    });
}
