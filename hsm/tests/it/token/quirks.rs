//! Tokens that do things their own way, and tokens that lie about lengths: SoftHSM behind a module
//! that makes it do so.

use super::support::{TestToken, on_shim, root_id};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::profile::GcmIv;
use claviger_hsm::{Hsm, HsmError, KeyBytes, Mechanism, RootKeyId, suite};

fn key() -> KeyBytes {
    KeyBytes::new(vec![5; 32])
}

fn open(token: &TestToken, wrap: Mechanism) -> Pkcs11Hsm {
    let mut config = token.config();
    config.wrap = Some(wrap);
    Pkcs11Hsm::open(config).unwrap()
}

#[test]
fn a_token_that_writes_the_iv_back_passes_the_suite() {
    on_shim(a_token_that_writes_the_iv_back_passes_the_suite, |token| {
        token.rules("C_EncryptInit * gcm-iv written-back");
        let hsm = token.open();
        suite::all(&hsm);
        let choice = hsm.report().unwrap().wrap.unwrap();
        assert_eq!(
            (choice.mechanism, choice.gcm_iv),
            (Mechanism::AesGcm, Some(GcmIv::ZeroWrittenBack))
        );
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"a").unwrap();
        // The IV that the token wrote is the one that is kept, in the format of every token.
        assert_eq!(wrapped.bytes[0], 1);
        assert_ne!(wrapped.bytes[1..13], [0; 12]);
        drop(hsm);
        token.rules("");
        let hsm = token.open();
        assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
        assert_eq!(hsm.unwrap(&wrapped, b"b"), Err(HsmError::Authentication));
    });
}

/// An IV of 16 bytes has no room in format 01.
#[test]
fn a_token_that_appends_the_iv_passes_the_suite() {
    on_shim(a_token_that_appends_the_iv_passes_the_suite, |token| {
        token.rules("C_EncryptInit * gcm-iv appended");
        // The profile that asks for it, and one that finds out.
        let mut config = token.config();
        config.profile = Some("luna".into());
        let luna = Pkcs11Hsm::open(config).unwrap();
        suite::all(&luna);
        let choice = luna.report().unwrap().wrap.unwrap();
        assert_eq!((choice.mechanism, choice.gcm_iv), (Mechanism::AesGcm, Some(GcmIv::Appended)));
        drop(luna);
        let hsm = token.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"a").unwrap();
        assert_eq!(wrapped.bytes[..2], [2, Mechanism::AesGcm as u8]);
        assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
        drop(hsm);
        // The same key where the token takes ours: it opens both formats.
        token.rules("");
        let hsm = token.open();
        assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
        assert_eq!(hsm.unwrap(&wrapped, b"b"), Err(HsmError::Authentication));
        assert_eq!(hsm.wrap(&root_id(), &key(), b"a").unwrap().bytes[0], 1);
    });
}

/// Whoever sees two ciphertexts under one IV can forge and read: such a token is not asked again.
#[test]
fn a_token_that_repeats_ivs_is_not_used_for_gcm() {
    on_shim(a_token_that_repeats_ivs_is_not_used_for_gcm, |token| {
        token.rules("C_EncryptInit * gcm-iv repeated");
        let hsm = token.open();
        let choice = hsm.report().unwrap().wrap.unwrap();
        assert_eq!(choice.mechanism, Mechanism::AesKw);
        let [(Mechanism::AesGcm, why)] = &choice.passed_over[..] else { panic!("{choice:?}") };
        assert!(why.contains("an IV was repeated within 16"), "{why}");
        let error = open(token, Mechanism::AesGcm).create_root_key(&root_id()).unwrap_err();
        assert!(matches!(error, HsmError::NoWrap { .. }), "{error:?}");
    });
}

/// cryptoki reads it as a number and gives the whole token up.
#[test]
fn a_clock_that_is_no_time_does_no_harm() {
    on_shim(a_clock_that_is_no_time_does_no_harm, |token| {
        for time in ["noon", "20261340256199xx", "-"] {
            token.rules(&format!("C_GetTokenInfo * clock {time}"));
            let hsm = token.open();
            let report = hsm.report().unwrap();
            assert!(report.flags.contains(&"CLOCK_ON_TOKEN".to_owned()), "{:?}", report.flags);
            assert_eq!(report.device.vendor, "SoftHSM project");
            token.init(super::support::LABEL);
        }
    });
}

#[test]
fn a_mechanism_that_is_listed_and_fails_is_passed_over() {
    on_shim(a_mechanism_that_is_listed_and_fails_is_passed_over, |token| {
        for (n, (answer, says)) in
            [("0x70", "MechanismInvalid"), ("0x30", "DeviceError"), ("0x5", "GeneralError")]
                .into_iter()
                .enumerate()
        {
            let hsm = token.open();
            token.rules(&format!("C_EncryptInit * return {answer}"));
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            hsm.create_root_key(&id).unwrap();
            let choice = hsm.report().unwrap().wrap.unwrap();
            assert_eq!(choice.mechanism, Mechanism::AesKw);
            let [(Mechanism::AesGcm, why)] = &choice.passed_over[..] else { panic!("{choice:?}") };
            assert!(why.contains(says), "{why}");
            let wrapped = hsm.wrap(&id, &key(), b"a").unwrap();
            token.rules("");
            // What was chosen once stays while the device is open.
            assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::AesKw));
            drop(hsm);
            let hsm = token.open();
            assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::AesGcm));
            assert_eq!(hsm.unwrap(&wrapped, b"a").unwrap(), key());
        }
    });
}

