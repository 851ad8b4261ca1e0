//! The TPM as a device: the suite under each kind of policy.

use super::support::{AUTH, auth, on_swtpm};
use claviger_hsm::suite;

#[test]
fn passes_the_suite() {
    on_swtpm(passes_the_suite, |tpm| suite::all(&tpm.open()));
}

#[test]
fn passes_the_suite_with_pcrs_and_an_auth_value() {
    on_swtpm(passes_the_suite_with_pcrs_and_an_auth_value, |tpm| {
        let hsm = tpm.open_with(|config| {
            config.pcrs = Some("sha256:7,16".parse().unwrap());
            config.auth = auth(AUTH);
        });
        suite::all(&hsm);
        // Thousands of forged keys: none was an attempt at the auth value, none left anything.
        let report = hsm.report().unwrap();
        assert_eq!(report.lockout.unwrap().counter, 0);
        assert_eq!((report.transient_objects, report.loaded_sessions), (vec![], vec![]));
    });
}
