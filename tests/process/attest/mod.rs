//! `claviger attest`: bundles of a real token and of a software TPM, and every change of them noticed.
mod chain;
mod keys;

use crate::harness::{Exit, program, run};
use crate::roots::support::{Swtpm, command, root};
use crate::setup::Deployment;
use claviger::attest::{Bundle, Grade, Known, Refusal, verify};
use serde_json::Value;
use std::path::PathBuf;

const NONCE: &str = "000102030405060708090a0b0c0d0e0f";

fn out(deployment: &Deployment) -> PathBuf {
    deployment.dir.path().join("bundle.json")
}

/// `claviger attest WORDS… --config FILE MORE…`, into the bundle's file.
fn attest(deployment: &Deployment, words: &[&str], more: &[&str]) -> Exit {
    let out = out(deployment);
    let words = [&["attest"], words].concat();
    run(command(deployment, &words, &[more, &["--out", out.to_str().unwrap()]].concat()))
}

fn root_bundle(deployment: &Deployment, more: &[&str]) -> Exit {
    attest(deployment, &["root"], &[more, &["--nonce", NONCE]].concat())
}

fn good(exit: &Exit) {
    assert!(exit.status.success(), "{exit:#?}");
}

/// A command with no configuration, no device, no SoftHSM.
fn offline(words: &[&str]) -> Exit {
    run({
        let mut command = program(None);
        command.arg("attest").args(words);
        command
    })
}

fn check(deployment: &Deployment, more: &[&str]) -> Exit {
    offline(&[&["verify", out(deployment).to_str().unwrap()], more].concat())
}

#[test]
fn a_token_claims_and_software_proves_nothing() {
    let deployment = Deployment::new(true);
    good(&root_bundle(&deployment, &[]));
    let checked = check(&deployment, &["--nonce", NONCE]);
    good(&checked);
    for part in [
        "software: proves nothing about hardware",
        "CKA_NEVER_EXTRACTABLE   true",
        "CKA_LOCAL               true",
        "CKA_KEY_GEN_MECHANISM   CKM_AES_KEY_GEN",
        "nobody signed it",
    ] {
        assert!(checked.stdout.contains(part), "{part:?} is missing in {checked:#?}");
    }
    let other = NONCE.replace("0f", "10");
    check(&deployment, &["--nonce", &other]).assert(1, &["another nonce", NONCE, &other]);
    check(&deployment, &["--nonce", "00"]).assert(2, &["16 to 64 bytes"]);
    check(&deployment, &["--attestation-key", "00"]).assert(1, &["no TPM signed"]);
    check(&deployment, &["--kept", "x"]).assert(2, &["--trust"]);
    root_bundle(&deployment, &["--device", "nobody"])
        .assert(1, &["there is no device \"nobody\"", "pkcs11"]);
    // The same question, the same bytes but for the time.
    let parse = || Bundle::from_bytes(&std::fs::read(out(&deployment)).unwrap()).unwrap();
    let first = parse();
    good(&root_bundle(&deployment, &[]));
    let mut second = parse();
    second.statement.time.clone_from(&first.statement.time);
    assert_eq!((&second.statement, &second.devices), (&first.statement, &first.devices));
    let file = std::fs::read(out(&deployment)).unwrap();
    std::fs::write(out(&deployment), &file[..file.len() / 2]).unwrap();
    check(&deployment, &[]).assert(1, &["bundle.json", "not a bundle: EOF"]);
}

#[test]
fn a_tpm_signs_the_whole_bundle() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start();
    deployment.more = swtpm.section("chip");
    deployment.write_config(&deployment.text(&deployment.data()));
    root_bundle(&deployment, &["--device", "chip"]).assert(1, &["\"chip\" has no root key"]);
    good(&root(&deployment, "add-wrap", &["chip"]));
    good(&root_bundle(&deployment, &["--device", "chip"]));

    let good_bytes = std::fs::read(out(&deployment)).unwrap();
    let none = Known::default();
    let verdict = verify(&good_bytes, &none).unwrap();
    assert_eq!((verdict.grade, verdict.devices.len()), (Grade::Software, 1));
    let proven = &verdict.devices[0].proven;
    let name = proven.iter().find(|claim| claim.name == "attestation key").unwrap();
    let name = hex::decode(&name.value).unwrap();
    for at in 0..good_bytes.len() {
        for change in [1, 0x20, 0x80] {
            let mut bad = good_bytes.clone();
            bad[at] ^= change;
            assert!(verify(&bad, &none).is_err(), "byte {at} changed by {change:x}");
        }
    }

    // Words that were changed, with a digest to match: the TPM signed other words.
    let mut forged = Bundle::from_bytes(&good_bytes).unwrap();
    forged.devices[0].words.info.as_mut().unwrap().hardware = true;
    let words = forged.devices.iter().map(|evidence| &evidence.words);
    forged.digest.0 = Bundle::digest(&forged.statement, words).unwrap().to_vec();
    let refused = verify(forged.to_text().unwrap().as_bytes(), &none).unwrap_err();
    assert!(matches!(refused, Refusal::Signature(_)), "{refused}");
    // Without the signature they are words.
    forged.devices[0].signed = None;
    let verdict = verify(forged.to_text().unwrap().as_bytes(), &none).unwrap();
    assert_eq!(verdict.grade, Grade::DeviceClaims);
    let named = Known { attestation_keys: vec![name.clone()], ..Known::default() };
    let refused = verify(forged.to_text().unwrap().as_bytes(), &named).unwrap_err();
    assert!(matches!(refused, Refusal::Unsigned), "{refused}");

    // A software TPM stays software, whoever is named; another name is refused.
    assert_eq!(verify(&good_bytes, &named).unwrap().grade, Grade::Software);
    let name = hex::encode(name);
    let json = check(&deployment, &["--attestation-key", &name, "--nonce", NONCE, "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["grade"], json["notes"].as_array().unwrap().len()), (&"software".into(), 0));
    let other = name.replacen("000b", "000c", 1);
    check(&deployment, &["--attestation-key", &other]).assert(1, &["another attestation key"]);

    // All roots at once: the token's and the TPM's.
    good(&root_bundle(&deployment, &[]));
    let checked = check(&deployment, &[]);
    for part in ["device pkcs11", "device chip", "CKA_SENSITIVE", "PCR 7"] {
        assert!(checked.stdout.contains(part), "{part:?} is missing in {checked:#?}");
    }
}
