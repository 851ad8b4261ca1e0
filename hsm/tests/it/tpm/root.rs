//! Root keys and what is kept of them: cleared TPMs, other TPMs, NV indices that are not as we
//! left them.

use super::support::{AUTH, Swtpm, assert_says, auth, key, on_swtpm, root_id};
use claviger_hsm::{Hsm, HsmError, RootKeyId};

/// The first NV index of ours.
const INDEX: &str = "0x018c1a00";

#[test]
fn says_what_it_is() {
    on_swtpm(says_what_it_is, |tpm| {
        let info = tpm.open().info();
        assert_eq!((info.vendor.as_str(), info.model.as_str()), ("IBM", "SW TPM (TPM 2.0)"));
        assert_eq!((info.serial.len(), info.label), (16, tpm.tcti()));
        assert!(info.firmware.is_some_and(|firmware| firmware.split('.').count() == 4));
        // Software, whatever it says of itself.
        assert!(!info.hardware);
    });
}

#[test]
fn reports_all_an_operator_asks_for() {
    on_swtpm(reports_all_an_operator_asks_for, |tpm| {
        let hsm = tpm.open_with(|config| config.pcrs = Some("sha256:7".parse().unwrap()));
        hsm.create_root_key(&root_id()).unwrap();
        let report = hsm.report().unwrap();
        assert_eq!(report.device, hsm.info());
        assert_eq!(report.tcti, tpm.tcti());
        assert!(report.revision.starts_with("1."), "{}", report.revision);
        assert_eq!(report.properties["PcrCount"], 24);
        assert_eq!(report.properties["HrTransientAvail"], 3);
        let banks = report.pcr_banks.join("; ");
        assert!(banks.contains("sha256: 0 1 2 3"), "{banks}");
        for algorithm in ["Ecc", "Sha256", "EcDsa", "KeyedHash"] {
            let has = report.algorithms.iter().any(|found| found == algorithm);
            assert!(has, "{algorithm} in {:?}", report.algorithms);
        }
        let lockout = report.lockout.unwrap();
        assert_eq!((lockout.locked, lockout.counter, lockout.max), (false, 0, 3));
        let [root] = report.roots.as_slice() else { panic!("{:?}", report.roots) };
        assert_eq!(root.nv_index, INDEX);
        assert_eq!(root.id.as_deref(), Some(root_id().as_str()));
        assert_eq!((root.auth, root.fault.as_deref()), (Some(false), None));
        assert_eq!(root.name.as_ref().map(|name| (name.len(), &name[..4])), Some((68, "000b")));
        let advice = report.advice.join("; ");
        assert!(advice.contains("a software TPM"), "{advice}");
        assert!(!advice.contains("standard error"), "TSS2_LOG is set here: {advice}");
    });
}

#[test]
fn two_calls_make_one_key() {
    on_swtpm(two_calls_make_one_key, |tpm| {
        let hsm = tpm.open();
        let made = std::thread::scope(|scope| {
            let calls = [(); 4].map(|()| scope.spawn(|| hsm.create_root_key(&root_id())));
            calls.map(|call| call.join().unwrap())
        });
        assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 1);
        let exists = Err(HsmError::KeyExists(root_id()));
        assert_eq!(made.iter().filter(|result| **result == exists).count(), 3);
        hsm.check_root_key(&root_id()).unwrap();
    });
}

