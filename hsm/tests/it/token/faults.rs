//! Faults of a module, injected one by one: never a wrong plaintext, never a panic, never a call
//! that does not come back, each classified as the one table says, and the device works again
//! afterwards.

use super::recovery::{is_unavailable, key, with_root};
use super::support::{TestToken, logins, now, on_shim, pin, root_id, wait_until};
use claviger_hsm::pkcs11::{Class, Pkcs11Hsm, class, restarts};
use claviger_hsm::{Hsm, HsmError, KeyBytes, Mechanism, RootKeyId, WrappedKey, suite};
use cryptoki::error::{Rv, RvError};
use std::time::Duration;

/// Longer than any pause between two attempts to heal, and what they take.
const HEALS_WITHIN: Duration = Duration::from_secs(5);
/// Longer than anyone waits for a session or at the gate.
const DEADLINE: Duration = Duration::from_secs(12);

/// Every return value of PKCS#11 3.0, some of 3.2, a hole in the list, a vendor's.
pub fn codes() -> Vec<u64> {
    let is_known =
        |code: &u64| !matches!(Rv::from(*code), Rv::Error(RvError::UnknownErrorCode(_)) | Rv::Ok);
    let mut codes: Vec<u64> = (1..0x400).filter(is_known).collect();
    codes.extend([0x42, 0x201, 0x202, 0x203, 0x204, 0x209, 0x3ff, 0x8000_0000, 0x8000_0123]);
    assert!(codes.len() > 100, "{}", codes.len());
    codes
}

/// What a case asks of the device.
#[derive(Debug)]
pub struct Asked {
    pub good: Result<KeyBytes, HsmError>,
    forged: Result<KeyBytes, HsmError>,
    made: Result<WrappedKey, HsmError>,
    pub checked: Result<(), HsmError>,
    random: Result<(), HsmError>,
}

/// Asks under a rule, then takes the rule away and sees that the device works.
pub fn ask(token: &TestToken, hsm: &Pkcs11Hsm, wrapped: &WrappedKey, rules: &str) -> Asked {
    let begun = now();
    let with = |rules: &str| token.rules(rules);
    let mut forgery = wrapped.clone();
    // In what the device itself has to open, in either format.
    forgery.bytes[6] ^= 1;
    // The rule anew for each, as its calls are counted from when it was set.
    with(&format!("{rules}\n# good"));
    let good = hsm.unwrap(wrapped, b"");
    with(&format!("{rules}\n# forged"));
    let forged = hsm.unwrap(&forgery, b"");
    with(&format!("{rules}\n# wrap"));
    let made = hsm.wrap(&root_id(), &key(), b"made");
    with(&format!("{rules}\n# check"));
    let checked = hsm.check_root_key(&root_id());
    with(&format!("{rules}\n# random"));
    let random = hsm.random(&mut [0; 16]);
    with("");
    let took = begun.elapsed();
    assert!(took < DEADLINE, "{rules}: {took:?}");

    let asked = Asked { good, forged, made, checked, random };
    if let Ok(opened) = &asked.good {
        assert_eq!(*opened, key(), "{rules}: a wrong plaintext");
    }
    assert!(asked.forged.is_err(), "{rules}: a forgery was opened");
    wait_until(HEALS_WITHIN, || hsm.unwrap(wrapped, b"") == Ok(key()));
    if let Ok(made) = &asked.made {
        assert_eq!(hsm.unwrap(made, b"made"), Ok(key()), "{rules}: what was wrapped does not open");
    }
    assert_eq!(hsm.unwrap(&forgery, b""), Err(HsmError::Authentication), "{rules}");
    asked
}

/// Whether a return value says of what is opened that it is bad, and nothing else.
fn says_forged(function: &str, code: u64) -> bool {
    match function {
        "Decrypt" => matches!(code, 0x40..=0x42),
        "UnwrapKey" => matches!(code, 0x40..=0x42 | 0x110 | 0x112),
        _ => false,
    }
}

/// A device whose root key wraps in this way, and a key wrapped under it.
pub fn with_root_for(token: &TestToken, wrap: Mechanism) -> (Pkcs11Hsm, WrappedKey) {
    let mut config = token.config();
    config.wrap = Some(wrap);
    let hsm = Pkcs11Hsm::open(config).unwrap();
    hsm.create_root_key(&root_id()).unwrap();
    let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
    (hsm, wrapped)
}

