//! The maker's certificate, and the challenge that ties it to the attestation key.

use super::support::{Swtpm, assert_says, on_swtpm, root_id};
use claviger_hsm::tpm::ENDORSEMENT_CERTIFICATE;
use claviger_hsm::{Challenge, Hsm, HsmError};

const NONCE: [u8; 32] = [7; 32];
const SECRET: [u8; 32] = [0x5e; 32];

/// The endorsement key as another program reads it (SubjectPublicKeyInfo in DER), and the Name of the
/// attestation key.
fn keys(tpm: &Swtpm) -> (Vec<u8>, Vec<u8>) {
    tpm.tool("tpm2_createek", &["-G", "rsa", "-c", "ek.ctx", "-u", "ek.der", "-f", "der"]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
    let quote = tpm.open().quote(&"sha256:0".parse().unwrap(), &NONCE).unwrap();
    let name = quote.verify(&NONCE).unwrap().attestation_key;
    (std::fs::read(tpm.dir().join("ek.der")).unwrap(), name)
}

fn refused(hsm: &dyn Hsm, challenge: &Challenge) {
    let error = hsm.answer_challenge(challenge).unwrap_err();
    assert_says(&error, &["the challenge is not for this TPM with its attestation key"]);
}

#[test]
fn one_tpm_answers_a_challenge_and_for_one_key() {
    on_swtpm(one_tpm_answers_a_challenge_and_for_one_key, |tpm| {
        let (endorsement, name) = keys(tpm);
        let hsm = tpm.open();
        let made = Challenge::new(&endorsement, &name, &SECRET).unwrap();
        assert_eq!(hsm.answer_challenge(&made).unwrap().expose(), SECRET);
        // As often as it is asked, and nothing stays loaded.
        assert_eq!(hsm.answer_challenge(&made).unwrap().expose(), SECRET);
        // Another key's, another TPM's.
        let mut other = name.clone();
        other[20] ^= 1;
        refused(&hsm, &Challenge::new(&endorsement, &other, &SECRET).unwrap());
        let second = Swtpm::start();
        let (of_second, name_of_second) = keys(&second);
        assert_ne!(of_second, endorsement);
        refused(&hsm, &Challenge::new(&of_second, &name_of_second, &SECRET).unwrap());
        refused(&hsm, &Challenge::new(&of_second, &name, &SECRET).unwrap());
        refused(&second.open(), &made);
        // Every part of it, changed, cut and lengthened.
        for at in 0..made.credential.len() {
            let mut bad = made.clone();
            bad.credential[at] ^= 1;
            refused(&hsm, &bad);
        }
        for at in [0, 100, made.secret.len() - 1] {
            let mut bad = made.clone();
            bad.secret[at] ^= 1;
            refused(&hsm, &bad);
        }
        for len in [0, 1, 33, made.credential.len() - 1] {
            let credential = made.credential[..len].to_vec();
            refused(&hsm, &Challenge { credential, ..made.clone() });
        }
        for secret in [Vec::new(), made.secret[..255].to_vec(), vec![0; 4096]] {
            refused(&hsm, &Challenge { secret, ..made.clone() });
        }
        let report = hsm.report().unwrap();
        assert_eq!((report.transient_objects.len(), report.loaded_sessions.len()), (0, 0));
        assert_eq!(hsm.answer_challenge(&made).unwrap().expose(), SECRET);
    });
}

#[test]
fn what_others_make_is_answered_too() {
    on_swtpm(what_others_make_is_answered_too, |tpm| {
        let (_, name) = keys(tpm);
        std::fs::write(tpm.dir().join("secret"), SECRET).unwrap();
        tpm.tool("tpm2_createek", &["-G", "rsa", "-c", "ek.ctx", "-u", "ek.pub"]);
        tpm.tool("tpm2_flushcontext", &["-t"]);
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let args = ["-u", "ek.pub", "-s", "secret", "-n", &name, "-o", "blob"];
        tpm.tool("tpm2_makecredential", &args);
        // A header of tpm2-tools (magic, version), then the two with their lengths.
        let blob = std::fs::read(tpm.dir().join("blob")).unwrap();
        let sized = |at: usize| {
            let len = usize::from(u16::from_be_bytes([blob[at], blob[at + 1]]));
            blob[at + 2..at + 2 + len].to_vec()
        };
        let credential = sized(8);
        let secret = sized(8 + 2 + credential.len());
        let opened = tpm.open().answer_challenge(&Challenge { credential, secret });
        assert_eq!(opened.unwrap().expose(), SECRET);
    });
}

#[test]
fn the_certificate_is_read_from_the_tpm() {
    on_swtpm(the_certificate_is_read_from_the_tpm, |tpm| {
        let hsm = tpm.open();
        hsm.create_root_key(&root_id()).unwrap();
        let claim = |name: &str| {
            let claims = hsm.root_key_claims(&root_id()).unwrap();
            claims.into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
        };
        assert_eq!(claim(ENDORSEMENT_CERTIFICATE), None);
        assert_eq!(claim("auth value needed").as_deref(), Some("false"));
        // Longer than one command gives, and with room after it.
        let certificate = [&[0x30, 0x82, 4, 0][..], &[7; 1024]].concat();
        let store = |bytes: &[u8], len: usize| {
            std::fs::write(tpm.dir().join("certificate"), bytes).unwrap();
            let (index, size) = ("0x01c00002", len.to_string());
            let attributes = "ppwrite|ppread|ownerread|authread|no_da|platformcreate";
            tpm.tool("tpm2_nvdefine", &[index, "-C", "p", "-s", &size, "-a", attributes]);
            tpm.tool("tpm2_nvwrite", &[index, "-C", "p", "-i", "certificate"]);
        };
        store(&certificate, 1300);
        let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(claim(ENDORSEMENT_CERTIFICATE), Some(hex));
        for (bytes, len) in [(vec![0xff; 64], 64), (certificate[..64].to_vec(), 64)] {
            tpm.tool("tpm2_nvundefine", &["0x01c00002", "-C", "p"]);
            store(&bytes, len);
            assert_eq!(claim(ENDORSEMENT_CERTIFICATE), None);
            let why = claim("EK certificate unreadable").unwrap();
            assert!(why.contains("no certificate in its NV index"), "{why}");
        }
        // What signs it, whole.
        let made = hsm.certify_root_key(&root_id(), &NONCE).unwrap().unwrap();
        made.certification.verify(&NONCE).unwrap();
        made.quote.verify(&NONCE).unwrap();
        assert_eq!(made.quote.pcrs.len(), 8);
        let absent = hsm.root_key_claims(&claviger_hsm::RootKeyId::new("absent"));
        assert!(matches!(absent, Err(HsmError::NoSuchKey { .. })), "{absent:?}");
    });
}
