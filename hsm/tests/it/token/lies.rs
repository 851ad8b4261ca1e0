//! A module that lies about lengths and counts: neither a crash, nor memory or time without end.

use super::faults::{ask, with_root_for};
use super::recovery::with_root;
use super::support::{TestToken, assert_says, memory_bytes, on_shim, root_id};
use claviger_hsm::pkcs11::Pkcs11Hsm;
use claviger_hsm::{Hsm, HsmError, Mechanism};

#[test]
fn lengths_that_lie_are_refused() {
    on_shim(lengths_that_lie_are_refused, |token| {
        lie(token, Mechanism::AesGcm, &["Decrypt", "Encrypt", "GetAttributeValue"]);
    });
}

#[test]
fn lengths_of_key_objects_that_lie_are_refused() {
    on_shim(lengths_of_key_objects_that_lie_are_refused, |token| {
        lie(token, Mechanism::AesKw, &["WrapKey"]);
    });
}

#[test]
fn lengths_of_macs_that_lie_are_refused() {
    on_shim(lengths_of_macs_that_lie_are_refused, |token| {
        lie(token, Mechanism::AesCbcHmac, &["Sign"]);
    });
}

fn lie(token: &TestToken, wrap: Mechanism, functions: &[&str]) {
    let (hsm, wrapped) = with_root_for(token, wrap);
    let absurd = ["0x10000", "0x7fffffffffffffff", "0xffffffffffffffff"];
    let some = ["length 0", "length +1", "length -1", "length +16", "too-small 0", "too-small 1"];
    for function in functions {
        let mut lies: Vec<String> = some.map(str::to_owned).to_vec();
        let both = |n: &&str| [format!("length {n}"), format!("too-small {n}")];
        lies.extend(absurd.iter().flat_map(both));
        for (lie, which) in lies.iter().flat_map(|lie| [(lie, "1"), (lie, "*")]) {
            let rules = format!("C_{function} {which} {lie}");
            let asked = ask(token, &hsm, &wrapped, &rules);
            assert_ne!(asked.good, Err(HsmError::Authentication), "{rules}");
        }
    }
}

/// As many objects, slots and mechanisms as the module likes: neither memory nor time without end.
#[test]
fn counts_that_lie_are_refused() {
    on_shim(counts_that_lie_are_refused, |token| {
        let (hsm, wrapped) = with_root(token);
        let before = memory_bytes();
        let counts = ["65", "0x10000", "0x7fffffffffffffff", "0xffffffffffffffff"];
        for count in counts {
            let rules = format!("C_FindObjects * length {count}");
            let asked = ask(token, &hsm, &wrapped, &rules);
            let error = asked.checked.unwrap_err();
            assert_says(&error, &["C_FindObjects had room for 64", "says that it wrote"]);
        }
        // As many as were asked for, again and again.
        let asked = ask(token, &hsm, &wrapped, "C_FindObjects * length 64");
        assert_says(&asked.checked.unwrap_err(), &["C_FindObjects finds no end"]);
        // None where there are some: the key is absent, and was not destroyed.
        let asked = ask(token, &hsm, &wrapped, "C_FindObjects * length 0");
        assert!(matches!(asked.checked, Err(HsmError::NoSuchKey { .. })), "{:?}", asked.checked);
        drop(hsm);
        for (function, room) in [("C_GetSlotList", 4096), ("C_GetMechanismList", 4096)] {
            for count in ["0x10000", "0x7fffffffffffffff", "0xffffffffffffffff"] {
                token.rules(&format!("{function} * length {count}"));
                let error = token.open_error(|_| {});
                assert_says(&error, &[function, &format!("had room for {room}")]);
            }
            // Honest of how many there are, and then not.
            token.rules(&format!("{function} 2- length 0x7fffffffffffffff"));
            let opened = Pkcs11Hsm::open(token.config());
            assert!(opened.is_ok() || function == "C_GetSlotList", "{opened:?}");
        }
        token.rules("");
        token.open().check_root_key(&root_id()).unwrap();
        let more = memory_bytes().saturating_sub(before);
        assert!(more < 64 << 20, "{more} bytes");
    });
}

/// Longer than it can be, or none at all: a finding, and not as much memory as the token says.
#[test]
fn attributes_that_lie_are_findings() {
    on_shim(attributes_that_lie_are_findings, |token| {
        let (hsm, _) = with_root(token);
        for (lie, attribute, says) in [
            ("length 0x7fffffffffffffff", "CKA_ID", "found 9223372036854775807"),
            ("length 0x100000", "CKA_ID", "found 1048576"),
            ("length 0", "CKA_ID", "C_GetAttributeValue answered BufferTooSmall"),
            // CK_UNAVAILABLE_INFORMATION.
            ("length 0xffffffffffffffff", "CKA_EXTRACTABLE", "found nothing"),
        ] {
            token.rules(&format!("C_GetAttributeValue * {lie}"));
            let error = hsm.check_root_key(&root_id()).unwrap_err();
            assert!(matches!(error, HsmError::BadAttributes { .. }), "{lie}: {error:?}");
            assert_says(&error, &[root_id().as_str(), attribute, says]);
            assert!(hsm.root_keys().is_ok(), "{lie}");
            assert!(hsm.report().is_ok(), "{lie}");
            token.rules("");
            hsm.check_root_key(&root_id()).unwrap();
        }
        // A truth that is neither true nor false.
        token.rules("C_GetAttributeValue * flip");
        let error = hsm.check_root_key(&root_id()).unwrap_err();
        assert_says(&error, &["CKA_SENSITIVE", "wanted CK_TRUE or CK_FALSE, found 129"]);
    });
}
