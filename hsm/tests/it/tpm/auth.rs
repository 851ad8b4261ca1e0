//! The auth value: tried once where it is wrong, never where that could lock the TPM.

use super::support::{AUTH, Swtpm, assert_says, auth, key, on_swtpm, root_id};
use claviger_hsm::tpm::{AuthSource, Lockout, TpmHsm};
use claviger_hsm::{Hsm, HsmError, KeyBytes, RootKeyId};
use std::sync::{Arc, Mutex};

fn open(tpm: &Swtpm, text: &str) -> TpmHsm {
    tpm.open_with(|config| config.auth = auth(text))
}

fn lockout(hsm: &TpmHsm) -> Lockout {
    hsm.report().unwrap().lockout.unwrap()
}

/// Wrong attempts of somebody else's, on an object of theirs.
fn guess(tpm: &Swtpm, times: u32) {
    tpm.tool("tpm2_nvdefine", &["0x01800123", "-s", "4", "-a", "authread|ownerwrite", "-p", "x"]);
    std::fs::write(tpm.dir().join("four"), b"four").unwrap();
    tpm.tool("tpm2_nvwrite", &["0x01800123", "-C", "o", "-i", "four"]);
    for _ in 0..times {
        let wrong = std::process::Command::new("tpm2_nvread")
            .args(["-T", &tpm.tcti(), "0x01800123", "-P", "wrong"])
            .output()
            .unwrap();
        assert!(!wrong.status.success());
    }
    tpm.tool("tpm2_nvundefine", &["0x01800123", "-C", "o"]);
}