#[test]
fn a_cleared_tpm_has_lost_its_root_keys_and_says_so() {
    on_swtpm(a_cleared_tpm_has_lost_its_root_keys_and_says_so, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let serial = hsm.info().serial;
        tpm.tool("tpm2_clear", &["-c", "p"]);
        // The device that has used it a moment ago, and a new one.
        for hsm in [hsm, tpm.open()] {
            for result in [
                hsm.unwrap(&wrapped, b"").map(drop),
                hsm.wrap(&root_id(), &key(), b"").map(drop),
                hsm.check_root_key(&root_id()),
            ] {
                let error = result.unwrap_err();
                assert!(matches!(error, HsmError::NoSuchKey { .. }), "{error:?}");
                assert_says(&error, &[root_id().as_str(), "it was cleared, it is another one"]);
            }
            assert_eq!(hsm.root_keys().unwrap(), []);
        }
        let hsm = tpm.open();
        assert_ne!(hsm.info().serial, serial);
        // A root key of the same name is another key.
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(hsm.unwrap(&wrapped, b""), Err(HsmError::Authentication));
    });
}

#[test]
fn a_key_opens_in_its_own_tpm_only() {
    on_swtpm(a_key_opens_in_its_own_tpm_only, |tpm| {
        let other = Swtpm::start();
        let (here, there) = (tpm.open(), other.open());
        here.create_root_key(&root_id()).unwrap();
        let wrapped = here.wrap(&root_id(), &key(), b"").unwrap();
        let error = there.unwrap(&wrapped, b"").unwrap_err();
        assert!(matches!(error, HsmError::NoSuchKey { .. }), "{error:?}");
        there.create_root_key(&root_id()).unwrap();
        assert_eq!(there.unwrap(&wrapped, b""), Err(HsmError::Authentication));
        // Nor does the record make the key: copied to the other TPM it is found out.
        let name = |hsm: &claviger_hsm::TpmHsm| hsm.report().unwrap().roots[0].name.clone();
        assert_ne!(name(&here), name(&there));
        tpm.tool("tpm2_nvread", &[INDEX, "-C", "o", "-o", "record"]);
        std::fs::copy(tpm.dir().join("record"), other.dir().join("record")).unwrap();
        other.tool("tpm2_nvwrite", &[INDEX, "-C", "o", "-i", "record"]);
        let fresh = other.open();
        for hsm in [&there, &fresh] {
            let error = hsm.check_root_key(&root_id()).unwrap_err();
            assert!(matches!(error, HsmError::BadAttributes { .. }), "{error:?}");
            assert_says(&error, &["Name wanted 000b", "found 000b"]);
        }
    });
}

/// Defines an NV index of ours by other means, with this content.
fn plant(tpm: &Swtpm, index: &str, content: Option<&[u8]>) {
    let len = content.map_or(40, <[u8]>::len).to_string();
    let attributes = "ownerread|ownerwrite|authread|no_da";
    tpm.tool("tpm2_nvdefine", &[index, "-s", &len, "-a", attributes]);
    if let Some(content) = content {
        std::fs::write(tpm.dir().join("content"), content).unwrap();
        tpm.tool("tpm2_nvwrite", &[index, "-C", "o", "-i", "content"]);
    }
}

#[test]
fn what_is_not_ours_in_our_range_is_left_alone_and_reported() {
    on_swtpm(what_is_not_ours_in_our_range_is_left_alone_and_reported, |tpm| {
        std::fs::write(tpm.dir().join("eight"), [8; 8]).unwrap();
        // Making a root key was cut short; something of somebody's; a record with a bad name.
        plant(tpm, "0x018c1a00", None);
        plant(tpm, "0x018c1a01", Some(b"not a record"));
        let spaced = [&[1, 0][..], &[0; 34], b"with space"].concat();
        plant(tpm, "0x018c1a02", Some(&spaced));
        plant(tpm, "0x018c1a03", Some(&[1; 600]));
        // One that not even the owner may read.
        tpm.tool("tpm2_nvdefine", &["0x018c1a04", "-s", "8", "-a", "authread|ownerwrite|no_da"]);
        tpm.tool("tpm2_nvwrite", &["0x018c1a04", "-C", "o", "-i", "eight"]);
        let hsm = tpm.open();
        assert_eq!(hsm.root_keys().unwrap(), []);
        hsm.create_root_key(&root_id()).unwrap();
        assert_eq!(hsm.root_keys().unwrap(), [root_id()]);
        hsm.check_root_key(&root_id()).unwrap();
        let report = hsm.report().unwrap();
        let faults: Vec<_> = report.roots.iter().filter_map(|root| root.fault.clone()).collect();
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(faults[0].contains("cut short"), "{faults:?}");
        assert!(faults[1].contains("does not hold the record"), "{faults:?}");
        assert!(faults[3].contains("600 bytes"), "{faults:?}");
        let advice = report.advice.join("; ");
        assert!(advice.contains("tpm2_nvundefine"), "{advice}");
    });
}

