//! Hundreds of failures of every kind, and nothing of ours stays loaded in the TPM.

use super::support::{AUTH, auth, key, on_swtpm, root_id};
use claviger_hsm::{Hsm, HsmError, RootKeyId};
use tss_esapi::constants::SessionType;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::structures::SymmetricDefinition;

#[test]
fn failures_leave_nothing_loaded() {
    on_swtpm(failures_leave_nothing_loaded, |tpm| {
        let hsm = tpm.open_with(|config| {
            config.pcrs = Some("sha256:16".parse().unwrap());
            config.auth = auth(AUTH);
        });
        hsm.create_root_key(&root_id()).unwrap();
        let good = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let mismatched = hsm.wrap(&root_id(), &key(), b"").unwrap();
        tpm.tool("tpm2_pcrextend", &[&format!("16:sha256={}", "11".repeat(32))]);
        let wrong = tpm.open_with(|config| config.auth = auth("wrong-horse-7"));
        let absent = RootKeyId::new("claviger/test/absent");
        // In the middle of the private part: past everything that is checked before the TPM is.
        let mut forged = good.clone();
        let at = forged.bytes.len() - 32 - 28 - 20;
        forged.bytes[at] ^= 1;
        for round in 0..60 {
            let results = [
                hsm.unwrap(&mismatched, b"").map(drop),
                hsm.unwrap(&forged, b"").map(drop),
                hsm.wrap(&absent, &key(), b"").map(drop),
                hsm.create_root_key(&root_id()),
                wrong.unwrap(&good, b"").map(drop),
            ];
            let [
                Err(HsmError::PcrMismatch { .. }),
                Err(HsmError::Authentication),
                Err(HsmError::NoSuchKey { .. }),
                Err(HsmError::KeyExists(_)),
                Err(HsmError::WrongPin { .. }),
            ] = results
            else {
                panic!("round {round}: {results:?}")
            };
        }
        let report = hsm.report().unwrap();
        assert_eq!((report.transient_objects, report.loaded_sessions), (vec![], vec![]));
        assert_eq!(report.properties["HrTransientAvail"], 3);
        assert_eq!(report.lockout.unwrap().counter, 1);
        tpm.tool("tpm2_pcrreset", &["16"]);
        assert_eq!(hsm.unwrap(&good, b""), Ok(key()));
        // The check sees what is there: a session and an object of somebody else's.
        let mut raw = tpm.raw();
        let (cipher, hash) = (SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256);
        raw.start_auth_session(None, None, None, SessionType::Hmac, cipher, hash).unwrap();
        tpm.tool("tpm2_createprimary", &["-C", "n", "-c", "primary"]);
        let report = hsm.report().unwrap();
        assert_eq!((report.transient_objects.len(), report.loaded_sessions.len()), (1, 1));
    });
}
