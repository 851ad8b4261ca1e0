//! The suite, on SoftHSM and on tokens that do things their own way.

use super::super::support::{TestToken, on_shim, on_token};
use super::{ONE_OF_EACH, id, keys, text};
use claviger_hsm::{Hsm, HsmError, ResidentKeys, ResidentSpec, suite};

#[test]
fn softhsm_passes() {
    on_token(softhsm_passes, |token| {
        let hsm = token.open();
        assert_eq!(keys(&hsm).specs(), ResidentSpec::ALL);
        suite::resident::all(&hsm);
        // Nothing is left of it but the keys that live.
        assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
        assert_eq!(hsm.root_keys().unwrap(), []);
    });
}

#[test]
fn softhsm_passes_with_longer_rsa_keys() {
    on_token(softhsm_passes_with_longer_rsa_keys, |token| {
        suite::resident::long_rsa_keys(&token.open());
    });
}

#[test]
fn keys_survive_reopening() {
    on_token(keys_survive_reopening, |token| {
        suite::resident::survives_reopening(&|| Box::new(token.open()));
    });
}

fn gcm(token: &TestToken, rules: &str) {
    token.rules(rules);
    let hsm = token.open();
    suite::resident::each(keys(&hsm), ResidentSpec::Aes256);
    // What one made the other opens: the IV is where it says, however it came there.
    keys(&hsm).generate(&id("k"), ResidentSpec::Aes256).unwrap();
    let sealed = keys(&hsm).encrypt(&id("k"), &text(), b"a").unwrap();
    drop(hsm);
    token.rules("");
    let hsm = token.open();
    assert_eq!(keys(&hsm).decrypt(&id("k"), &sealed, b"a"), Ok(text()));
    assert_eq!(keys(&hsm).decrypt(&id("k"), &sealed, b"b"), Err(HsmError::Authentication));
}

#[test]
fn a_token_that_writes_the_iv_back_passes() {
    on_shim(a_token_that_writes_the_iv_back_passes, |token| {
        gcm(token, "C_EncryptInit * gcm-iv written-back");
    });
}

#[test]
fn a_token_that_appends_the_iv_passes() {
    on_shim(a_token_that_appends_the_iv_passes, |token| {
        gcm(token, "C_EncryptInit * gcm-iv appended");
    });
}

/// Public halves, shared secrets and trial keys are session objects elsewhere.
#[test]
fn a_token_without_session_objects_keeps_the_public_half_and_agrees_not() {
    on_token(a_token_without_session_objects_keeps_the_public_half_and_agrees_not, |token| {
        let mut config = token.config();
        config.profile = Some("smartcard-hsm".into());
        config.wrap = Some(claviger_hsm::Mechanism::RsaOaepSha1);
        let hsm = claviger_hsm::pkcs11::Pkcs11Hsm::open(config).unwrap();
        let specs = keys(&hsm).specs();
        assert!(!specs.iter().any(|spec| matches!(spec, ResidentSpec::EcAgree(_))), "{specs:?}");
        for spec in ONE_OF_EACH.into_iter().filter(|spec| specs.contains(spec)) {
            suite::resident::each(keys(&hsm), spec);
        }
        let spec = ResidentSpec::EcSign(claviger_hsm::Curve::P256);
        keys(&hsm).generate(&id("pair"), spec).unwrap();
        let session = token.raw_session();
        assert_eq!(super::objects(&session, &id("pair")).len(), 2);
        keys(&hsm).destroy(&id("pair")).unwrap();
        assert_eq!(super::objects(&session, &id("pair")).len(), 0);
    });
}

/// One call of the token for each request: neither a search nor a question for lengths.
#[test]
fn a_request_is_one_call() {
    on_shim(a_request_is_one_call, |token| {
        let hsm = token.open();
        let keys: &dyn ResidentKeys = keys(&hsm);
        keys.generate(&id("k"), ResidentSpec::Aes256).unwrap();
        let sealed = keys.encrypt(&id("k"), &text(), b"").unwrap();
        let functions =
            ["C_Encrypt", "C_EncryptInit", "C_Decrypt", "C_FindObjects", "C_GetAttributeValue"];
        let before = functions.map(|function| token.calls(function));
        for _ in 0..10 {
            keys.encrypt(&id("k"), &text(), b"").unwrap();
            keys.decrypt(&id("k"), &sealed, b"").unwrap();
        }
        let after = functions.map(|function| token.calls(function));
        let made: Vec<usize> =
            before.iter().zip(after).map(|(before, after)| after - before).collect();
        assert_eq!(made, [10, 10, 10, 0, 0]);
    });
}

#[test]
fn of_many_threads_one_makes_the_key() {
    on_token(of_many_threads_one_makes_the_key, |token| {
        let hsm = token.open();
        let made = std::thread::scope(|scope| {
            let make = || keys(&hsm).generate(&id("one"), ResidentSpec::Aes256);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let exists = HsmError::ResidentKeyExists { id: id("one"), found: 1 };
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "{made:?}");
        assert!(made.iter().all(|made| made.is_ok() || *made == Err(exists.clone())), "{made:?}");
        assert_eq!(super::objects(&token.raw_session(), &id("one")).len(), 1);
    });
}
