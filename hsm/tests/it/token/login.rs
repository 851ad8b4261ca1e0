//! The PIN: tried exactly once for each login that is needed, never where that could lock the
//! token, and never again once it was refused.

use super::recovery::{is_unavailable, key, with_root};
use super::support::{
    LABEL, PIN, TestToken, assert_says, logins, on_shim, on_token, pin, wait_until,
};
use claviger_hsm::pkcs11::{PinSource, Pkcs11Hsm, restarts};
use claviger_hsm::{Hsm, HsmError};
use cryptoki::types::AuthPin;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const WRONG: &str = "wrong-horse-7";
const NEW: &str = "new-horse-8";

#[test]
fn a_wrong_pin_is_tried_exactly_once() {
    on_token(a_wrong_pin_is_tried_exactly_once, |token| {
        assert_eq!(logins(&token.module), 0);
        let wrong = || token.open_error(|config| config.pin = pin(WRONG).into());
        let error = wrong();
        assert_eq!(logins(&token.module), 1);
        assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
        assert_says(&error, &["\"claviger-test\"", "wrong PIN", "exactly once"]);
        // The token itself counted too, and says so.
        assert_says(&error, &["USER_PIN_INITIALIZED USER_PIN_COUNT_LOW"]);
        assert!(!error.to_string().contains(WRONG));

        // However often the device is opened with it.
        for _ in 0..3 {
            let error = wrong();
            assert!(matches!(error, HsmError::PinNotTried { .. }), "{error:?}");
            assert_says(&error, &[LABEL, "the configuration", "not tried again", "restart"]);
            assert!(!error.to_string().contains(WRONG));
        }
        assert_eq!(logins(&token.module), 1);
        token.open();
        assert_eq!(logins(&token.module), 2);
    });
}

