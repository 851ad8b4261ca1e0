//! Others at the same TPM: its few slots are shared, and waited for.

use super::support::{assert_says, key, on_swtpm, root_id};
use claviger_hsm::{Hsm, HsmError};
use std::time::Duration;
use tss_esapi::Context;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::Public;
use tss_esapi::traits::UnMarshall;

#[test]
fn two_devices_work_at_once() {
    on_swtpm(two_devices_work_at_once, |tpm| {
        let (one, two) = (tpm.open(), tpm.open());
        one.create_root_key(&root_id()).unwrap();
        std::thread::scope(|scope| {
            for hsm in [&one, &two, &one, &two] {
                scope.spawn(|| {
                    for round in 0..15_u8 {
                        let wrapped = hsm.wrap(&root_id(), &key(), &[round]).unwrap();
                        assert_eq!(hsm.unwrap(&wrapped, &[round]), Ok(key()));
                        assert_eq!(hsm.unwrap(&wrapped, b"x"), Err(HsmError::Authentication));
                    }
                });
            }
        });
        let report = one.report().unwrap();
        assert_eq!((report.transient_objects, report.loaded_sessions), (vec![], vec![]));
    });
}

/// Fills the TPM with objects that nobody flushes until the context is dropped.
fn fill(raw: &mut Context) -> usize {
    let template = [
        &[0, 0x23, 0, 0x0b, 0, 3, 4, 0x72, 0, 0, 0, 6, 0, 128, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10][..],
        &[0; 4],
    ]
    .concat();
    let template = Public::unmarshall(&template).unwrap();
    raw.set_sessions((Some(AuthSession::Password), None, None));
    let make = |raw: &mut Context| {
        raw.create_primary(Hierarchy::Null, template.clone(), None, None, None, None).is_ok()
    };
    (0..10).take_while(|_| make(raw)).count()
}

#[test]
fn a_full_tpm_is_waited_for_and_not_for_ever() {
    on_swtpm(a_full_tpm_is_waited_for_and_not_for_ever, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let mut raw = tpm.raw();
        assert_eq!(fill(&mut raw), 3);
        std::thread::scope(|scope| {
            let call = scope.spawn(|| hsm.unwrap(&wrapped, b""));
            std::thread::sleep(Duration::from_millis(800));
            assert!(!call.is_finished());
            drop(raw);
            assert_eq!(call.join().unwrap(), Ok(key()));
        });
        let mut raw = tpm.raw();
        assert_eq!(fill(&mut raw), 3);
        let error = hsm.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
        assert_says(&error, &["TPM2_CreatePrimary answered 0x902: out of memory for object"]);
        drop(raw);
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
    });
}

/// A TPM that does not answer: callers get an error at their deadline, and later calls answers.
#[test]
fn a_tpm_that_hangs_costs_a_caller_its_deadline() {
    on_swtpm(a_tpm_that_hangs_costs_a_caller_its_deadline, |tpm| {
        let patient = tpm.open();
        patient.create_root_key(&root_id()).unwrap();
        let wrapped = patient.wrap(&root_id(), &key(), b"").unwrap();
        let hsm = tpm.open_with(|config| config.deadline = Duration::from_millis(1500));
        tpm.signal("STOP");
        for _ in 0..3 {
            let error = hsm.unwrap(&wrapped, b"").unwrap_err();
            assert!(matches!(error, HsmError::Unavailable(_)), "{error:?}");
            assert_says(&error, &["did not answer within 1.5 s"]);
        }
        tpm.signal("CONT");
        assert!((0..20).any(|_| hsm.unwrap(&wrapped, b"") == Ok(key())));
        assert_eq!(patient.unwrap(&wrapped, b""), Ok(key()));
    });
}