#[test]
fn a_wrong_auth_value_is_tried_exactly_once() {
    on_swtpm(a_wrong_auth_value_is_tried_exactly_once, |tpm| {
        let right = open(tpm, AUTH);
        right.create_root_key(&root_id()).unwrap();
        let other = RootKeyId::new("claviger/test/rk-d/2");
        right.create_root_key(&other).unwrap();
        let wrapped = right.wrap(&root_id(), &key(), b"").unwrap();
        assert_eq!(lockout(&right).counter, 0);

        let wrong = open(tpm, "wrong-horse-7");
        for _ in 0..10 {
            let error = wrong.unwrap(&wrapped, b"").unwrap_err();
            assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
            assert_says(&error, &["tried exactly once", "1 of 3 wrong attempts", "IBM SW TPM"]);
            assert!(!error.to_string().contains("wrong-horse-7"));
            // Nothing is ever written under a wrong value, nor is it tried on another root key.
            for root in [&root_id(), &other] {
                let refused = wrong.wrap(root, &key(), b"");
                assert!(matches!(refused, Err(HsmError::WrongPin { .. })), "{refused:?}");
                let refused = wrong.check_root_key(root);
                assert!(matches!(refused, Err(HsmError::WrongPin { .. })), "{refused:?}");
            }
            assert_eq!(lockout(&wrong).counter, 1);
        }
        assert_eq!(right.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(lockout(&right).counter, 1);
    });
}

#[test]
fn a_refused_auth_value_is_followed_through_its_source_and_each_is_tried_once() {
    on_swtpm(a_refused_auth_value_is_followed_through_its_source_and_each_is_tried_once, |tpm| {
        let right = open(tpm, AUTH);
        right.create_root_key(&root_id()).unwrap();
        let wrapped = right.wrap(&root_id(), &key(), b"").unwrap();
        let told: Arc<Mutex<Result<&str, HsmError>>> = Arc::new(Mutex::new(Ok("wrong-horse-7")));
        let source = told.clone();
        let hsm = tpm.open_with(|config| {
            config.auth = auth("wrong-horse-7");
            let read = move || source.lock().unwrap().clone().map(|text| auth(text).unwrap());
            config.auth_source = Some(AuthSource::new(read));
        });
        let refused = |tried: u32| {
            for _ in 0..5 {
                let error = hsm.unwrap(&wrapped, b"").unwrap_err();
                assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
                assert_eq!(lockout(&hsm).counter, tried);
            }
        };
        refused(1);
        // A source that cannot be read is said, and nothing is tried.
        let unreadable = HsmError::PinUnreadable { path: "auth".into(), reason: "gone".into() };
        *told.lock().unwrap() = Err(unreadable.clone());
        assert_eq!(hsm.unwrap(&wrapped, b""), Err(unreadable));
        assert_eq!(lockout(&hsm).counter, 1);
        *told.lock().unwrap() = Ok(AUTH);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        // What was right is not looked for anew.
        *told.lock().unwrap() = Ok("wrong-horse-9");
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(lockout(&hsm).counter, 1);
    });
}

#[test]
fn the_last_try_is_not_made() {
    on_swtpm(the_last_try_is_not_made, |tpm| {
        let hsm = open(tpm, AUTH);
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        guess(tpm, 2);
        // Neither the right one, nor a wrong one, in a device that knew it and in one that did not.
        for hsm in [hsm, open(tpm, AUTH), open(tpm, "wrong-horse-7")] {
            for _ in 0..5 {
                let error = hsm.unwrap(&wrapped, b"").unwrap_err();
                assert!(matches!(error, HsmError::PinFinalTry { .. }), "{error:?}");
                assert_says(&error, &["2 of 3 wrong attempts", "tpm2_dictionarylockout"]);
            }
            let now = lockout(&hsm);
            assert_eq!((now.counter, now.max, now.locked), (2, 3, false));
        }
        tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
        assert_eq!(open(tpm, AUTH).unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_tpm_in_lockout_says_so_and_opens_what_has_no_auth_value() {
    on_swtpm(a_tpm_in_lockout_says_so_and_opens_what_has_no_auth_value, |tpm| {
        let (with, without) = (open(tpm, AUTH), tpm.open());
        let other = RootKeyId::new("claviger/test/without");
        with.create_root_key(&root_id()).unwrap();
        without.create_root_key(&other).unwrap();
        let guarded = with.wrap(&root_id(), &key(), b"").unwrap();
        let open_to_all = without.wrap(&other, &key(), b"").unwrap();
        guess(tpm, 3);
        assert!(lockout(&with).locked);
        for hsm in [with, open(tpm, AUTH)] {
            let error = hsm.unwrap(&guarded, b"").unwrap_err();
            assert!(matches!(error, HsmError::PinLocked { .. }), "{error:?}");
            assert_says(&error, &["in lockout", "3 of 3 wrong attempts", "1000 s"]);
        }
        assert_eq!(without.unwrap(&open_to_all, b""), Ok(key()));
        tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
        assert_eq!(open(tpm, AUTH).unwrap(&guarded, b""), Ok(key()));
    });
}

#[test]
fn a_root_key_that_fails_its_test_is_undone() {
    on_swtpm(a_root_key_that_fails_its_test_is_undone, |tpm| {
        guess(tpm, 2);
        let hsm = open(tpm, AUTH);
        let error = hsm.create_root_key(&root_id()).unwrap_err();
        assert!(matches!(error, HsmError::PinFinalTry { .. }), "{error:?}");
        assert_eq!(hsm.root_keys().unwrap(), []);
        assert_eq!(hsm.report().unwrap().roots, []);
        tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
        hsm.create_root_key(&root_id()).unwrap();
    });
}

#[test]
fn a_root_key_keeps_to_how_it_was_made() {
    on_swtpm(a_root_key_keeps_to_how_it_was_made, |tpm| {
        let (with, without) = (open(tpm, AUTH), tpm.open());
        let other = RootKeyId::new("claviger/test/without");
        with.create_root_key(&root_id()).unwrap();
        without.create_root_key(&other).unwrap();
        let guarded = with.wrap(&root_id(), &key(), b"").unwrap();
        let open_to_all = without.wrap(&other, &key(), b"").unwrap();
        // Made with one, none configured.
        for refused in [
            without.unwrap(&guarded, b"").map(drop),
            without.wrap(&root_id(), &key(), b"").map(drop),
            without.check_root_key(&root_id()),
        ] {
            let error = refused.unwrap_err();
            assert_says(&error, &["was made with an auth value: none is configured"]);
        }
        // Made without, one configured: it opens, so that keys can be moved, and wraps no more.
        assert_eq!(with.unwrap(&open_to_all, b""), Ok(key()));
        let error = with.wrap(&other, &key(), b"").unwrap_err();
        assert_says(&error, &["was made without an auth value", "opens keys, but wraps none"]);
        assert_eq!(lockout(&with).counter, 0);
    });
}

#[test]
fn an_auth_value_may_have_any_length_and_any_end() {
    on_swtpm(an_auth_value_may_have_any_length_and_any_end, |tpm| {
        for (n, value) in [vec![1], vec![0], vec![7; 31], vec![0; 32], vec![9; 33], vec![0xff; 500]]
            .into_iter()
            .enumerate()
        {
            let root = RootKeyId::new(format!("claviger/test/{n}"));
            let with = |value: &[u8]| {
                let value = Some(KeyBytes::new(value.to_vec()));
                tpm.open_with(|config| config.auth = value)
            };
            let hsm = with(&value);
            hsm.create_root_key(&root).unwrap();
            let wrapped = hsm.wrap(&root, &key(), b"").unwrap();
            // As a TPM would cut it: another value all the same.
            let error = with(&[&value[..], &[0]].concat()).unwrap(&wrapped, b"").unwrap_err();
            assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
            tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
            assert_eq!(with(&value).unwrap(&wrapped, b""), Ok(key()));
        }
        let mut config = tpm.config();
        config.auth = auth("");
        let error = TpmHsm::open(config).unwrap_err();
        assert_says(&error, &["auth value: wanted 1 byte or more, found 0"]);
    });
}

#[test]
fn nothing_secret_is_printed() {
    on_swtpm(nothing_secret_is_printed, |tpm| {
        let mut config = tpm.config();
        config.auth = auth(AUTH);
        let printed = format!("{config:?}");
        let hsm = TpmHsm::open(config).unwrap();
        let report = hsm.report().unwrap();
        let all =
            format!("{printed} {hsm:?} {report:?} {}", serde_json::to_string(&report).unwrap());
        assert!(all.contains("KeyBytes(..)") && !all.contains(AUTH), "{all}");
    });
}
