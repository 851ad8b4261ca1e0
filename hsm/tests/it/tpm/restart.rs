//! A TPM that goes away and comes back: power cut, restart, restart with us half way.

use super::support::{AUTH, Swtpm, assert_says, auth, key, on_swtpm, root_id};
use claviger_hsm::{Hsm, HsmError};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "measures elapsed time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_key_opens_after_a_power_cut() {
    on_swtpm(a_key_opens_after_a_power_cut, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"aad").unwrap();
        let info = hsm.info();
        tpm.kill();
        tpm.start_again();
        // The same device object, without being told; then a new one.
        assert_eq!(hsm.unwrap(&wrapped, b"aad"), Ok(key()));
        assert_eq!(hsm.check_root_key(&root_id()), Ok(()));
        drop(hsm);
        let hsm = tpm.open();
        assert_eq!(hsm.info(), info);
        assert_eq!(hsm.root_keys().unwrap(), [root_id()]);
        assert_eq!(hsm.unwrap(&wrapped, b"aad"), Ok(key()));
    });
}

#[test]
fn a_call_waits_for_a_restart_and_later_calls_fail_fast() {
    on_swtpm(a_call_waits_for_a_restart_and_later_calls_fail_fast, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        tpm.kill();
        let began = now();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| hsm.unwrap(&wrapped, b""));
            std::thread::sleep(Duration::from_millis(400));
            tpm.start_again();
            assert_eq!(call.join().unwrap(), Ok(key()));
        });
        assert!(began.elapsed() >= Duration::from_millis(400));

        tpm.kill();
        let began = now();
        let error = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
        assert_says(&error, &["no connection to the TPM"]);
        assert!((2..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        let began = now();
        for _ in 0..20 {
            let error = hsm.unwrap(&wrapped, b"").unwrap_err();
            assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
            assert!(matches!(hsm.probe(), Err(HsmError::Unavailable(_))));
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        tpm.start_again();
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_tpm_that_is_away_does_not_open() {
    on_swtpm(a_tpm_that_is_away_does_not_open, |tpm| {
        tpm.kill();
        let error = claviger_hsm::TpmHsm::open(tpm.config()).unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
        let mut config = tpm.config();
        config.tcti = "device:/dev/no-such-tpm".parse().unwrap();
        let error = claviger_hsm::TpmHsm::open(config).unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
    });
}

/// Four threads work while the TPM is killed and started again, time after time: an answer is right
/// or an error that says that the TPM is away.
#[test]
fn kills_under_load_give_no_wrong_answer() {
    on_swtpm(kills_under_load_give_no_wrong_answer, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let (stop, right) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        match hsm.unwrap(&wrapped, b"") {
                            Ok(opened) => assert_eq!(opened, key()),
                            Err(HsmError::Unavailable(_)) => continue,
                            Err(other) => panic!("{other:?}"),
                        }
                        assert_eq!(hsm.unwrap(&wrapped, b"x").ok(), None);
                        right.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let went_well = (0..8).all(|_| {
                // Something has to go well between two power cuts.
                let (before, began) = (right.load(Ordering::Relaxed), now());
                while right.load(Ordering::Relaxed) < before + 2 {
                    if began.elapsed() > Duration::from_secs(60) {
                        return false;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                tpm.kill();
                tpm.start_again();
                true
            });
            stop.store(true, Ordering::Relaxed);
            assert!(went_well, "nothing works any more");
        });
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(hsm.report().unwrap().transient_objects, [""; 0]);
    });
}

/// The TPM is reset, as by the reset line of its chip: swtpm's control command CMD_INIT.
fn reset(tpm: &Swtpm) {
    let mut control = TcpStream::connect(("127.0.0.1", tpm.port + 1)).unwrap();
    control.write_all(&[0, 0, 0, 2, 0, 0, 0, 0]).unwrap();
    let mut answer = [0xff; 4];
    control.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0; 4]);
}

/// The machine restarts, but nobody has started the TPM up yet: said so, and healed when it is.
#[test]
fn a_tpm_that_was_not_started_up_says_so() {
    on_swtpm(a_tpm_that_was_not_started_up_says_so, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        reset(tpm);
        let error = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
        assert_says(&error, &["the TPM was not started up (TPM2_Startup)"]);
        tpm.tool("tpm2_startup", &["-c"]);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

/// A power cut after a protected object was used counts as a wrong attempt, by the TPM's rules. We
/// do not add to it.
#[test]
fn power_cuts_are_counted_by_the_tpm_and_shown() {
    on_swtpm(power_cuts_are_counted_by_the_tpm_and_shown, |tpm| {
        let open = || tpm.open_with(|config| config.auth = auth(AUTH));
        let hsm = open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        for cuts in 0..2 {
            let counter = hsm.report().unwrap().lockout.unwrap().counter;
            assert!(counter <= cuts, "{counter} after {cuts} power cuts");
            tpm.kill();
            tpm.start_again();
        }
        // One of three is left at most: not tried, and the way out is named.
        let lockout = hsm.report().unwrap().lockout.unwrap();
        match hsm.unwrap(&wrapped, b"") {
            Ok(opened) => assert_eq!((opened, lockout.counter < 2), (key(), true)),
            Err(error) => {
                assert!(matches!(error, HsmError::PinFinalTry { .. }), "{error:?}");
                assert_says(&error, &["2 of 3 wrong attempts", "tpm2_dictionarylockout"]);
            }
        }
        assert_eq!(hsm.report().unwrap().lockout.unwrap(), lockout);
        tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}
