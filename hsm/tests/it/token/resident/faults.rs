//! A module that answers wrongly: nobody gets a wrong answer, and no key is taken for made or
//! destroyed that is not.

use super::super::faults::codes;
use super::super::support::{assert_says, on_shim, wait_until};
use super::{id, id_of, keys, objects, text, use_once};
use claviger_hsm::pkcs11::{Class, class};
use claviger_hsm::{Curve, Hash, Hsm, HsmError, KeyBytes, ResidentSpec};
use std::time::Duration;

#[test]
fn what_is_said_to_be_destroyed_and_is_not_is_an_error() {
    on_shim(what_is_said_to_be_destroyed_and_is_not_is_an_error, |token| {
        let hsm = token.open();
        keys(&hsm).generate(&id("k"), ResidentSpec::Aes256).unwrap();
        for (rv, words) in
            [("0x0", "C_DestroyObject answered that it was"), ("0x1b", "ActionProhibited")]
        {
            token.rules(&format!("C_DestroyObject * return {rv}"));
            let error = keys(&hsm).destroy(&id("k")).unwrap_err();
            assert_says(&error, &["not destroyed", "1 of its objects are still", words]);
            token.rules("");
            assert_eq!(keys(&hsm).resident_keys().unwrap(), [id("k")]);
            use_once(keys(&hsm), &id("k"), ResidentSpec::Aes256, &None).unwrap();
        }
        keys(&hsm).destroy(&id("k")).unwrap();
        assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
    });
}

/// One wrong answer of each kind while a key is made or used.
#[test]
fn wrong_answers_are_never_passed_on() {
    on_shim(wrong_answers_are_never_passed_on, |token| {
        let hsm = token.open();
        keys(&hsm).specs();
        let cases = [
            (ResidentSpec::Aes256, "C_Encrypt", "flip"),
            (ResidentSpec::Aes256, "C_Encrypt", "length -1"),
            (ResidentSpec::Aes256, "C_Decrypt", "flip"),
            (ResidentSpec::Aes256, "C_Decrypt", "length -1"),
            (ResidentSpec::Hmac(Hash::Sha256), "C_Sign", "length -1"),
            (ResidentSpec::Hmac(Hash::Sha256), "C_Sign", "length +1"),
            (ResidentSpec::RsaSign(2048), "C_Sign", "flip"),
            (ResidentSpec::RsaSign(2048), "C_Sign", "length 0"),
            (ResidentSpec::RsaDecrypt(2048), "C_Decrypt", "flip"),
            (ResidentSpec::EcSign(Curve::P256), "C_Sign", "flip"),
            (ResidentSpec::EcSign(Curve::P256), "C_Sign", "length -1"),
            (ResidentSpec::EcAgree(Curve::P256), "C_DeriveKey", "return 0x6"),
        ];
        for (spec, function, fault) in cases {
            // Once without, so that what is tried once a process is tried already.
            keys(&hsm).generate(&id_of(spec), spec).unwrap();
            keys(&hsm).destroy(&id_of(spec)).unwrap();
            token.rules(&format!("{function} * {fault}"));
            let made = keys(&hsm).generate(&id_of(spec), spec);
            assert!(made.is_err(), "{spec} {function} {fault}: {made:?}");
            token.rules("");
            wait_until(Duration::from_secs(5), || hsm.probe().is_ok());
            assert!(!keys(&hsm).resident_keys().unwrap().contains(&id_of(spec)), "{spec} {fault}");
            // The same to a key that is in use.
            let public = keys(&hsm).generate(&id_of(spec), spec).unwrap();
            let sealed = match spec {
                ResidentSpec::Aes256 => keys(&hsm).encrypt(&id_of(spec), &text(), b"").unwrap(),
                _ => Vec::new(),
            };
            token.rules(&format!("{function} * {fault}"));
            let is_right = match (spec, function) {
                (ResidentSpec::Aes256, "C_Decrypt") => {
                    let opened = keys(&hsm).decrypt(&id_of(spec), &sealed, b"");
                    // AES-GCM's plaintext is what it is: a module that changes it after the fact
                    // cannot be told from one that decrypts.
                    fault == "flip" || opened.is_err()
                }
                // Nor one that spoils what it gives, where nothing tells.
                (_, "C_Encrypt" | "C_Sign" | "C_Decrypt") if fault == "flip" => true,
                _ => use_once(keys(&hsm), &id_of(spec), spec, &public).is_err(),
            };
            assert!(is_right, "{spec} {function} {fault}");
            token.rules("");
            wait_until(Duration::from_secs(5), || hsm.probe().is_ok());
            use_once(keys(&hsm), &id_of(spec), spec, &public).unwrap();
            keys(&hsm).destroy(&id_of(spec)).unwrap();
        }
        assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
    });
}