#[test]
fn two_records_of_one_name_are_refused() {
    on_swtpm(two_records_of_one_name_are_refused, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        tpm.tool("tpm2_nvread", &[INDEX, "-C", "o", "-o", "record"]);
        let record = std::fs::read(tpm.dir().join("record")).unwrap();
        plant(tpm, "0x018c1a07", Some(&record));
        let error = hsm.check_root_key(&root_id()).unwrap_err();
        assert_eq!(error, HsmError::DuplicateKey { id: root_id(), count: 2 });
        let error = tpm.open().wrap(&root_id(), &key(), b"").unwrap_err();
        assert_eq!(error, HsmError::DuplicateKey { id: root_id(), count: 2 });
    });
}

/// Who may write NV takes the auth value away from a root key. Nothing is wrapped without it then,
/// and what was wrapped with it does not open without it.
#[test]
fn a_record_without_its_auth_value_is_not_believed() {
    on_swtpm(a_record_without_its_auth_value_is_not_believed, |tpm| {
        let open = || tpm.open_with(|config| config.auth = auth(AUTH));
        let hsm = open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        tpm.tool("tpm2_nvread", &[INDEX, "-C", "o", "-o", "record"]);
        let mut record = std::fs::read(tpm.dir().join("record")).unwrap();
        assert_eq!(record[1], 1);
        record[1] = 0;
        tpm.tool("tpm2_nvundefine", &[INDEX, "-C", "o"]);
        plant(tpm, INDEX, Some(&record));
        let fresh = open();
        assert_eq!(fresh.unwrap(&wrapped, b""), Err(HsmError::Authentication));
        assert!(matches!(fresh.wrap(&root_id(), &key(), b""), Err(HsmError::Refused(_))));
        assert_eq!(tpm.open().unwrap(&wrapped, b""), Err(HsmError::Authentication));
        // The key itself is what it was: with the record put right all is well.
        record[1] = 1;
        tpm.tool("tpm2_nvwrite", &[INDEX, "-C", "o", "-i", "record"]);
        assert!(matches!(open().unwrap(&wrapped, b""), Err(HsmError::WrongPin { .. })));
    });
}

#[test]
fn root_keys_of_different_names_are_different_keys() {
    on_swtpm(root_keys_of_different_names_are_different_keys, |tpm| {
        let hsm = tpm.open();
        let ids = ["a", "b", "claviger/test/rk-d/1", "claviger/test/rk-d/10"].map(RootKeyId::new);
        for id in &ids {
            hsm.create_root_key(id).unwrap();
        }
        assert_eq!(hsm.root_keys().unwrap(), ids);
        let report = hsm.report().unwrap();
        let names: std::collections::BTreeSet<_> =
            report.roots.iter().map(|root| root.name.clone()).collect();
        assert_eq!(names.len(), ids.len());
    });
}

#[test]
fn an_owner_with_an_auth_value_is_named() {
    on_swtpm(an_owner_with_an_auth_value_is_named, |tpm| {
        tpm.tool("tpm2_changeauth", &["-c", "owner", "secret"]);
        let error = claviger_hsm::TpmHsm::open(tpm.config()).unwrap_err();
        assert_says(&error, &["Owner hierarchy has an auth value", "tpm2_changeauth"]);
    });
}
