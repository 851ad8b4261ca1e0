//! `claviger attest KEY`: of the running server, and of one that stands still.
use super::{NONCE, attest, check, good};
use crate::events;
use crate::resident::{create, store};
use crate::roots::support::{Swtpm, away, root, root_json, until};
use crate::setup::{ACCOUNT, Deployment};
use claviger::attest::{Bundle, Grade, Holds, Known, verify};
use serde_json::{Value, json};

fn key(deployment: &Deployment, named: &str, more: &[&str]) -> Bundle {
    good(&attest(deployment, &[named], &[&["--nonce", NONCE], more].concat()));
    Bundle::from_bytes(&std::fs::read(super::out(deployment)).unwrap()).unwrap()
}

#[test]
fn a_key_is_shown_with_the_roots_that_open_it() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start();
    deployment.more = swtpm.section("chip");
    deployment.write_config(&deployment.text(&deployment.data()));
    good(&root(&deployment, "add-wrap", &["chip"]));
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let region = arn.split(':').nth(3).unwrap().to_owned();
    client.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": id})).unwrap();

    // The server has the TPM open, and asks it itself; a slow one may open after the server is ready.
    until("the TPM is there", || !away(&root_json(&deployment, "status", &[]), "chip"));
    let shown = key(&deployment, &arn, &[]);
    let said = shown.statement.key.as_ref().unwrap();
    assert_eq!((&said.arn, said.origin.as_str()), (&arn, "AWS_KMS"));
    let roots = &shown.statement.domain_keys[0].roots;
    let devices: Vec<&str> = shown.devices.iter().map(|one| one.words.device.as_str()).collect();
    assert_eq!((roots.len(), devices), (2, vec!["pkcs11", "chip"]));
    assert!(shown.devices[0].signed.is_none() && shown.devices[1].signed.is_some());
    let verdict = verify(shown.to_text().unwrap().as_bytes(), &Known::default()).unwrap();
    assert_eq!(verdict.grade, Grade::Software);
    let region = region.as_str();
    for (named, more) in [
        (id.as_str(), vec!["--region", region]),
        ("alias/a", vec!["--region", region, "--account", ACCOUNT]),
        (&format!("arn:aws:kms:{region}:{ACCOUNT}:alias/a"), vec![]),
    ] {
        assert_eq!(key(&deployment, named, &more).statement.key.as_ref(), Some(said), "{named}");
    }
    let checked = check(&deployment, &["--nonce", NONCE]);
    good(&checked);
    for part in [arn.as_str(), "SYMMETRIC_DEFAULT", "opened by any of"] {
        assert!(checked.stdout.contains(part), "{part:?} is missing in {checked:#?}");
    }

    for (named, more, part) in [
        (id.as_str(), vec![], "several regions: give --region, or the key's ARN"),
        ("alias/none", vec!["--region", region], "alias/none is not found"),
        ("nonsense", vec!["--region", region], "Invalid keyId"),
        ("arn:aws:s3:::a", vec![], "not a key's ARN"),
        (&arn.replace(ACCOUNT, "999999999999"), vec![], "does not exist"),
        (id.as_str(), vec!["--region", "eu-west-9"], "does not exist"),
    ] {
        attest(&deployment, &[named], &more).assert(1, &[part]);
    }
    super::offline(&[]).assert(2, &["KEY"]);

    let logged = events::read(&deployment.data().join("audit"));
    let ours: Vec<&Value> = logged.iter().filter(|event| event["eventName"] == "Attest").collect();
    assert_eq!(ours.len(), 10, "{ours:?}");
    assert_eq!(ours[0]["serviceEventDetails"]["key"], arn);
    assert!(ours[5]["serviceEventDetails"]["error"].as_str().unwrap().contains("not found"));

    // The same of a deployment that stands still.
    drop(process);
    assert_eq!(key(&deployment, &arn, &[]).statement.key.as_ref(), Some(said));
}

#[test]
fn a_key_in_a_token_is_shown_by_the_token() {
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let store = store(&mut client);
    for (spec, usage) in
        [("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY")]
    {
        let id = create(&mut client, &store, spec, usage).unwrap();
        let described = client.kms("DescribeKey", json!({"KeyId": id})).unwrap();
        let arn = described["KeyMetadata"]["Arn"].as_str().unwrap();
        let shown = key(&deployment, arn, &[]);
        let said = shown.statement.key.as_ref().unwrap();
        assert_eq!((said.origin.as_str(), said.spec.as_str()), ("AWS_CLOUDHSM", spec));
        assert_eq!(said.custom_key_store.as_ref(), Some(&store));
        assert_eq!(said.public_key.is_some(), spec == "ECC_NIST_P256");
        // No row of the store has it, so no root opens it.
        assert_eq!((shown.statement.domain_keys.len(), shown.devices.len()), (0, 1));
        let words = &shown.devices[0].words;
        assert!(matches!(&words.holds, Holds::KmsKey(object) if object.contains(&id)), "{words:?}");
        for (name, value) in [
            ("CKA_NEVER_EXTRACTABLE", "true"),
            ("CKA_ALWAYS_SENSITIVE", "true"),
            ("CKA_EXTRACTABLE", "false"),
            ("CKA_LOCAL", "true"),
        ] {
            assert_eq!(words.claim(name), Some(value), "{words:?}");
        }
        assert!(words.claim("CKA_KEY_GEN_MECHANISM").unwrap().starts_with("CKM_"), "{words:?}");
        let checked = check(&deployment, &[]);
        for part in ["the KMS key", "software: proves nothing", "nobody signed it"] {
            assert!(checked.stdout.contains(part), "{part:?} is missing in {checked:#?}");
        }
    }
}
