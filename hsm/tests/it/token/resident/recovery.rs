//! The token loses our sessions, our login or itself underneath the resident keys.

use super::super::support::{TestToken, logins, on_shim, on_token, wait_until};
use super::{ONE_OF_EACH, id, id_of, keys, text, use_once};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::{HsmError, ResidentSpec};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

struct Made {
    spec: ResidentSpec,
    public: Option<Vec<u8>>,
}

/// A device with a key of each kind.
fn with_keys(token: &TestToken) -> (Pkcs11Hsm, Vec<Made>) {
    let hsm = token.open();
    let made = ONE_OF_EACH
        .into_iter()
        .map(|spec| Made { spec, public: keys(&hsm).generate(&id_of(spec), spec).unwrap() })
        .collect();
    (hsm, made)
}

#[test]
fn a_login_lost_underneath_is_had_again() {
    on_token(a_login_lost_underneath_is_had_again, |token| {
        let (hsm, made) = with_keys(token);
        let mut logins_wanted = logins(&token.module);
        let mut lose = || {
            token.raw_session().logout().unwrap();
            logins_wanted += 1;
        };
        for Made { spec, public } in &made {
            lose();
            use_once(keys(&hsm), &id_of(*spec), *spec, public).unwrap();
        }
        lose();
        // "There is none" would be a lie.
        assert_eq!(keys(&hsm).resident_keys().unwrap().len(), made.len());
        lose();
        assert_eq!(keys(&hsm).broken().unwrap(), []);
        lose();
        let spec = ResidentSpec::Aes256;
        let again = keys(&hsm).generate(&id_of(spec), spec);
        assert!(matches!(again, Err(HsmError::ResidentKeyExists { .. })), "{again:?}");
        lose();
        // "Destroyed" would be one, too.
        keys(&hsm).destroy(&id_of(spec)).unwrap();
        assert_eq!(super::objects(&token.raw_session(), &id_of(spec)), []);
        assert_eq!(logins(&token.module), logins_wanted);
    });
}

#[test]
fn whatever_is_lost_under_load_nobody_sees_it() {
    on_shim(whatever_is_lost_under_load_nobody_sees_it, |token| {
        let (hsm, made) = with_keys(token);
        let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (hsm, made, done, calls) = (&hsm, &made, &done, &calls);
                scope.spawn(move || {
                    for Made { spec, public } in made.iter().cycle().skip(thread * 2) {
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                        use_once(keys(hsm), &id_of(*spec), *spec, public).unwrap();
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for round in 0..12 {
                let what = ["sessions", "login", "finalize"][round % 3];
                let function =
                    ["C_Encrypt", "C_SignInit", "C_Decrypt", "C_GetSessionInfo"][round % 4];
                token.rules(&format!("{function} 1 lose {what}\n# {round}"));
                let reached = calls.load(Ordering::Relaxed) + 20;
                wait_until(Duration::from_secs(30), || calls.load(Ordering::Relaxed) >= reached);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(logins(&token.module) > 3);
    });
}

#[test]
fn a_token_that_is_away_has_not_lost_its_keys() {
    on_token(a_token_that_is_away_has_not_lost_its_keys, |token| {
        let (hsm, made) = with_keys(token);
        let sealed = keys(&hsm).encrypt(&id_of(ResidentSpec::Aes256), &text(), b"").unwrap();
        let (here, away) = (token.dir.join("tokens"), token.dir.join("away"));
        // Away, and an empty place where it was.
        std::fs::rename(&here, &away).unwrap();
        std::fs::create_dir(&here).unwrap();
        token.raw().finalize().unwrap();
        for Made { spec, public } in &made {
            let used = use_once(keys(&hsm), &id_of(*spec), *spec, public);
            assert!(matches!(used, Err(HsmError::Unavailable(_))), "{spec}: {used:?}");
            let gone = keys(&hsm).destroy(&id_of(*spec));
            assert!(matches!(gone, Err(HsmError::Unavailable(_))), "{spec}: {gone:?}");
        }
        let listed = keys(&hsm).resident_keys();
        assert!(matches!(listed, Err(HsmError::Unavailable(_))), "{listed:?}");
        std::fs::remove_dir_all(&here).unwrap();
        std::fs::rename(&away, &here).unwrap();
        let opened = || keys(&hsm).decrypt(&id_of(ResidentSpec::Aes256), &sealed, b"");
        wait_until(Duration::from_secs(5), || opened() == Ok(text()));
        for Made { spec, public } in &made {
            use_once(keys(&hsm), &id_of(*spec), *spec, public).unwrap();
        }
    });
}

/// A destroyed object's handle may be another's by now.
#[test]
fn a_key_destroyed_underneath_is_absent() {
    on_token(a_key_destroyed_underneath_is_absent, |token| {
        let (hsm, made) = with_keys(token);
        for Made { spec, public } in &made {
            let session = token.raw_session();
            session.destroy_object(super::objects(&session, &id_of(*spec))[0]).unwrap();
            let used = use_once(keys(&hsm), &id_of(*spec), *spec, public);
            assert!(matches!(used, Err(HsmError::NoSuchResidentKey { .. })), "{spec}: {used:?}");
        }
        assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
        keys(&hsm).generate(&id("new"), ResidentSpec::Aes256).unwrap();
    });
}