/// Every code that there is, as the answer to one call: a right answer or none, never "forged",
/// and the key works again afterwards.
#[test]
fn every_code_from_the_functions_that_keys_use() {
    on_shim(every_code_from_the_functions_that_keys_use, |token| {
        let hsm = token.open();
        let keys = keys(&hsm);
        let (mac, pair) = (ResidentSpec::Hmac(Hash::Sha256), ResidentSpec::EcAgree(Curve::P256));
        let sealing = ResidentSpec::Aes256;
        keys.generate(&id_of(mac), mac).unwrap();
        keys.generate(&id_of(sealing), sealing).unwrap();
        let public = keys.generate(&id_of(pair), pair).unwrap().unwrap();
        let sealed = keys.encrypt(&id_of(sealing), &text(), b"").unwrap();
        let ask = |function: &str| match function {
            "SignInit" | "Sign" => keys.mac(&id_of(mac), Hash::Sha256, b"m").map(KeyBytes::new),
            "DeriveKey" | "GetAttributeValue" | "DestroyObject" => {
                keys.agree(&id_of(pair), &public)
            }
            _ => keys.decrypt(&id_of(sealing), &sealed, b""),
        };
        let functions =
            ["SignInit", "Sign", "DeriveKey", "GetAttributeValue", "DestroyObject", "Decrypt"];
        for function in functions {
            let right = ask(function).unwrap();
            for code in codes() {
                token.rules(&format!("C_{function} 1 return {code:#x}"));
                let answer = ask(function);
                token.rules("");
                let name = format!("{function} {code:#x}");
                let class = class(code).unwrap();
                let heals = [Class::Session, Class::Login, Class::Restart, Class::Suspect];
                if heals.contains(&class) {
                    assert_eq!(answer.as_ref(), Ok(&right), "{name}");
                }
                match answer {
                    Ok(answer) => assert_eq!(answer, right, "{name}"),
                    // The device's own word for it.
                    Err(HsmError::Authentication) => {
                        assert!(function == "Decrypt" && matches!(code, 0x40..=0x42), "{name}");
                    }
                    Err(_) => {}
                }
                wait_until(Duration::from_secs(5), || ask(function).as_ref() == Ok(&right));
            }
        }
    });
}

/// SoftHSM's words for a bad tag are those of a broken device elsewhere.
#[test]
fn a_device_that_fails_does_not_call_a_ciphertext_forged() {
    on_shim(a_device_that_fails_does_not_call_a_ciphertext_forged, |token| {
        let hsm = token.open();
        let (aes, rsa) = (ResidentSpec::Aes256, ResidentSpec::RsaDecrypt(2048));
        keys(&hsm).generate(&id_of(aes), aes).unwrap();
        keys(&hsm).generate(&id_of(rsa), rsa).unwrap();
        let sealed = keys(&hsm).encrypt(&id_of(aes), &text(), b"").unwrap();
        for rv in ["0x5", "0x6", "0x30"] {
            token.rules(&format!("C_Decrypt * return {rv}"));
            let opened = keys(&hsm).decrypt(&id_of(aes), &sealed, b"");
            assert!(matches!(opened, Err(HsmError::Unavailable(_))), "{rv}: {opened:?}");
            let opened = keys(&hsm).decrypt_oaep(&id_of(rsa), Hash::Sha256, &[1; 256]);
            assert!(matches!(opened, Err(HsmError::Unavailable(_))), "{rv}: {opened:?}");
            token.rules("");
            let decrypts = || keys(&hsm).decrypt(&id_of(aes), &sealed, b"") == Ok(text());
            wait_until(Duration::from_secs(5), decrypts);
            let forged = keys(&hsm).decrypt(&id_of(aes), &sealed, b"other");
            assert_eq!(forged, Err(HsmError::Authentication), "{rv}");
        }
    });
}

/// Kinds that the token refuses are not offered; what it cannot be asked about is refused when it
/// is tried, and leaves nothing behind.
#[test]
fn what_the_token_refuses_is_not_offered() {
    on_shim(what_the_token_refuses_is_not_offered, |token| {
        // A token that was broken for a moment has not said what it cannot.
        let hsm = token.open();
        token.rules("C_GenerateKeyPair 1 return 0x5\nC_GetTokenInfo 1 return 0x5");
        assert_eq!(keys(&hsm).specs(), ResidentSpec::ALL);
        drop(hsm);
        // One that has always the same words for a curve that it lacks.
        token.rules("C_GenerateKeyPair 1- return 0x6");
        let hsm = token.open();
        assert!(!keys(&hsm).specs().contains(&ResidentSpec::EcSign(Curve::P256)));
        drop(hsm);
        // A token without elliptic curves that lists them.
        token.rules("C_GenerateKeyPair * return 0x140");
        let hsm = token.open();
        let specs = keys(&hsm).specs();
        assert!(specs.iter().all(|spec| !spec.to_string().contains("EC")), "{specs:?}");
        assert!(
            specs.contains(&ResidentSpec::Aes256) && specs.contains(&ResidentSpec::RsaSign(2048))
        );
        let spec = ResidentSpec::EcSign(Curve::P256);
        let error = keys(&hsm).generate(&id_of(spec), spec).unwrap_err();
        assert_says(&error, &["ECDSA on P256", "it has: AES-256-GCM"]);
        drop(hsm);
        // One that decrypts nothing.
        token.rules("C_DecryptInit * return 0x71");
        let mut config = token.config();
        config.wrap = Some(claviger_hsm::Mechanism::AesKw);
        let hsm = claviger_hsm::pkcs11::Pkcs11Hsm::open(config).unwrap();
        let spec = ResidentSpec::RsaDecrypt(2048);
        let made = keys(&hsm).generate(&id_of(spec), spec);
        let Err(error @ HsmError::Unsupported(_)) = made else { panic!("{made:?}") };
        assert_says(&error, &["RSA-OAEP with Sha256", "CKM_RSA_X_509"]);
        token.rules("");
        assert_eq!(objects(&token.raw_session(), &id_of(spec)), []);
    });
}
