//! The token loses our sessions, our login or itself underneath us, and the device heals.

use super::support::{TestToken, logins, now, on_shim, on_token, root_id, softhsm, wait_until};
use claviger_hsm::pkcs11::{Pkcs11Hsm, finalize_modules, restarts};
use claviger_hsm::{Hsm, HsmError, KeyBytes, RootKeyId, WrappedKey};
use cryptoki::session::Session;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

pub fn key() -> KeyBytes {
    KeyBytes::new(vec![1; 32])
}

/// A device with a root key, and a key wrapped under it.
pub fn with_root(token: &TestToken) -> (Pkcs11Hsm, WrappedKey) {
    let hsm = token.open();
    hsm.create_root_key(&root_id()).unwrap();
    let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
    (hsm, wrapped)
}

pub fn is_unavailable<T>(result: &Result<T, HsmError>) -> bool {
    matches!(result, Err(HsmError::Unavailable(_)))
}

#[test]
fn a_login_lost_underneath_is_had_again() {
    on_token(a_login_lost_underneath_is_had_again, |token| {
        let (hsm, wrapped) = with_root(token);
        let log_out = || token.raw_session().logout().unwrap();
        log_out();
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(logins(&token.module), 2);
        log_out();
        // "There is no key" would be a lie, and an invitation to make another.
        assert_eq!(hsm.root_keys().unwrap(), [root_id()]);
        log_out();
        assert_eq!(hsm.create_root_key(&root_id()), Err(HsmError::KeyExists(root_id())));
        log_out();
        hsm.check_root_key(&root_id()).unwrap();
        log_out();
        assert_eq!(hsm.unwrap(&wrapped, b"forged"), Err(HsmError::Authentication));
        // One login for each that was lost, and the module was left alone.
        assert_eq!(logins(&token.module), 6);
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn sessions_lost_underneath_are_had_again() {
    on_shim(sessions_lost_underneath_are_had_again, |token| {
        let (hsm, wrapped) = with_root(token);
        for (lost, at) in (1..).zip(["GetSessionInfo", "DecryptInit", "Decrypt"]) {
            token.rules(&format!("C_{at} 1 lose sessions"));
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
            // Closing the last session logs out.
            assert_eq!(logins(&token.module), 1 + lost);
        }
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn a_module_finalised_underneath_is_started_again() {
    on_token(a_module_finalised_underneath_is_started_again, |token| {
        let (hsm, wrapped) = with_root(token);
        for lost in 1..=3 {
            token.raw().finalize().unwrap();
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
            hsm.random(&mut [0; 8]).unwrap();
            assert_eq!(logins(&token.module), 1 + lost);
            assert_eq!(restarts(&token.module), lost);
        }
    });
}

#[test]
fn a_module_that_someone_else_started_anew_is_no_danger() {
    on_token(a_module_that_someone_else_started_anew_is_no_danger, |token| {
        let (hsm, wrapped) = with_root(token);
        // Session numbers begin anew: ours are now those of others.
        token.raw().finalize().unwrap();
        let theirs: Vec<Session> = (0..4).map(|_| token.raw_session()).collect();
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        hsm.check_root_key(&root_id()).unwrap();
        drop(theirs);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn dropping_a_device_closes_nothing_of_a_newer_start() {
    on_token(dropping_a_device_closes_nothing_of_a_newer_start, |token| {
        let (old, wrapped) = with_root(token);
        let new = token.open();
        old.unwrap(&wrapped, b"").unwrap();
        token.raw().finalize().unwrap();
        // The new one starts the module; the numbers of the old one's sessions are now its own.
        assert_eq!(new.unwrap(&wrapped, b""), Ok(key()));
        let logins_before = logins(&token.module);
        drop(old);
        assert_eq!(new.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(logins(&token.module), logins_before);
    });
}

#[test]
fn two_tokens_of_one_module_heal_alike() {
    on_token(two_tokens_of_one_module_heal_alike, |token| {
        token.init("second");
        let (one, wrapped_one) = with_root(token);
        let mut config = token.config();
        config.token_label = "second".into();
        let two = Pkcs11Hsm::open(config).unwrap();
        two.create_root_key(&root_id()).unwrap();
        let wrapped_two = two.wrap(&root_id(), &key(), b"").unwrap();
        for _ in 0..3 {
            token.raw().finalize().unwrap();
            assert_eq!(one.unwrap(&wrapped_one, b""), Ok(key()));
            assert_eq!(two.unwrap(&wrapped_two, b""), Ok(key()));
            // Each its own root key of the same name.
            assert_eq!(one.unwrap(&wrapped_two, b""), Err(HsmError::Authentication));
        }
        // Whoever came first started the module for both.
        assert_eq!(restarts(&token.module), 3);
        assert_eq!(logins(&token.module), 2 + 3 * 2);
    });
}

#[test]
fn finalised_before_the_end_and_used_again() {
    on_token(finalised_before_the_end_and_used_again, |token| {
        let (hsm, wrapped) = with_root(token);
        finalize_modules();
        let library = cryptoki::context::Pkcs11::new(softhsm()).unwrap();
        assert!(library.get_slots_with_token().is_err(), "the module still works");
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

/// Three threads work; every so often the module loses what `lost` says, beside no other call, as
/// a crash of SoftHSM is not what is tested. Nobody may see an error.
fn under_load(token: &TestToken, rule: &str) {
    let (hsm, wrapped) = with_root(token);
    let (done, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    token.rules(rule);
    std::thread::scope(|scope| {
        for thread in 0..3_u8 {
            let (hsm, wrapped, done, calls) = (&hsm, &wrapped, &done, &calls);
            scope.spawn(move || {
                let mine = KeyBytes::new(vec![thread; 32]);
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(hsm.unwrap(wrapped, b""), Ok(key()));
                    let made = hsm.wrap(&root_id(), &mine, b"a").unwrap();
                    assert_eq!(hsm.unwrap(&made, b"a").as_ref(), Ok(&mine));
                    assert_eq!(hsm.unwrap(&made, b"b"), Err(HsmError::Authentication));
                    hsm.random(&mut [0; 16]).unwrap();
                    calls.fetch_add(5, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(2));
        done.store(true, Ordering::Relaxed);
    });
    token.rules("");
    let calls = calls.into_inner();
    let (logins, restarts) = (logins(&token.module), restarts(&token.module));
    println!("{rule}: {calls} calls, {logins} logins, {restarts} restarts, no error");
    assert!(calls > 200, "{calls} calls");
    assert!(logins > 2, "{logins} logins");
    assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
}

#[test]
fn sessions_lost_under_load_surface_no_error() {
    on_shim(sessions_lost_under_load_surface_no_error, |token| {
        under_load(token, "C_Decrypt %101 lose sessions");
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn logins_lost_under_load_surface_no_error() {
    on_shim(logins_lost_under_load_surface_no_error, |token| {
        under_load(token, "C_DecryptInit %101 lose login");
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn finalising_under_load_surfaces_no_error() {
    on_shim(finalising_under_load_surfaces_no_error, |token| {
        under_load(token, "C_EncryptInit %51 lose finalize");
        assert!(restarts(&token.module) > 2);
    });
}

#[test]
fn whatever_is_lost_wherever_surfaces_no_error() {
    on_shim(whatever_is_lost_wherever_surfaces_no_error, |token| {
        let rules: Vec<String> = [
            "C_GetSessionInfo %1009 lose login",
            "C_GenerateRandom %211 lose sessions",
            "C_Encrypt %307 lose finalize",
            "C_FindObjectsInit %29 lose login",
            "C_FindObjects %31 lose sessions",
            "C_GetAttributeValue %401 lose finalize",
            "C_Decrypt %251 lose login",
        ]
        .map(str::to_owned)
        .to_vec();
        under_load(token, &rules.join("\n"));
    });
}

#[test]
fn what_is_lost_while_it_is_healed_is_had_again() {
    on_shim(what_is_lost_while_it_is_healed_is_had_again, |token| {
        let (hsm, wrapped) = with_root(token);
        for function in ["GetSessionInfo", "OpenSession", "GetTokenInfo", "GetSlotList", "Login"] {
            for nth in 1..=4 {
                for lost in ["sessions", "login", "finalize"] {
                    let rules =
                        format!("C_DecryptInit 1 lose finalize\nC_{function} {nth} lose {lost}\n");
                    token.rules(&rules);
                    assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()), "{rules}");
                }
            }
        }
    });
}

#[test]
fn a_token_that_is_moved_away_comes_back() {
    on_token(a_token_that_is_moved_away_comes_back, |token| {
        let (hsm, wrapped) = with_root(token);
        let (here, away) = (token.dir.join("tokens"), token.dir.join("elsewhere"));
        let done = AtomicBool::new(false);
        let errors = Mutex::new(Vec::new());
        let calls = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        calls.fetch_add(1, Ordering::Relaxed);
                        match hsm.unwrap(&wrapped, b"") {
                            Ok(opened) => assert_eq!(opened, key()),
                            Err(e) => errors.lock().unwrap().push(e),
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(200));
            std::fs::rename(&here, &away).unwrap();
            wait_until(Duration::from_secs(10), || is_unavailable(&hsm.unwrap(&wrapped, b"")));
            std::thread::sleep(Duration::from_millis(1500));
            std::fs::rename(&away, &here).unwrap();
            let healed =
                wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
            println!("healed {healed:?} after the token was back");
            std::thread::sleep(Duration::from_millis(100));
            done.store(true, Ordering::Relaxed);
        });
        let errors = errors.into_inner().unwrap();
        let others: Vec<_> =
            errors.iter().filter(|e| !matches!(e, HsmError::Unavailable(_))).collect();
        assert!(others.is_empty(), "{:?}", others.first());
        assert!(!errors.is_empty());
        // 50, 100, 200 … ms between attempts: no hot loop, however many call.
        let restarts = restarts(&token.module);
        println!("{} calls, {} errors, {restarts} restarts", calls.into_inner(), errors.len());
        assert!((1..=12).contains(&restarts), "{restarts} restarts");
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

/// SoftHSM says of a token whose files are gone that it is well and empty, also when they are back.
#[test]
fn a_token_whose_files_were_away_unnoticed_has_its_keys_again() {
    on_token(a_token_whose_files_were_away_unnoticed_has_its_keys_again, |token| {
        let (hsm, wrapped) = with_root(token);
        let tokens = token.dir.join("tokens");
        let mut all = std::fs::read_dir(&tokens).unwrap();
        let here = all.next().unwrap().unwrap().path();
        assert!(all.next().is_none());
        let away = token.dir.join("elsewhere");
        let check = || hsm.check_root_key(&root_id());
        for _ in 0..2 {
            assert_eq!(check(), Ok(()));
            std::fs::rename(&here, &away).unwrap();
            wait_until(Duration::from_secs(10), || check().is_err());
            let before = restarts(&token.module);
            for _ in 0..200 {
                let error = check().unwrap_err();
                let is_gone =
                    matches!(error, HsmError::Unavailable(_) | HsmError::NoSuchKey { .. });
                assert!(is_gone, "{error:?}");
            }
            assert!(restarts(&token.module) - before < 20);
            std::fs::rename(&away, &here).unwrap();
            wait_until(Duration::from_secs(10), || check() == Ok(()));
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        }
        // One that never was is no reason to restart anything.
        let before = restarts(&token.module);
        let never = RootKeyId::new("never");
        assert!(matches!(hsm.check_root_key(&never), Err(HsmError::NoSuchKey { .. })));
        assert_eq!(restarts(&token.module), before);
    });
}

#[test]
fn a_token_that_is_not_there_yet_is_seen_when_it_comes() {
    on_token(a_token_that_is_not_there_yet_is_seen_when_it_comes, |token| {
        let (here, away) = (token.dir.join("tokens"), token.dir.join("elsewhere"));
        let (hsm, wrapped) = with_root(token);
        drop(hsm);
        std::fs::rename(&here, &away).unwrap();
        std::fs::create_dir(&here).unwrap();
        let error = token.open_error(|_| {});
        assert!(matches!(error, HsmError::TokenNotInitialised { .. }), "{error:?}");
        std::fs::remove_dir_all(&here).unwrap();
        std::fs::rename(&away, &here).unwrap();
        assert_eq!(token.open().unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_token_out_of_its_slot_is_unavailable_until_it_is_back() {
    on_shim(a_token_out_of_its_slot_is_unavailable_until_it_is_back, |token| {
        let (hsm, wrapped) = with_root(token);
        token.rules("* * removed");
        for _ in 0..5 {
            let begun = now();
            let opened = hsm.unwrap(&wrapped, b"");
            assert!(is_unavailable(&opened), "{opened:?}");
            assert!(is_unavailable(&hsm.wrap(&root_id(), &key(), b"")));
            assert!(is_unavailable(&hsm.root_keys()));
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
        token.rules("");
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
        assert!(restarts(&token.module) < 8);
    });
}

#[test]
fn another_token_of_the_same_label_is_refused() {
    on_shim(another_token_of_the_same_label_is_refused, |token| {
        let (hsm, wrapped) = with_root(token);
        token.rules("C_GetTokenInfo * serial 0123456789abcdef\nC_Decrypt 1 lose sessions");
        let logins_before = logins(&token.module);
        let opened = hsm.unwrap(&wrapped, b"");
        assert!(matches!(opened, Err(HsmError::WrongToken { .. })), "{opened:?}");
        let said = opened.unwrap_err().to_string();
        assert!(said.contains("0123456789abcdef"), "{said}");
        // It is not given the PIN either.
        assert_eq!(logins(&token.module), logins_before);
        token.rules("");
        wait_until(Duration::from_secs(4), || hsm.unwrap(&wrapped, b"") == Ok(key()));
    });
}

#[test]
fn many_forgeries_do_not_wear_the_device_out() {
    on_token(many_forgeries_do_not_wear_the_device_out, |token| {
        let (hsm, wrapped) = with_root(token);
        for _ in 0..2000 {
            assert_eq!(hsm.unwrap(&wrapped, b"forged"), Err(HsmError::Authentication));
        }
        assert_eq!(hsm.unwrap(&wrapped, b"").unwrap(), key());
        assert_eq!(logins(&token.module), 1);
        assert_eq!(restarts(&token.module), 0);
    });
}

#[test]
fn sessions_are_used_again() {
    on_token(sessions_are_used_again, |token| {
        let (hsm, _) = with_root(token);
        // SoftHSM gives handles out in ascending order: the distance counts the sessions opened.
        let before = token.raw_session().handle();
        for _ in 0..100 {
            let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
            hsm.unwrap(&wrapped, b"").unwrap();
        }
        let opened = token.raw_session().handle() - before;
        assert!(opened < 5, "{opened} sessions for 200 calls");
    });
}