/// A token that is gone has not said that it cannot.
#[test]
fn nothing_is_chosen_while_the_token_is_gone() {
    on_shim(nothing_is_chosen_while_the_token_is_gone, |token| {
        let hsm = token.open();
        token.rules("* * removed");
        let refused = hsm.wrap_mechanism().unwrap_err();
        assert!(matches!(refused, HsmError::Unavailable(_)), "{refused:?}");
        assert!(hsm.create_root_key(&root_id()).is_err());
        token.rules("");
        super::support::wait_until(std::time::Duration::from_secs(10), || {
            hsm.create_root_key(&root_id()).is_ok()
        });
        assert_eq!(hsm.wrap_mechanism(), Ok(Mechanism::AesGcm));
    });
}

#[test]
fn a_token_that_wants_a_longer_buffer_gets_it_once() {
    on_shim(a_token_that_wants_a_longer_buffer_gets_it_once, |token| {
        for (n, mechanism) in
            [Mechanism::AesGcm, Mechanism::AesKw, Mechanism::AesCbcHmac].into_iter().enumerate()
        {
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            let hsm = open(token, mechanism);
            hsm.create_root_key(&id).unwrap();
            let wrapped = hsm.wrap(&id, &key(), b"a").unwrap();
            token.rules(
                "C_Encrypt 1 too-small 4096\nC_Decrypt 1 too-small 4096\n\
                         C_Sign 1 too-small 4096\nC_WrapKey 1 too-small 4096",
            );
            let before = token.calls("C_Encrypt") + token.calls("C_WrapKey");
            let again = hsm.wrap(&id, &key(), b"a").unwrap();
            assert_eq!(token.calls("C_Encrypt") + token.calls("C_WrapKey"), before + 2);
            // One that wants more and more, or nothing, is refused at once.
            for wanted in ["0", "8", "100000000"] {
                token.rules(&format!("* * too-small {wanted}"));
                assert!(hsm.unwrap(&wrapped, b"a").is_err(), "{mechanism}: {wanted}");
                assert!(hsm.wrap(&id, &key(), b"a").is_err(), "{mechanism}: {wanted}");
                token.rules("");
                super::support::wait_until(std::time::Duration::from_secs(10), || {
                    hsm.unwrap(&again, b"a").is_ok_and(|opened| opened == key())
                });
            }
        }
    });
}

/// A token that says another length than it wrote: never another key, never a crash.
#[test]
fn a_length_that_is_a_lie_is_an_error() {
    on_shim(a_length_that_is_a_lie_is_an_error, |token| {
        for (n, mechanism) in
            [Mechanism::AesGcm, Mechanism::AesKw, Mechanism::AesCbcHmac].into_iter().enumerate()
        {
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            let hsm = open(token, mechanism);
            hsm.create_root_key(&id).unwrap();
            let wrapped = hsm.wrap(&id, &key(), b"a").unwrap();
            for function in ["C_Encrypt", "C_Decrypt", "C_WrapKey", "C_Sign"] {
                for lie in ["0", "+1", "+8", "+100000", "-1", "-16"] {
                    token.rules(&format!("{function} * length {lie}"));
                    for opened in [
                        hsm.unwrap(&wrapped, b"a"),
                        hsm.wrap(&id, &key(), b"a").and_then(|again| hsm.unwrap(&again, b"a")),
                    ] {
                        let harmless = match &opened {
                            Ok(opened) => *opened == key(),
                            Err(_) => true,
                        };
                        assert!(harmless, "{mechanism}: {function} {lie}: {opened:?}");
                    }
                    token.rules("");
                    assert_eq!(hsm.unwrap(&wrapped, b"a").as_ref(), Ok(&key()), "{function} {lie}");
                }
            }
        }
    });
}

/// What a token wrapped wrongly is not given out; what it opens wrongly is seen in format 02.
#[test]
fn a_flipped_bit_on_the_way_is_seen() {
    on_shim(a_flipped_bit_on_the_way_is_seen, |token| {
        for (n, mechanism) in
            [Mechanism::AesGcm, Mechanism::AesKw, Mechanism::AesCbcHmac].into_iter().enumerate()
        {
            let id = RootKeyId::new(format!("claviger/test/rk-d/{n}"));
            let hsm = open(token, mechanism);
            hsm.create_root_key(&id).unwrap();
            let wrapped = hsm.wrap(&id, &key(), b"a").unwrap();
            let call = if mechanism == Mechanism::AesKw { "C_WrapKey" } else { "C_Encrypt" };
            token.rules(&format!("{call} * flip"));
            assert!(hsm.wrap(&id, &key(), b"a").is_err(), "{mechanism}");
            if mechanism != Mechanism::AesGcm {
                let call =
                    if mechanism == Mechanism::AesKw { "C_GetAttributeValue" } else { "C_Decrypt" };
                token.rules(&format!("{call} * flip"));
                assert!(hsm.unwrap(&wrapped, b"a").is_err(), "{mechanism}");
            }
            token.rules("");
            super::support::wait_until(std::time::Duration::from_secs(10), || {
                hsm.unwrap(&wrapped, b"a").is_ok_and(|opened| opened == key())
            });
        }
    });
}
