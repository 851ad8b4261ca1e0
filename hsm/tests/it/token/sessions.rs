//! Sessions are few: the token's limit is kept, ours is kept, who waits is served in turn.

use super::recovery::key;
use super::support::{assert_says, logins, on_shim, root_id, wait_until};
use claviger_hsm::pkcs11::{Pkcs11Hsm, restarts};
use claviger_hsm::{Hsm, RootKeyId, suite};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn a_token_with_few_sessions_is_waited_for() {
    on_shim(a_token_with_few_sessions_is_waited_for, |token| {
        // The anchor, one to work with, one to make keys with: the token does not tell.
        token.rules("C_OpenSession * sessions 3");
        let hsm = token.open();
        suite::many_threads_may_call(&hsm);
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(logins(&token.module), 1);
        assert_eq!(restarts(&token.module), 0);
    });
}

/// The token says how many sessions it has, and has no more.
#[test]
fn the_tokens_limit_of_sessions_is_kept() {
    on_shim(the_tokens_limit_of_sessions_is_kept, |token| {
        for (most, at_once) in [(2, 1), (3, 1), (4, 2), (10, 8), (100, 16)] {
            token.rules(&format!(
                "C_GetTokenInfo * max-sessions {most}\nC_OpenSession * sessions {most}"
            ));
            let hsm = token.open();
            assert_eq!(hsm.calls_at_once(), Some(at_once), "{most}");
            hsm.create_root_key(&root_id()).unwrap();
            let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        for _ in 0..5 {
                            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
                        }
                    });
                }
                // Making keys takes a session, too.
                let other = RootKeyId::new("claviger/test/rk-d/beside");
                hsm.create_root_key(&other).unwrap();
                hsm.destroy_root_key(&other).unwrap();
            });
            assert!(hsm.report().unwrap().sessions.max == Some(most));
            hsm.destroy_root_key(&root_id()).unwrap();
        }
        token.rules("C_GetTokenInfo * max-sessions 1");
        let error = token.open_error(|_| {});
        assert_says(&error, &["has 1 sessions at most", "wanted 2 or more"]);
        assert_eq!(restarts(&token.module), 0);
    });
}

/// Who gives a session back and asks for the next waits behind those who wait already.
#[test]
fn sessions_are_lent_in_turn() {
    on_shim(sessions_are_lent_in_turn, |token| {
        let mut config = token.config();
        config.sessions = Some(1);
        let hsm = Pkcs11Hsm::open(config).unwrap();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        token.rules("C_Decrypt * sleep 5");
        let done = [(); 6].map(|()| AtomicUsize::new(0));
        let all = || done.iter().map(|count| count.load(Ordering::SeqCst));
        std::thread::scope(|scope| {
            for count in &done {
                let (hsm, wrapped) = (&hsm, &wrapped);
                scope.spawn(move || {
                    while count.load(Ordering::SeqCst) < 30 {
                        assert_eq!(hsm.unwrap(wrapped, b""), Ok(key()));
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            wait_until(Duration::from_secs(60), || all().min() >= Some(10));
            // Nobody was passed over: else the first would have ended before the last began.
            let (least, most) = (all().min().unwrap(), all().max().unwrap());
            assert!(most <= least + 10, "{done:?}");
        });
    });
}

#[test]
fn no_more_sessions_are_opened_than_were_allowed() {
    on_shim(no_more_sessions_are_opened_than_were_allowed, |token| {
        let mut config = token.config();
        config.sessions = Some(2);
        let hsm = Pkcs11Hsm::open(config).unwrap();
        let opened = || token.calls("C_OpenSession") - token.calls("C_CloseSession");
        let before = opened();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
                    }
                });
            }
        });
        assert!(opened() <= before + 2, "{} more", opened() - before);
    });
}

/// A module is for the whole process: it is started once, whoever opens it how often.
#[test]
fn a_module_is_initialised_once() {
    on_shim(a_module_is_initialised_once, |token| {
        let opened = std::thread::scope(|scope| {
            let opening = [(); 8].map(|()| scope.spawn(|| token.open()));
            opening.map(|one| one.join().unwrap())
        });
        opened[0].create_root_key(&root_id()).unwrap();
        for hsm in &opened {
            hsm.check_root_key(&root_id()).unwrap();
        }
        let known = || 1 + usize::try_from(restarts(&token.module)).unwrap();
        assert_eq!((token.calls("C_Initialize"), logins(&token.module)), (known(), 1));
        // And again only after it was finalised.
        token.rules("C_DecryptInit 1 return 0x190");
        opened[1].check_root_key(&root_id()).unwrap();
        token.rules("");
        assert_eq!(restarts(&token.module), 1);
        assert_eq!((token.calls("C_Initialize"), token.calls("C_Finalize")), (2, 1));
        drop(opened);
        assert_eq!(token.open().root_keys().unwrap(), [root_id()]);
        assert_eq!(token.calls("C_Initialize"), 2);
    });
}
