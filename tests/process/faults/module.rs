//! A vendor's library that fails in every way there is.
use super::support::{Faulty, HELLO, Job, Keys, crowd, make_key, ready, serve_with_helper};
use crate::client::{Client, Failed};
use crate::harness::{machine, now};
use crate::roots::helper::helpers;
use crate::setup::Deployment;
use cryptoki::error::{Rv, RvError};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use std::time::Duration;

/// Every return value of PKCS#11 3.0, some of 3.2, a hole in the list, a vendor's.
fn codes() -> Vec<u64> {
    let is_known =
        |code: &u64| !matches!(Rv::from(*code), Rv::Error(RvError::UnknownErrorCode(_)) | Rv::Ok);
    let mut codes: Vec<u64> = (1..0x400).filter(is_known).collect();
    codes.extend([0x42, 0x201, 0x202, 0x203, 0x204, 0x209, 0x3ff, 0x8000_0000, 0x8000_0123]);
    assert!(codes.len() > 100, "{}", codes.len());
    codes
}

/// CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_AEAD_DECRYPT_FAILED: of C_Decrypt they
/// say that the ciphertext is bad.
fn says_forged(function: &str, code: u64) -> bool {
    function == "Decrypt" && matches!(code, 0x40..=0x42)
}

/// What clients may be told of a key in a device that fails.
fn in_words(failed: &Failed) -> bool {
    matches!(failed.code(), "KMSInvalidStateException" | "UnsupportedOperationException")
}

/// The same answer of a function once, or always.
fn each(faulty: &Faulty, functions: &[&str], mut ask: impl FnMut(&str, u64) -> Result<(), Failed>) {
    let (mut done, mut refused) = (0, 0);
    for function in functions {
        for code in codes() {
            faulty.rules(&format!("C_{function} 1 return {code:#x}"));
            match ask(function, code) {
                Ok(()) => done += 1,
                Err(_) => refused += 1,
            }
        }
    }
    faulty.rules("");
    eprintln!("{functions:?}: {done} were healed unseen, {refused} were refused");
    // More than sessions and logins, which are but some of the codes.
    assert!(done > functions.len() * 20, "hardly any is healed");
}

#[test]
fn every_code_of_the_module_is_an_answer_of_aws_and_the_next_call_works() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let mut client = faulty.deployment.client(&process);
    let keys = Keys::new(&mut client);
    each(&faulty, &["EncryptInit", "Encrypt"], |_, code| {
        let outcome = client.kms("Encrypt", json!({"KeyId": keys.inside, "Plaintext": HELLO}));
        faulty.rules("");
        if let Err(failed) = &outcome {
            assert!(in_words(failed), "{code:#x}: {failed}");
        }
        keys.works(&mut client);
        outcome.map(|_| ())
    });
    each(&faulty, &["DecryptInit", "Decrypt"], |function, code| {
        let outcome = keys.open_inside(&mut client);
        faulty.rules("");
        match &outcome {
            Ok(opened) => assert_eq!(opened, HELLO, "{code:#x}: a wrong plaintext"),
            // It must never be told of a good ciphertext, unless the device itself says so.
            Err(failed) if failed.code() == "InvalidCiphertextException" => {
                assert!(says_forged(function, code), "C_{function} {code:#x}: {failed}");
            }
            Err(failed) => assert!(in_words(failed), "{code:#x}: {failed}"),
        }
        keys.works(&mut client);
        outcome.map(|_| ())
    });
}

#[test]
fn every_code_while_a_key_is_made_is_an_answer_of_aws() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let mut client = faulty.deployment.client(&process);
    let keys = Keys::new(&mut client);
    each(&faulty, &["GenerateRandom"], |_, code| {
        let outcome = make_key(&mut client);
        if let Err(failed) = &outcome {
            let words = ["DependencyTimeoutException", "KMSInternalException"];
            assert!(words.contains(&failed.code()), "{code:#x}: {failed}");
        }
        faulty.rules("");
        outcome
    });
    keys.works(&mut client);
    // What the device does not do at all is said so, and nothing is left behind.
    let before = client.kms("ListKeys", json!({})).unwrap()["Keys"].as_array().unwrap().len();
    for code in [0x5, 0x30, 0x31, 0x82, 0xb3, 0xe0, 0x101] {
        faulty.rules(&format!("C_GenerateKey 1 return {code:#x}"));
        let made = inside(&mut client, &keys);
        assert_eq!(made.unwrap_err().code(), "CustomKeyStoreInvalidStateException", "{code:#x}");
    }
    faulty.rules("");
    let after = client.kms("ListKeys", json!({})).unwrap()["Keys"].as_array().unwrap().len();
    assert_eq!(before, after);
    inside(&mut client, &keys).unwrap();
}