/// Every code as the answer to one call of `function`, after `before`, which makes that it is
/// called.
fn once(token: &TestToken, wrap: Mechanism, functions: &[(&str, &str)]) {
    let (hsm, wrapped) = with_root_for(token, wrap);
    for (function, before) in functions {
        for code in codes() {
            let class = class(code).unwrap();
            let restarts_before = restarts(&token.module);
            let rules = format!("{before}\nC_{function} 1 return {code:#x}");
            let asked = ask(token, &hsm, &wrapped, &rules);
            let heals =
                matches!(class, Class::Session | Class::Login | Class::Restart | Class::Suspect);
            let name = format!("{function} {code:#x} {class:?}");
            // One fault that can be healed is not seen by who calls.
            if heals {
                assert_eq!(asked.good, Ok(key()), "{name}");
                assert_eq!(asked.forged, Err(HsmError::Authentication), "{name}");
                assert!(asked.made.is_ok(), "{name}: {:?}", asked.made);
                assert_eq!(asked.checked, Ok(()), "{name}");
                assert_eq!(asked.random, Ok(()), "{name}");
            }
            // A good key is called forged by nobody, unless the device itself says so.
            if !says_forged(function, code) {
                assert_ne!(asked.good, Err(HsmError::Authentication), "{name}");
            }
            // And the module is restarted for nothing less than it takes. (What the probe of its
            // health meets besides is a second fault.)
            let restarted = restarts(&token.module) - restarts_before;
            if class != Class::Restart && function.ends_with("crypt") {
                assert_eq!(restarted, 0, "{name}");
            }
        }
    }
}

#[test]
fn every_code_from_the_cipher() {
    on_shim(every_code_from_the_cipher, |token| {
        once(token, Mechanism::AesGcm, &[("DecryptInit", ""), ("Decrypt", "")]);
    });
}

#[test]
fn every_code_from_the_other_half_of_the_cipher() {
    on_shim(every_code_from_the_other_half_of_the_cipher, |token| {
        once(
            token,
            Mechanism::AesGcm,
            &[("EncryptInit", ""), ("Encrypt", ""), ("GenerateRandom", "")],
        );
    });
}

#[test]
fn every_code_from_finding_a_key() {
    on_shim(every_code_from_finding_a_key, |token| {
        let forget = "C_DecryptInit 1 return 0x60";
        once(token, Mechanism::AesGcm, &[("FindObjectsInit", forget), ("FindObjects", forget)]);
    });
}

#[test]
fn every_code_from_sessions() {
    on_shim(every_code_from_sessions, |token| {
        let forget = "C_DecryptInit 1 return 0xb3";
        once(
            token,
            Mechanism::AesGcm,
            &[("GetSessionInfo", ""), ("OpenSession", forget), ("CloseSession", forget)],
        );
    });
}

#[test]
fn every_code_from_wrapping_a_key_object() {
    on_shim(every_code_from_wrapping_a_key_object, |token| {
        let functions = ["CreateObject", "WrapKey", "UnwrapKey", "DestroyObject"];
        once(token, Mechanism::AesKw, &functions.map(|function| (function, "")));
    });
}

#[test]
fn every_code_from_reading_a_key_object() {
    on_shim(every_code_from_reading_a_key_object, |token| {
        once(token, Mechanism::AesKw, &[("GetAttributeValue", "")]);
    });
}

#[test]
fn every_code_from_a_mac() {
    on_shim(every_code_from_a_mac, |token| {
        once(token, Mechanism::AesCbcHmac, &[("SignInit", ""), ("Sign", "")]);
    });
}

/// One code of each class, and each that means more than one thing.
const MANY: [u64; 14] =
    [0x5, 0x6, 0x7, 0x30, 0x31, 0x32, 0x40, 0x60, 0x70, 0x82, 0xb1, 0xb3, 0x101, 0x190];

