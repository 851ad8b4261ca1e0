//! The helper with SoftHSM in it: kills under load, PINs, roots and tokens that are exchanged.

use super::support::{helper, key, signal, unavailable};
use crate::timing::{MS, SOON, Stop, timed, wait_until};
use crate::token::support::{LABEL, PIN, SO_PIN, TestToken, on_shim, on_token, pin};
use claviger_hsm::pkcs11::PinSource;
use claviger_hsm::worker::OpenRequest;
use claviger_hsm::{
    GuardConfig, Guarded, HelperConfig, HelperHsm, Hsm, HsmError, KeyBytes, RootKeyId, suite,
};
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

fn root() -> RootKeyId {
    RootKeyId::new("claviger/test/rk-d/1")
}

fn start(token: &TestToken) -> HelperHsm {
    HelperHsm::start(helper(), OpenRequest::Pkcs11(token.config())).unwrap()
}

fn kill(hsm: &HelperHsm) {
    if let Some(pid) = hsm.status().pid {
        signal("KILL", pid);
        wait_until("its end is noticed", || hsm.status().pid != Some(pid));
    }
}

/// Longer than the back-off, so that the next helper is started at once.
fn live_long() {
    thread::sleep(2100 * MS);
}

#[test]
fn passes_the_suite() {
    on_token(passes_the_suite, |token| suite::all(&start(token)));
}

#[test]
fn its_resident_keys_pass_the_suite() {
    on_token(its_resident_keys_pass_the_suite, |token| {
        let mut config = helper();
        // RSA keys are made by trial and error, here without any optimisation.
        config.slow_deadline = 120_000 * MS;
        let device = OpenRequest::Pkcs11(token.config());
        suite::resident::all(&HelperHsm::start(config, device).unwrap());
    });
}

#[test]
fn passes_the_suite_behind_a_guard() {
    on_token(passes_the_suite_behind_a_guard, |token| {
        suite::all(&Guarded::new(Arc::new(start(token)), GuardConfig::default()).unwrap());
    });
}

#[test]
fn the_tokens_report_arrives_as_it_is() {
    on_shim(the_tokens_report_arrives_as_it_is, |token| {
        let hsm = start(token);
        hsm.create_root_key(&root()).unwrap();
        let report = hsm.token_report().unwrap().unwrap();
        let guard = Guarded::new(Arc::new(start(token)), GuardConfig::default()).unwrap();
        let mut other = guard.token_report().unwrap().unwrap();
        other.sessions = report.sessions.clone();
        assert_eq!(other, report);
        let direct = token.open().token_report().unwrap().unwrap();
        other.sessions = direct.sessions.clone();
        // SoftHSM numbers slots anew when it starts.
        (other.slot, other.slot_description) = (direct.slot, direct.slot_description.clone());
        assert_eq!(other, direct);
        assert_eq!(report.aes_keys.len(), 1);
        assert!(
            report.mechanisms.len() > 30 && report.wrap.is_ok() && report.enforcement.is_some()
        );
        assert_eq!((hsm.calls_at_once(), guard.calls_at_once()), (Some(16), Some(16)));
        // What ends the library's process over it is an error, and no end of ours.
        token.rules("C_GetInfo * abort");
        unavailable(hsm.token_report(), "ended by signal 6");
        token.rules("");
        wait_until("it works again", || hsm.token_report().is_ok());
        // A device that is no token has none.
        let software = HelperHsm::start(helper(), super::support::software()).unwrap();
        assert_eq!(software.token_report(), Ok(None));
        assert_eq!(software.calls_at_once(), None);
    });
}

#[test]
fn the_devices_own_errors_arrive_as_they_are() {
    on_token(the_devices_own_errors_arrive_as_they_are, |token| {
        let error = |change: fn(&mut claviger_hsm::Pkcs11Config)| {
            let mut config = token.config();
            change(&mut config);
            HelperHsm::start(helper(), OpenRequest::Pkcs11(config)).unwrap_err()
        };
        let found = error(|config| config.token_label = "elsewhere".into());
        assert!(matches!(found, HsmError::NoSuchToken { .. }), "{found:?}");
        assert!(found.to_string().contains(&format!("{LABEL:?} in slot")), "{found}");
        let found = error(|config| config.module = "/no/such/module.so".into());
        assert!(matches!(found, HsmError::ModuleMissing { .. }), "{found:?}");
        let found = error(|config| config.pin = pin("wrong-horse-7").into());
        assert!(matches!(found, HsmError::WrongPin { .. }), "{found:?}");
        assert!(!found.to_string().contains("wrong-horse"));
    });
}