fn inside(client: &mut Client, keys: &Keys) -> Result<String, Failed> {
    crate::resident::create(client, &keys.store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
}

#[test]
fn a_module_that_lies_about_lengths_is_not_believed() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let mut client = faulty.deployment.client(&process);
    let keys = Keys::new(&mut client);
    let mut lies = 0;
    for function in ["C_Encrypt", "C_Decrypt"] {
        for lie in ["-1", "+1", "+16", "0", "0x10000", "0x7fffffffffffffff", "0xffffffffffffffff"] {
            faulty.rules(&format!("{function} 1 length {lie}"));
            // Asked once more it tells the truth, and what it gives then is looked at.
            if let Err(refused) = keys.use_inside(&mut client) {
                assert!(in_words(&refused), "{function} {lie}: {refused}");
                lies += 1;
            }
            faulty.rules("");
            keys.works(&mut client);
        }
    }
    assert!(lies > 3, "hardly any was noticed");
}

#[test]
fn a_module_that_hangs_costs_its_own_callers_a_deadline_and_nobody_else() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    let inside = |client: &mut Client| keys.use_inside(client);
    let here = |client: &mut Client| keys.use_here(client);
    let jobs =
        [Job("inside", &inside), Job("inside", &inside), Job("here", &here), Job("here", &here)];
    let seen = crowd(&faulty.deployment, &process, &jobs, |seen| {
        seen.wait("inside", "OK", 5);
        faulty.rules("C_EncryptInit * hang");
        // The first ones wait for the deadline; then the circuit is open, and they are told at once.
        seen.wait("inside", "KMSInvalidStateException", 40);
        seen.wait("here", "OK", 50);
        faulty.rules("");
        seen.wait("inside", "OK", 20);
    });
    seen.only("here", &["OK"]);
    seen.only("inside", &["OK", "KMSInvalidStateException"]);
    // The calls that hang do not keep it from stopping.
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn a_module_that_crashes_in_the_servers_process_ends_it_and_loses_nothing() {
    let faulty = Faulty::new();
    let mut process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    for how in ["abort", "segfault", "exit 0"] {
        faulty.rules(&format!("C_EncryptInit 1 {how}"));
        let mut client = faulty.deployment.client(&process);
        let failed = keys.use_inside(&mut client).unwrap_err();
        assert_eq!(failed.code(), "lost", "{how}: {failed}");
        let began = now();
        while process.is_alive() {
            assert!(began.elapsed() < Duration::from_secs(20), "{how}: it lives");
            std::thread::sleep(Duration::from_millis(10));
        }
        faulty.rules("");
        process = faulty.serve();
        keys.works(&mut faulty.deployment.client(&process));
    }
}

#[test]
fn a_helper_that_crashes_fails_the_calls_inside_it_and_is_started_again() {
    let _busy = machine(false);
    let deployment = Deployment::new(true);
    let process = serve_with_helper(&deployment);
    let keys = Keys::new(&mut deployment.client(&process));
    let inside = |client: &mut Client| keys.use_inside(client);
    let here = |client: &mut Client| keys.use_here(client);
    let jobs = [
        Job("inside", &inside),
        Job("inside", &inside),
        Job("here", &here),
        Job("make", &make_key),
    ];
    let seen = crowd(&deployment, &process, &jobs, |seen| {
        for signal in [Signal::SEGV, Signal::ABORT, Signal::KILL] {
            seen.wait("inside", "OK", 20);
            for helper in helpers(&process) {
                // It may have ended by itself just now.
                let _ = kill_process(helper, signal);
            }
            seen.wait("inside", "OK", 20);
            seen.wait("make", "OK", 2);
        }
    });
    seen.only("here", &["OK"]);
    seen.only("inside", &["OK", "KMSInvalidStateException"]);
    seen.only("make", &["OK", "DependencyTimeoutException"]);
    assert_eq!(ready(&process).0, 200);
    assert_eq!(process.stop().status.code(), Some(0));
}