#[test]
fn faults_of_a_restart_end_with_it() {
    on_shim(faults_of_a_restart_end_with_it, |token| {
        let (first, wrapped) = with_root(token);
        for function in ["Finalize", "Initialize", "GetSlotList", "GetTokenInfo"] {
            for code in MANY {
                // Each its own pauses between attempts.
                let hsm = token.open();
                hsm.unwrap(&wrapped, b"").unwrap();
                let lose = "C_DecryptInit 1 return 0x190";
                ask(token, &hsm, &wrapped, &format!("{lose}\nC_{function} 1 return {code:#x}"));
            }
        }
        assert_eq!(first.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_function_that_always_fails_is_an_error_and_ends_when_it_ends() {
    on_shim(a_function_that_always_fails_is_an_error_and_ends_when_it_ends, |token| {
        let (first, wrapped) = with_root(token);
        for function in ["DecryptInit", "Decrypt", "EncryptInit", "Encrypt", "GetSessionInfo"] {
            for code in MANY {
                // Each its own pauses between attempts.
                let hsm = token.open();
                hsm.unwrap(&wrapped, b"").unwrap();
                let rules = format!("C_{function} * return {code:#x}");
                let asked = ask(token, &hsm, &wrapped, &rules);
                // A token that opens nothing says nothing of this key.
                assert_ne!(asked.good, Err(HsmError::Authentication), "{rules}");
                if function.starts_with("Decrypt") || function == "GetSessionInfo" {
                    assert!(asked.good.is_err() && asked.made.is_err(), "{rules}: {asked:?}");
                }
            }
        }
        assert_eq!(first.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn nothing_works_at_all() {
    on_shim(nothing_works_at_all, |token| {
        let (first, wrapped) = with_root(token);
        // Not CKR_SESSION_COUNT: that is waited for, by each call.
        for code in MANY.into_iter().filter(|code| *code != 0xb1) {
            let hsm = token.open();
            hsm.unwrap(&wrapped, b"").unwrap();
            let before = restarts(&token.module);
            token.rules(&format!("* * return {code:#x}"));
            let begun = now();
            for _ in 0..200 {
                let opened = hsm.unwrap(&wrapped, b"");
                assert!(
                    matches!(opened, Err(HsmError::Unavailable(_) | HsmError::Refused(_))),
                    "{code:#x}: {opened:?}"
                );
            }
            let (tried, took) = (restarts(&token.module) - before, begun.elapsed());
            // Without pauses it would be some for each call.
            assert!(tried < 12, "{code:#x}: {tried} restarts in {took:?}");
            token.rules("");
            wait_until(HEALS_WITHIN, || hsm.unwrap(&wrapped, b"") == Ok(key()));
        }
        wait_until(HEALS_WITHIN, || first.unwrap(&wrapped, b"") == Ok(key()));
    });
}

#[test]
fn making_a_key_is_never_repeated_and_leaves_no_second_one() {
    on_shim(making_a_key_is_never_repeated_and_leaves_no_second_one, |token| {
        let (hsm, _) = with_root(token);
        let rules = ["return 0x5", "return 0x30", "return 0xb3", "after 0x30", "after 0x101"];
        for (n, rule) in rules.into_iter().enumerate() {
            let id = RootKeyId::new(format!("claviger/test/rk-d/made-{n}"));
            let before = token.calls("C_GenerateKey");
            token.rules(&format!("C_GenerateKey 1 {rule}"));
            let made = hsm.create_root_key(&id);
            assert!(made.is_err(), "{rule}: {made:?}");
            assert_eq!(token.calls("C_GenerateKey"), before + 1, "{rule}");
            token.rules("");
            // What was made although it failed is there, whole and known.
            let again = hsm.create_root_key(&id);
            let was_made = rule.starts_with("after");
            let expected = if was_made { Err(HsmError::KeyExists(id.clone())) } else { Ok(()) };
            assert_eq!(again, expected, "{rule}");
            hsm.check_root_key(&id).unwrap();
        }
    });
}

#[test]
fn a_token_that_wraps_wrongly_is_caught_before_anything_is_lost() {
    on_shim(a_token_that_wraps_wrongly_is_caught_before_anything_is_lost, |token| {
        let (hsm, wrapped) = with_root(token);
        let asked = ask(token, &hsm, &wrapped, "C_Encrypt * flip");
        assert!(matches!(asked.made, Err(HsmError::SelfTest { .. })), "{:?}", asked.made);
        // Once only is as good as never: it is made again.
        let asked = ask(token, &hsm, &wrapped, "C_Encrypt 1 flip");
        assert!(asked.made.is_ok(), "{:?}", asked.made);
    });
}

#[test]
fn a_call_that_hangs_holds_up_nobody_else() {
    on_shim(a_call_that_hangs_holds_up_nobody_else, |token| {
        let (hsm, wrapped) = with_root(token);
        let hsm: &'static Pkcs11Hsm = Box::leak(Box::new(hsm));
        let mine = wrapped.clone();
        token.rules("C_Decrypt 1 hang");
        std::thread::spawn(move || hsm.unwrap(&mine, b""));
        wait_until(HEALS_WITHIN, || token.calls("C_DecryptInit") > 0);
        std::thread::sleep(Duration::from_millis(50));
        let begun = now();
        for _ in 0..50 {
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        }
        assert!(begun.elapsed() < Duration::from_secs(2));
        // What would need the module restarted is refused, and says why.
        token.rules("C_DecryptInit 1 return 0x190");
        let error = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(error.to_string().contains("1 calls have been inside the module"), "{error}");
        assert!(begun.elapsed() < DEADLINE + Duration::from_secs(2));
        assert_eq!(restarts(&token.module), 0);
        wait_until(HEALS_WITHIN, || hsm.unwrap(&wrapped, b"") == Ok(key()));
    });
}

#[test]
fn tokens_that_choose_the_iv_themselves_pass_the_suite() {
    on_shim(tokens_that_choose_the_iv_themselves_pass_the_suite, |token| {
        for dialect in ["written-back", "appended"] {
            token.rules(&format!("C_EncryptInit * gcm-iv {dialect}"));
            let name = RootKeyId::new(format!("claviger/test/rk-d/{dialect}"));
            let hsm = token.open();
            hsm.create_root_key(&name).unwrap();
            let one = hsm.wrap(&name, &key(), b"a").unwrap();
            let two = hsm.wrap(&name, &key(), b"a").unwrap();
            assert_ne!(one, two);
            drop(hsm);
            // Found by a process that knows nothing of it.
            let hsm = token.open();
            assert_eq!(hsm.unwrap(&one, b"a"), Ok(key()), "{dialect}");
            assert_eq!(hsm.unwrap(&two, b"a"), Ok(key()), "{dialect}");
            assert_eq!(hsm.unwrap(&two, b"b"), Err(HsmError::Authentication), "{dialect}");
            suite::a_changed_bit_is_refused(&hsm);
            let session = token.raw_session();
            let label = [cryptoki::object::Attribute::Label(b"claviger/suite/bits/1".to_vec())];
            for object in session.find_objects(&label).unwrap() {
                session.destroy_object(object).unwrap();
            }
        }
    });
}

#[test]
fn a_pin_that_is_refused_with_any_code_is_tried_once() {
    on_shim(a_pin_that_is_refused_with_any_code_is_tried_once, |token| {
        for code in codes().into_iter().filter(|code| class(*code) == Some(Class::Pin)) {
            let before = logins(&token.module);
            token.rules(&format!("C_Login * return {code:#x}"));
            let text = format!("some-pin-{code}");
            for _ in 0..3 {
                let error = token.open_error(|config| config.pin = pin(&text).into());
                assert!(!is_unavailable::<()>(&Err(error)));
            }
            let tried = logins(&token.module) - before;
            // CKR_USER_PIN_NOT_INITIALIZED says nothing of the PIN.
            assert_eq!(tried, if code == 0x102 { 3 } else { 1 }, "{code:#x}");
        }
    });
}

/// Runs this test again in a process of its own, which is to end as the rule says.
fn dies(token: &TestToken, test: &str, rule: &str) -> std::process::ExitStatus {
    token.rules(rule);
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .env("CLAVIGER_HSM_TEST_VICTIM", "1")
        .output()
        .unwrap()
        .status;
    token.rules("");
    status
}

#[test]
fn a_module_that_ends_the_process_leaves_the_token_whole() {
    on_shim(a_module_that_ends_the_process_leaves_the_token_whole, |token| {
        use std::os::unix::process::ExitStatusExt;
        if std::env::var_os("CLAVIGER_HSM_TEST_VICTIM").is_some() {
            let _ = token.open().check_root_key(&root_id());
            return;
        }
        let (hsm, wrapped) = with_root(token);
        let test = "token::faults::a_module_that_ends_the_process_leaves_the_token_whole";
        assert_eq!(dies(token, test, "C_FindObjects 1 abort").signal(), Some(6));
        assert_eq!(dies(token, test, "C_FindObjects 1 segfault").signal(), Some(11));
        assert_eq!(dies(token, test, "C_FindObjects 1 exit 7").code(), Some(7));
        assert!(dies(token, test, "").success());
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}