#[test]
fn a_pin_of_a_length_the_token_does_not_take_is_a_wrong_pin() {
    on_token(a_pin_of_a_length_the_token_does_not_take_is_a_wrong_pin, |token| {
        for bad in ["", "1", &"9".repeat(300)] {
            let before = logins(&token.module);
            let error = token.open_error(|config| config.pin = pin(bad).into());
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
        config.pin = pin(PIN).into();
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

/// A PIN file as it must be.
fn write_pin(token: &TestToken, text: &str) -> PinSource {
    let path = token.dir.join("pin");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    PinSource::File(path)
}

#[test]
fn a_pin_file_is_read_again_when_a_login_is_needed() {
    on_token(a_pin_file_is_read_again_when_a_login_is_needed, |token| {
        let source = write_pin(token, &format!("{WRONG}\n"));
        let error = token.open_error(|config| config.pin = source.clone());
        assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
        let error = token.open_error(|config| config.pin = source.clone());
        assert!(matches!(error, HsmError::PinNotTried { .. }), "{error:?}");
        let path = token.dir.join("pin");
        assert_says(&error, &[path.to_str().unwrap()]);
        assert_eq!(logins(&token.module), 1);
        write_pin(token, &format!("{PIN}\n"));
        let mut config = token.config();
        config.pin = source;
        Pkcs11Hsm::open(config).unwrap();
        assert_eq!(logins(&token.module), 2);
        // Without the file nothing is tried.
        std::fs::remove_file(&path).unwrap();
        let error = token.open_error(|config| config.pin = PinSource::File(path.clone()));
        assert!(matches!(error, HsmError::PinUnreadable { .. }), "{error:?}");
        assert_eq!(logins(&token.module), 2);
    });
}

/// Another client sets the token's PIN, while we are logged in.
fn change_pin(token: &TestToken, from: &str, to: &str) {
    let session = token.raw_session();
    session.set_pin(&AuthPin::new(from.into()), &AuthPin::new(to.into())).unwrap();
}

#[test]
fn a_pin_changed_underneath_is_followed_through_its_file() {
    on_token(a_pin_changed_underneath_is_followed_through_its_file, |token| {
        let (hsm, wrapped) = with_root(token);
        drop(hsm);
        let mut config = token.config();
        config.pin = write_pin(token, PIN);
        let hsm = Pkcs11Hsm::open(config).unwrap();
        let logins_before = logins(&token.module);
        change_pin(token, PIN, NEW);
        // The login that is there serves on.
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(logins(&token.module), logins_before);

        // A new one is needed: the old PIN is tried, once.
        token.raw().finalize().unwrap();
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::WrongPin { .. })), "{opened:?}");
        for _ in 0..40 {
            let opened = hsm.unwrap(&wrapped, b"").unwrap_err();
            let is_pin = matches!(opened, HsmError::WrongPin { .. } | HsmError::PinNotTried { .. });
            assert!(is_pin, "{opened:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(logins(&token.module), logins_before + 1);

        // The operator writes the new PIN into the file.
        write_pin(token, NEW);
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
        assert_eq!(logins(&token.module), logins_before + 2);

        // And back to the old one, which was refused meanwhile.
        change_pin(token, NEW, PIN);
        write_pin(token, PIN);
        token.raw().finalize().unwrap();
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
        assert_eq!(logins(&token.module), logins_before + 3);
    });
}

#[test]
fn a_pin_changed_underneath_a_fixed_one_needs_an_operator() {
    on_token(a_pin_changed_underneath_a_fixed_one_needs_an_operator, |token| {
        let (hsm, wrapped) = with_root(token);
        change_pin(token, PIN, NEW);
        token.raw().finalize().unwrap();
        let (logins_before, restarts_before) = (logins(&token.module), restarts(&token.module));
        for _ in 0..30 {
            let error = hsm.unwrap(&wrapped, b"").unwrap_err();
            assert!(!is_unavailable::<()>(&Err(error.clone())), "{error:?}");
            assert_says(&error, &["PIN"]);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(logins(&token.module), logins_before + 1);
        // It is not the module's fault.
        assert_eq!(restarts(&token.module), restarts_before + 1);
    });
}

/// CKF_USER_PIN_FINAL_TRY and CKF_USER_PIN_LOCKED.
const FINAL_TRY: &str = "C_GetTokenInfo * flags 0x20000";
const LOCKED: &str = "C_GetTokenInfo * flags 0x40000";

#[test]
fn a_pin_that_could_lock_the_token_is_not_tried() {
    on_shim(a_pin_that_could_lock_the_token_is_not_tried, |token| {
        let (hsm, wrapped) = with_root(token);
        assert_eq!(logins(&token.module), 1);
        for (rule, words) in [(FINAL_TRY, "one more wrong PIN"), (LOCKED, "is locked")] {
            // Logged in, nothing has to be tried.
            token.rules(rule);
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
            token.rules(&format!("{rule}\nC_DecryptInit 1 lose sessions"));
            let error = hsm.unwrap(&wrapped, b"").unwrap_err();
            assert_says(&error, &[words, "not tried"]);
            assert_says(&token.open_error(|_| {}), &[words]);
            let before = token.calls("C_Login");
            token.rules("");
            wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
            assert_eq!(token.calls("C_Login"), before + 1);
        }
    });
}

#[test]
fn a_token_that_counts_a_pin_without_saying_so_is_believed_to_have_refused_it() {
    on_shim(a_token_that_counts_a_pin_without_saying_so_is_believed_to_have_refused_it, |token| {
        // CKR_GENERAL_ERROR instead of CKR_PIN_INCORRECT; the flags tell.
        token.rules("C_Login * after 0x5");
        let wrong = || token.open_error(|config| config.pin = pin(WRONG).into());
        assert!(matches!(wrong(), HsmError::WrongPin { .. }));
        assert!(matches!(wrong(), HsmError::PinNotTried { .. }));
        assert_eq!(logins(&token.module), 1);
    });
}

#[test]
fn a_login_that_fails_for_another_reason_is_tried_again_but_not_in_a_hot_loop() {
    on_shim(a_login_that_fails_for_another_reason_is_tried_again_but_not_in_a_hot_loop, |token| {
        let (hsm, wrapped) = with_root(token);
        // CKR_DEVICE_ERROR: a network HSM that is not reached.
        token.rules("C_Login * return 0x30\nC_DecryptInit 1 lose sessions");
        let before = logins(&token.module);
        for _ in 0..150 {
            let opened = hsm.unwrap(&wrapped, b"");
            assert!(is_unavailable(&opened), "{opened:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let tried = logins(&token.module) - before;
        assert!((2..=14).contains(&tried), "{tried} logins in 1.5 s");
        token.rules("");
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
    });
}
