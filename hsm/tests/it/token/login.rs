//! The PIN: tried exactly once an open, never where that could lock the token.

use super::support::{PIN, assert_says, logins, on_token, pin};
use claviger_hsm::HsmError;
use claviger_hsm::pkcs11::Pkcs11Hsm;

#[test]
fn a_wrong_pin_is_tried_exactly_once() {
    on_token(a_wrong_pin_is_tried_exactly_once, |token| {
        assert_eq!(logins(&token.module), 0);
        let error = token.open_error(|config| config.pin = pin("wrong-horse-7"));
        assert_eq!(logins(&token.module), 1);
        assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
        assert_says(&error, &["\"claviger-test\"", "wrong PIN", "exactly once"]);
        // The token itself counted too, and says so.
        assert_says(&error, &["USER_PIN_INITIALIZED USER_PIN_COUNT_LOW"]);
        assert!(!error.to_string().contains("wrong-horse-7"));

        token.open();
        assert_eq!(logins(&token.module), 2);
    });
}

#[test]
fn a_pin_of_a_length_the_token_does_not_take_is_a_wrong_pin() {
    on_token(a_pin_of_a_length_the_token_does_not_take_is_a_wrong_pin, |token| {
        for bad in ["", "1", &"9".repeat(300)] {
            let before = logins(&token.module);
            let error = token.open_error(|config| config.pin = pin(bad));
            assert!(matches!(error, HsmError::WrongPin { .. }), "{} digits: {error}", bad.len());
            assert_eq!(logins(&token.module), before + 1);
        }
    });
}

#[test]
fn a_process_that_is_logged_in_does_not_log_in_again() {
    on_token(a_process_that_is_logged_in_does_not_log_in_again, |token| {
        let first = token.open();
        let mut config = token.config();
        config.pin = pin(PIN);
        let second = Pkcs11Hsm::open(config).unwrap();
        assert_eq!(logins(&token.module), 1);
        drop((first, second));
        token.open();
        assert_eq!(logins(&token.module), 2);
    });
}

#[test]
fn the_pin_is_not_tried_on_the_wrong_token() {
    on_token(the_pin_is_not_tried_on_the_wrong_token, |token| {
        token.open_error(|config| config.token_label = "elsewhere".into());
        assert_eq!(logins(&token.module), 0);
    });
}