#[test]
fn no_answer_is_wrong_while_it_is_killed_under_load() {
    on_token(no_answer_is_wrong_while_it_is_killed_under_load, |token| {
        let hsm = start(token);
        hsm.create_root_key(&root()).unwrap();
        let (stop, done, failed) =
            (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..4_u8 {
                let (hsm, stop, done, failed) = (&hsm, &stop, &done, &failed);
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let key = KeyBytes::new(vec![thread; 32]);
                        let result = hsm
                            .wrap(&root(), &key, &[thread])
                            .and_then(|wrapped| hsm.unwrap(&wrapped, &[thread]));
                        match result {
                            Ok(opened) => {
                                assert_eq!(opened, key);
                                done.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(HsmError::Unavailable(_)) => {
                                failed.fetch_add(1, Ordering::SeqCst);
                                thread::sleep(MS);
                            }
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                });
            }
            let _stop = Stop(&stop);
            for round in 0..8 {
                let before = done.load(Ordering::SeqCst);
                wait_until("calls go through", || done.load(Ordering::SeqCst) > before + 20);
                // Now and then after a life that is long enough to be replaced at once.
                if round == 4 {
                    live_long();
                }
                signal("KILL", hsm.status().pid.unwrap_or_else(|| panic!("{:?}", hsm.status())));
            }
            let took = wait_until("it works again", || hsm.probe().is_ok());
            assert!(took < SOON, "{took:?}");
            let before = done.load(Ordering::SeqCst);
            wait_until("calls go through", || done.load(Ordering::SeqCst) > before + 20);
        });
        println!("{done:?} done, {failed:?} unavailable, {:?}", hsm.status());
        assert!(hsm.status().starts >= 8, "{:?}", hsm.status());
        assert!(done.load(Ordering::SeqCst) > 200, "{done:?}");
    });
}

