//! Wrapped keys that somebody made who has the TPM and the store, but not the auth value.

use super::other::{auth_value, forge};
use super::support::{AUTH, auth, key, on_swtpm, root_id};
use claviger_hsm::{Hsm, HsmError, KeyBytes};

#[test]
fn without_the_auth_value_nothing_is_forged() {
    on_swtpm(without_the_auth_value_nothing_is_forged, |tpm| {
        let hsm = tpm.open_with(|config| config.auth = auth(AUTH));
        hsm.create_root_key(&root_id()).unwrap();
        let good = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let counter = || hsm.report().unwrap().lockout.unwrap().counter;
        // Described as it is: without. The TPM is not even asked.
        let forged = forge(tpm, &root_id(), &[5; 32], None, false, &[1; 32]);
        assert_eq!(hsm.unwrap(&forged, b""), Err(HsmError::Authentication));
        assert_eq!(counter(), 0);
        // Described as with one, but another one: the TPM says no, and counts it. Before it could be
        // locked that way it is not asked any more.
        let forged = forge(tpm, &root_id(), &[5; 32], Some(b"another"), true, &[1; 32]);
        for counted in 1..=2 {
            assert_eq!(hsm.unwrap(&forged, b""), Err(HsmError::Authentication));
            assert_eq!(counter(), counted);
        }
        for _ in 0..3 {
            let refused = hsm.unwrap(&forged, b"");
            assert!(matches!(refused, Err(HsmError::PinFinalTry { .. })), "{refused:?}");
            assert_eq!(counter(), 2);
        }
        tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"]);
        assert_eq!(hsm.unwrap(&good, b""), Ok(key()));
        // The forger's work is sound: with the auth value it opens.
        let value = auth_value(AUTH, &root_id());
        let forged = forge(tpm, &root_id(), &[5; 32], Some(&value), true, &[1; 32]);
        assert_eq!(hsm.unwrap(&forged, b""), Ok(KeyBytes::new(vec![1; 32])));
    });
}

/// What a TPM without an auth value does not prevent, said in the documents: who may use the TPM
/// may wrap as well. A check value beside the key tells.
#[test]
fn without_an_auth_value_who_may_use_the_tpm_may_wrap() {
    on_swtpm(without_an_auth_value_who_may_use_the_tpm_may_wrap, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let forged = forge(tpm, &root_id(), &[5; 32], None, false, &[1; 32]);
        assert_eq!(hsm.unwrap(&forged, b""), Ok(KeyBytes::new(vec![1; 32])));
        // A wrapping key of another length is none.
        for len in [1, 31, 33, 64] {
            let forged = forge(tpm, &root_id(), &vec![5; len], None, false, &[1; 32]);
            assert_eq!(hsm.unwrap(&forged, b""), Err(HsmError::Authentication), "{len} bytes");
        }
    });
}
