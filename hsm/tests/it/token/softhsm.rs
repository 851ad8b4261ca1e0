//! The PKCS#11 device on SoftHSM: the suite, restarts, the report.

use super::support::{LABEL, PIN, TestToken, on_softhsm, on_token, pin, root_id};
use claviger_hsm::pkcs11::{Pkcs11Hsm, init_token};
use claviger_hsm::{Hsm, KeyBytes, suite};

#[test]
fn passes_the_suite() {
    on_token(passes_the_suite, |token| suite::all(&token.open()));
}

#[test]
fn says_what_it_is() {
    on_token(says_what_it_is, |token| {
        let info = token.open().info();
        assert_eq!(info.vendor, "SoftHSM project");
        assert_eq!(info.model, "SoftHSM v2");
        assert_eq!(info.label, LABEL);
        assert_eq!(info.serial.len(), 16);
        assert!(info.firmware.is_some());
        assert!(!info.hardware);
    });
}

#[test]
fn a_key_opens_after_the_device_was_closed() {
    on_token(a_key_opens_after_the_device_was_closed, |token| {
        let key = KeyBytes::new(vec![5; 32]);
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key, b"aad").unwrap();
        drop(hsm);
        let hsm = token.open();
        hsm.check_root_key(&root_id()).unwrap();
        assert_eq!(hsm.root_keys().unwrap(), [root_id()]);
        assert_eq!(hsm.unwrap(&wrapped, b"aad").unwrap(), key);
    });
}

#[test]
fn one_process_may_open_a_token_twice() {
    on_token(one_process_may_open_a_token_twice, |token| {
        let (one, two) = (token.open(), token.open());
        one.create_root_key(&root_id()).unwrap();
        let wrapped = two.wrap(&root_id(), &KeyBytes::new(vec![5; 32]), b"").unwrap();
        // The first takes its sessions with it; the second stays logged in.
        drop(one);
        two.unwrap(&wrapped, b"").unwrap();
        drop(two);
        token.open().unwrap(&wrapped, b"").unwrap();
    });
}

#[test]
fn init_token_is_idempotent() {
    on_softhsm(init_token_is_idempotent, "", |token| {
        token.init(LABEL);
        token.open().create_root_key(&root_id()).unwrap();
        // Other PINs: had the token been initialised again, its key would be gone.
        init_token(&token.module, LABEL, &pin("other-so"), &pin("other")).unwrap();
        assert_eq!(token.open().root_keys().unwrap(), [root_id()]);
        // A second label takes the next blank token.
        token.init("second");
        let labels = |t: &TestToken| format!("{}", t.open_error(|c| c.token_label = "x".into()));
        assert!(labels(token).contains("\"claviger-test\" in slot"));
        assert!(labels(token).contains("\"second\" in slot"));
    });
}

#[test]
fn init_token_ends_what_an_earlier_call_began() {
    on_softhsm(init_token_ends_what_an_earlier_call_began, "", |token| {
        let raw = token.raw();
        let slot = raw.get_slots_with_token().unwrap()[0];
        let so_pin = cryptoki::types::AuthPin::new(super::support::SO_PIN.into());
        raw.init_token(slot, &so_pin, LABEL).unwrap();
        let refused = token.open_error(|_| {}).to_string();
        assert!(refused.contains("has no user PIN yet"), "{refused}");
        token.init(LABEL);
        token.open();
    });
}

#[test]
fn reports_all_an_operator_asks_for() {
    on_token(reports_all_an_operator_asks_for, |token| {
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let report = hsm.report().unwrap();
        assert_eq!(report.device, hsm.info());
        assert!(report.library.contains("PKCS11"), "{}", report.library);
        for flag in ["RNG", "LOGIN_REQUIRED", "TOKEN_INITIALIZED", "USER_PIN_INITIALIZED"] {
            assert!(report.flags.contains(&flag.to_owned()), "{flag} in {:?}", report.flags);
        }
        assert!(report.mechanisms.contains(&"CKM_AES_GCM".to_owned()));
        let [key] = report.aes_keys.as_slice() else { panic!("{:?}", report.aes_keys) };
        assert_eq!(key.label, root_id().as_str());
        assert_eq!(key.faults, []);
        let value = |name| key.attributes.iter().find(|a| a.name == name).unwrap().value.as_str();
        assert_eq!(value("CKA_EXTRACTABLE"), "false");
        assert_eq!(value("CKA_VALUE_LEN"), "32");
        assert_eq!(value("CKA_ALLOWED_MECHANISMS"), "CKM_AES_GCM");
        let text = serde_json::to_string(&report).unwrap();
        assert!(!text.contains(PIN));
    });
}

#[test]
fn nothing_secret_is_printed() {
    on_token(nothing_secret_is_printed, |token| {
        let config = token.config();
        let printed = format!("{config:?} {:?}", Pkcs11Hsm::open(token.config()).unwrap());
        assert!(printed.contains("Pin(..)") && !printed.contains(PIN), "{printed}");
    });
}
