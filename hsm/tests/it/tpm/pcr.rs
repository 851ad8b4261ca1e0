//! Keys that are bound to PCRs: they open in the state they were wrapped in, and in no other.

use super::support::{AUTH, Swtpm, assert_says, auth, key, on_swtpm, root_id};
use claviger_hsm::tpm::{Binding, TpmHsm};
use claviger_hsm::{Hsm, HsmError};

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn extend(tpm: &Swtpm, pcr: u8) {
    tpm.tool("tpm2_pcrextend", &[&format!("{pcr}:sha256={DIGEST}")]);
}

fn bound(tpm: &Swtpm, pcrs: &str, with_auth: bool) -> TpmHsm {
    tpm.open_with(|config| {
        config.pcrs = Some(pcrs.parse().unwrap());
        config.auth = with_auth.then(|| auth(AUTH).unwrap());
    })
}

#[test]
fn a_changed_pcr_refuses_and_says_which() {
    on_swtpm(a_changed_pcr_refuses_and_says_which, |tpm| {
        for (n, with_auth) in [false, true].into_iter().enumerate() {
            let root = claviger_hsm::RootKeyId::new(format!("claviger/test/{n}"));
            let hsm = bound(tpm, "sha256:7,16,23", with_auth);
            hsm.create_root_key(&root).unwrap();
            let wrapped = hsm.wrap(&root, &key(), b"").unwrap();
            extend(tpm, 16);
            for _ in 0..5 {
                let error = hsm.unwrap(&wrapped, b"").unwrap_err();
                assert!(matches!(error, HsmError::PcrMismatch { .. }), "{error:?}");
                assert_says(
                    &error,
                    &["of sha256:7,16,23, PCR 16 changed since", "there is no fallback"],
                );
            }
            extend(tpm, 23);
            let HsmError::PcrMismatch { changed, .. } = hsm.unwrap(&wrapped, b"").unwrap_err()
            else {
                panic!("another error")
            };
            assert_eq!(changed, [16, 23]);
            // Nothing was guessed at, nothing stays loaded.
            let report = hsm.report().unwrap();
            assert_eq!(report.lockout.unwrap().counter, 0);
            assert_eq!((report.transient_objects, report.loaded_sessions), (vec![], vec![]));
            // What is wrapped now opens now; the old one when the old state is back.
            let newer = hsm.wrap(&root, &key(), b"").unwrap();
            assert_eq!(hsm.unwrap(&newer, b""), Ok(key()));
            tpm.tool("tpm2_pcrreset", &["16"]);
            tpm.tool("tpm2_pcrreset", &["23"]);
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
            assert!(matches!(hsm.unwrap(&newer, b""), Err(HsmError::PcrMismatch { .. })));
        }
    });
}

#[test]
fn other_pcrs_do_not_matter() {
    on_swtpm(other_pcrs_do_not_matter, |tpm| {
        let hsm = bound(tpm, "sha256:7", false);
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        extend(tpm, 16);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

#[test]
fn a_key_opens_by_what_it_was_bound_to_whatever_is_configured_now() {
    on_swtpm(a_key_opens_by_what_it_was_bound_to_whatever_is_configured_now, |tpm| {
        let first = bound(tpm, "sha256:16", false);
        first.create_root_key(&root_id()).unwrap();
        let wrapped = first.wrap(&root_id(), &key(), b"").unwrap();
        for other in [bound(tpm, "sha256:7", false), tpm.open()] {
            assert_eq!(other.unwrap(&wrapped, b""), Ok(key()));
        }
        // It can be seen what that is.
        let was = Binding { pcrs: Some("sha256:16".parse().unwrap()), auth: false };
        assert_eq!(Binding::of(&wrapped), Some(was));
        let mut other = wrapped.clone();
        other.bytes[0] = 1;
        assert_eq!(Binding::of(&other), None);
        extend(tpm, 16);
        // No configuration talks it out of its policy.
        for other in [bound(tpm, "sha256:7", false), tpm.open()] {
            assert!(matches!(other.unwrap(&wrapped, b""), Err(HsmError::PcrMismatch { .. })));
        }
    });
}

#[test]
fn all_pcrs_at_once() {
    on_swtpm(all_pcrs_at_once, |tpm| {
        let all: Vec<String> = (0..24).map(|number| number.to_string()).collect();
        let hsm = bound(tpm, &format!("sha256:{}", all.join(",")), false);
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        extend(tpm, 16);
        assert!(matches!(hsm.unwrap(&wrapped, b""), Err(HsmError::PcrMismatch { .. })));
    });
}

#[test]
fn a_bank_that_the_tpm_does_not_keep_is_refused() {
    on_swtpm(a_bank_that_the_tpm_does_not_keep_is_refused, |tpm| {
        tpm.tool("tpm2_pcrallocate", &["sha256:none+sha1:all"]);
        tpm.kill();
        tpm.start_again();
        let hsm = bound(tpm, "sha256:7", false);
        let error = hsm.create_root_key(&root_id()).unwrap_err();
        assert_says(&error, &["the TPM does not have all of PCRs sha256:7"]);
        assert_eq!(hsm.root_keys().unwrap(), []);
    });
}