#[test]
fn a_root_key_that_was_replaced_meanwhile_is_refused() {
    on_token(a_root_key_that_was_replaced_meanwhile_is_refused, |token| {
        let hsm = start(token);
        let other = RootKeyId::new("claviger/test/rk-d/2");
        for id in [&root(), &other] {
            hsm.create_root_key(id).unwrap();
        }
        let wrapped = hsm.wrap(&root(), &key(), b"").unwrap();
        hsm.wrap(&other, &key(), b"").unwrap();
        live_long();
        kill(&hsm);
        // Somebody puts another key in its place.
        let session = token.raw_session();
        let label = [Attribute::Label(root().as_str().into())];
        for object in session.find_objects(&label).unwrap() {
            session.destroy_object(object).unwrap();
        }
        token.open().create_root_key(&root()).unwrap();
        for _ in 0..2 {
            let refused = hsm.wrap(&root(), &key(), b"").unwrap_err();
            assert!(matches!(refused, HsmError::WrongRootKey { .. }), "{refused:?}");
            let refused = hsm.unwrap(&wrapped, b"").unwrap_err();
            assert!(matches!(refused, HsmError::WrongRootKey { .. }), "{refused:?}");
            let refused = hsm.check_root_key(&root()).unwrap_err();
            assert!(matches!(refused, HsmError::WrongRootKey { .. }), "{refused:?}");
        }
        // The other one is not affected.
        hsm.check_root_key(&other).unwrap();
        let wrapped = hsm.wrap(&other, &key(), b"").unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_root_key_that_is_gone_meanwhile_is_absent_until_it_is_made() {
    on_token(a_root_key_that_is_gone_meanwhile_is_absent_until_it_is_made, |token| {
        let hsm = start(token);
        hsm.create_root_key(&root()).unwrap();
        live_long();
        kill(&hsm);
        let session = token.raw_session();
        let label = [Attribute::Label(root().as_str().into())];
        for object in session.find_objects(&label).unwrap() {
            session.destroy_object(object).unwrap();
        }
        let absent = hsm.wrap(&root(), &key(), b"").unwrap_err();
        assert!(matches!(absent, HsmError::NoSuchKey { .. }), "{absent:?}");
        // Made anew on purpose, it is the one from now on.
        hsm.create_root_key(&root()).unwrap();
        let wrapped = hsm.wrap(&root(), &key(), b"").unwrap();
        live_long();
        kill(&hsm);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn another_token_of_the_same_label_is_refused() {
    on_token(another_token_of_the_same_label_is_refused, |token| {
        let hsm = start(token);
        hsm.create_root_key(&root()).unwrap();
        let wrapped = hsm.wrap(&root(), &key(), b"").unwrap();
        live_long();
        kill(&hsm);
        let (tokens, aside) = (token.dir.join("tokens"), token.dir.join("aside"));
        std::fs::rename(&tokens, &aside).unwrap();
        std::fs::create_dir(&tokens).unwrap();
        // By another process: this one's module has seen the old token.
        let tool = std::process::Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", LABEL, "--so-pin", SO_PIN, "--pin", PIN])
            .output()
            .unwrap();
        assert!(tool.status.success(), "{tool:?}");
        let refused = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(refused, HsmError::WrongToken { .. }), "{refused:?}");
        // And no further harm is done when the right one is back.
        std::fs::remove_dir_all(&tokens).unwrap();
        std::fs::rename(&aside, &tokens).unwrap();
        wait_until("it works again", || hsm.unwrap(&wrapped, b"") == Ok(key()));
    });
}

/// The helper by way of a script that counts its starts.
fn counted(dir: &Path) -> (HelperConfig, PathBuf) {
    let mut config = helper();
    let starts = dir.join("starts");
    let program = config.program.display().to_string();
    let script = format!("echo start >> {}; exec {program}", starts.display());
    config.program = "/bin/sh".into();
    config.args = vec!["-c".into(), script.into()];
    (config, starts)
}

fn write_pin(path: &Path, text: &str) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

#[test]
fn a_refused_pin_is_not_tried_by_another_helper() {
    on_token(a_refused_pin_is_not_tried_by_another_helper, |token| {
        let path = token.dir.join("pin");
        write_pin(&path, PIN);
        let (program, starts) = counted(&token.dir);
        let mut config = token.config();
        config.pin = PinSource::File(path.clone());
        let hsm = HelperHsm::start(program, OpenRequest::Pkcs11(config)).unwrap();
        hsm.create_root_key(&root()).unwrap();
        let wrapped = hsm.wrap(&root(), &key(), b"").unwrap();
        live_long();
        // Somebody changes the token's PIN, then the helper ends.
        let session = token.raw().open_rw_session(token.raw_slot()).unwrap();
        session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
        let new = AuthPin::new("other-horse-9".into());
        session.set_pin(&AuthPin::new(PIN.into()), &new).unwrap();
        kill(&hsm);
        let started = || std::fs::read_to_string(&starts).unwrap().lines().count();
        assert_eq!(started(), 1);
        let refused = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(refused, HsmError::WrongPin { .. }), "{refused:?}");
        assert_eq!(started(), 2);
        // However often it is asked, for longer than any back-off: no helper tries it again.
        for _ in 0..50 {
            assert!(hsm.unwrap(&wrapped, b"").is_err());
            thread::sleep(50 * MS);
        }
        let refused = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(
            matches!(refused, HsmError::WrongPin { .. } | HsmError::Unavailable(_)),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("wrong PIN"), "{refused}");
        assert_eq!(started(), 2, "a refused PIN was tried again");
        // Until the operator says the right one.
        write_pin(&path, "other-horse-9\n");
        wait_until("it works again", || hsm.unwrap(&wrapped, b"") == Ok(key()));
        assert_eq!(started(), 3);
    });
}

#[test]
fn many_helpers_leave_nothing_behind() {
    // In a process of its own, so that nobody else opens and closes anything.
    on_token(many_helpers_leave_nothing_behind, |_| {
        let hsm = HelperHsm::start(helper(), super::support::software()).unwrap();
        let count = |of: &str| std::fs::read_dir(format!("/proc/self/{of}")).unwrap().count();
        let before = (count("fd"), count("task"));
        for _ in 0..6 {
            kill(&hsm);
            wait_until("there is another", || hsm.probe().is_ok());
        }
        wait_until("all is as it was", || (count("fd"), count("task")) == before);
        assert_eq!(hsm.status().starts, 7);
        drop(hsm);
        // A thread that was joined stays in the list until the system has put it away.
        wait_until("nothing is left", || {
            (count("fd"), count("task")) == (before.0 - 2, before.1 - 1)
        });
    });
}

#[test]
fn the_pin_is_nowhere_to_be_seen() {
    on_token(the_pin_is_nowhere_to_be_seen, |token| {
        let hsm = start(token);
        let pid = hsm.status().pid.unwrap();
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&bytes).contains(PIN), "the PIN is in {file}");
        }
        let printed =
            format!("{hsm:?} {:?} {:?}", hsm.status(), OpenRequest::Pkcs11(token.config()));
        assert!(!printed.contains(PIN), "{printed}");
    });
}

#[test]
fn a_guard_around_it_recovers_by_itself() {
    on_token(a_guard_around_it_recovers_by_itself, |token| {
        let helper = Arc::new(start(token));
        let guard = Guarded::new(Arc::<HelperHsm>::clone(&helper), GuardConfig::default()).unwrap();
        guard.create_root_key(&root()).unwrap();
        let wrapped = guard.wrap(&root(), &key(), b"").unwrap();
        // The token is away: the helper cannot open it again.
        let (tokens, aside) = (token.dir.join("tokens"), token.dir.join("aside"));
        std::fs::rename(&tokens, &aside).unwrap();
        kill(&helper);
        wait_until("the circuit opens", || {
            guard.unwrap(&wrapped, b"").is_err()
                && guard.status().circuit != claviger_hsm::Circuit::Closed
        });
        let (result, took) = timed(|| guard.unwrap(&wrapped, b""));
        unavailable(result, "has not worked for");
        assert!(took < SOON, "{took:?}");
        std::fs::rename(&aside, &tokens).unwrap();
        // Nobody calls: the guard's own probes find it.
        let took = wait_until("the circuit closes", || {
            guard.status().circuit == claviger_hsm::Circuit::Closed
        });
        assert!(took < SOON, "{took:?}");
        assert_eq!(guard.unwrap(&wrapped, b""), Ok(key()));
    });
}

/// The helper ends while it destroys: the next one ends the work.
#[test]
fn a_root_key_is_destroyed_although_the_module_crashes_over_it() {
    on_shim(a_root_key_is_destroyed_although_the_module_crashes_over_it, |token| {
        let hsm = start(token);
        for (round, when) in ["C_DestroyObject 1", "C_FindObjectsInit 20"].into_iter().enumerate() {
            hsm.create_root_key(&root()).unwrap();
            hsm.wrap(&root(), &key(), b"").unwrap();
            live_long();
            token.rules(&format!("{when} abort"));
            let pid = hsm.status().pid;
            // Each helper counts calls from one: the rule would end every one of them.
            let rules = thread::scope(|scope| {
                scope.spawn(|| {
                    wait_until("the helper ends", || hsm.status().pid != pid);
                    token.rules("");
                });
                hsm.destroy_root_key(&root())
            });
            println!("round {round}: {rules:?}");
            wait_until("it is destroyed", || hsm.destroy_root_key(&root()) == Ok(()));
            let gone = hsm.wrap(&root(), &key(), b"").unwrap_err();
            assert!(matches!(gone, HsmError::NoSuchKey { .. }), "{gone:?}");
            let label = [Attribute::Label(root().as_str().into())];
            assert!(token.raw_session().find_objects(&label).unwrap().is_empty());
        }
        assert_eq!(hsm.status().starts, 3, "{:?}", hsm.status());
    });
}
