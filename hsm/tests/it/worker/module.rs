//! A vendor's module at fault inside the helper: SoftHSM behind the module that injects faults.

use super::support::{helper, key, lives, root, unavailable};
use crate::timing::{MS, SOON, timed, wait_until};
use crate::token::support::{TestToken, on_shim};
use claviger_hsm::worker::OpenRequest;
use claviger_hsm::{
    Circuit, GuardConfig, Guarded, HelperConfig, HelperHsm, Hsm, HsmError, WrappedKey,
};
use std::sync::Arc;
use std::thread;

fn config() -> HelperConfig {
    let mut config = helper();
    config.deadline = 1000 * MS;
    config
}

fn start(token: &TestToken) -> (HelperHsm, WrappedKey) {
    let hsm = HelperHsm::start(config(), OpenRequest::Pkcs11(token.config())).unwrap();
    hsm.create_root_key(&root()).unwrap();
    let wrapped = hsm.wrap(&root(), &key(), b"aad").unwrap();
    (hsm, wrapped)
}

fn works_again(hsm: &dyn Hsm, wrapped: &WrappedKey) {
    let took = wait_until("it works again", || match hsm.unwrap(wrapped, b"aad") {
        Ok(opened) => {
            assert_eq!(opened, key());
            true
        }
        Err(HsmError::Unavailable(_)) => false,
        Err(other) => panic!("{other:?}"),
    });
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_module_that_ends_its_process_does_not_end_ours() {
    on_shim(a_module_that_ends_its_process_does_not_end_ours, |token| {
        let (hsm, wrapped) = start(token);
        let ways = [
            ("abort", "ended by signal 6"),
            ("exit 0", "exited with status 0"),
            ("exit 7", "exited with status 7"),
            ("segfault", "ended by signal 11"),
        ];
        for function in ["C_Decrypt", "C_DecryptInit", "C_GetSessionInfo"] {
            for (action, how) in ways {
                token.rules(&format!("{function} * {action}"));
                let pid = hsm.status().pid.unwrap();
                unavailable(hsm.unwrap(&wrapped, b"aad"), "");
                wait_until("it is dead", || !lives(pid));
                let said = hsm.status().last_end.unwrap();
                assert!(said.contains(how), "{function} {action}: {said}");
                token.rules("");
                works_again(&hsm, &wrapped);
            }
        }
    });
}

#[test]
fn a_module_that_hangs_costs_its_own_call_only() {
    on_shim(a_module_that_hangs_costs_its_own_call_only, |token| {
        let (hsm, wrapped) = start(token);
        thread::sleep(2100 * MS);
        let before = token.calls("C_DecryptInit");
        token.rules("C_Decrypt 1 hang");
        thread::scope(|scope| {
            let hung = scope.spawn(|| timed(|| hsm.unwrap(&wrapped, b"aad")));
            wait_until("it hangs", || token.calls("C_DecryptInit") > before);
            thread::sleep(50 * MS);
            // For the next helper, not for this one.
            token.rules("");
            // Nobody else notices: neither the hang nor the kill.
            while !hung.is_finished() {
                let ((), took) = timed(|| hsm.random(&mut [0; 16]).unwrap());
                assert!(took < SOON, "{took:?}");
            }
            let (result, took) = hung.join().unwrap();
            unavailable(result, "no answer within 1.0 s");
            assert!(took < SOON, "{took:?}");
        });
        works_again(&hsm, &wrapped);
    });
}

#[test]
fn a_module_that_hangs_at_its_start_or_login_does_not_hang_ours() {
    on_shim(a_module_that_hangs_at_its_start_or_login_does_not_hang_ours, |token| {
        for function in ["C_Initialize", "C_GetSlotList", "C_Login"] {
            token.rules(&format!("{function} * hang"));
            let mut config = config();
            config.start_deadline = 800 * MS;
            let device = OpenRequest::Pkcs11(token.config());
            let (result, took) = timed(|| HelperHsm::start(config, device));
            unavailable(result.map(drop), "no answer within 0.8 s");
            assert!(took < SOON, "{function}: {took:?}");
        }
        token.rules("");
        start(token);
    });
}

#[test]
fn a_module_that_hangs_at_its_end_does_not_keep_the_helper_alive() {
    on_shim(a_module_that_hangs_at_its_end_does_not_keep_the_helper_alive, |token| {
        let (hsm, _) = start(token);
        let pid = hsm.status().pid.unwrap();
        token.rules("C_Finalize * hang\nC_CloseSession * hang\nC_Logout * hang");
        let ((), took) = timed(|| drop(hsm));
        assert!(took < SOON, "{took:?}");
        assert!(!lives(pid));
    });
}

#[test]
fn a_module_that_prints_nothing_and_ends_well_is_finalised() {
    on_shim(a_module_that_prints_nothing_and_ends_well_is_finalised, |token| {
        let (hsm, _) = start(token);
        let before = token.calls("C_Finalize");
        let ((), took) = timed(|| drop(hsm));
        assert!(took < SOON, "{took:?}");
        assert_eq!(token.calls("C_Finalize"), before + 1);
    });
}

#[test]
fn every_start_logs_in_once() {
    on_shim(every_start_logs_in_once, |token| {
        let before = token.calls("C_Login");
        let (hsm, wrapped) = start(token);
        assert_eq!(token.calls("C_Login"), before + 1);
        for restarts in 1..=3 {
            super::support::signal("KILL", hsm.status().pid.unwrap());
            works_again(&hsm, &wrapped);
            for _ in 0..20 {
                hsm.unwrap(&wrapped, b"aad").unwrap();
            }
            assert_eq!(hsm.status().starts, 1 + restarts);
            let logins = u64::try_from(token.calls("C_Login") - before).unwrap();
            assert_eq!(logins, 1 + restarts);
        }
    });
}

#[test]
fn a_guard_around_it_stops_calls_to_a_module_that_hangs_and_finds_it_again() {
    on_shim(a_guard_around_it_stops_calls_to_a_module_that_hangs_and_finds_it_again, |token| {
        let (hsm, wrapped) = start(token);
        let guard = Guarded::new(Arc::new(hsm), GuardConfig::default()).unwrap();
        token.rules("* * hang");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (result, took) = timed(|| guard.unwrap(&wrapped, b"aad"));
                    unavailable(result, "");
                    assert!(took < SOON, "{took:?}");
                });
            }
        });
        wait_until("the circuit is open", || guard.status().circuit != Circuit::Closed);
        let (result, took) = timed(|| guard.unwrap(&wrapped, b"aad"));
        unavailable(result, "has not worked for");
        assert!(took < SOON, "{took:?}");
        token.rules("");
        // A probe may be starting a helper that hangs: that ends at the guard's deadline at the
        // latest for the probe, and at its own for the start.
        wait_until("the circuit is closed", || guard.status().circuit == Circuit::Closed);
        assert_eq!(guard.unwrap(&wrapped, b"aad"), Ok(key()));
        let health = guard.health().unwrap();
        let (seen, helper) = (health.guard.unwrap(), health.helper.unwrap());
        // It is the helper that times out: its deadline is shorter.
        assert!(seen.refused > 0 && seen.last_error.is_some(), "{seen:?}");
        assert!(helper.starts > 1 && helper.last_end.is_some(), "{helper:?}");
    });
}

#[test]
fn a_device_that_is_busy_is_not_taken_for_one_that_hangs() {
    on_shim(a_device_that_is_busy_is_not_taken_for_one_that_hangs, |token| {
        // One session for all: most calls wait for it inside the helper.
        let mut device = token.config();
        device.sessions = Some(1);
        let hsm = HelperHsm::start(config(), OpenRequest::Pkcs11(device)).unwrap();
        hsm.create_root_key(&root()).unwrap();
        let wrapped = hsm.wrap(&root(), &key(), b"aad").unwrap();
        token.rules("C_Decrypt * sleep 150");
        let results: Vec<_> = thread::scope(|scope| {
            let calls: Vec<_> =
                (0..12).map(|_| scope.spawn(|| hsm.unwrap(&wrapped, b"aad"))).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert!((2..12).contains(&done), "{done} done");
        for late in results.into_iter().filter(Result::is_err) {
            unavailable(late, "no answer within 1.0 s; its helper process is busy");
        }
        token.rules("");
        works_again(&hsm, &wrapped);
        assert_eq!(hsm.status().starts, 1, "a helper that works was killed");
    });
}
