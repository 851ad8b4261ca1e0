//! Keys that live in a real token: over HTTP they do what they should, and what they are never leaves.
use crate::client::{Client, Failed};
use crate::harness::now;
use crate::setup::{CLUSTER, Deployment, softhsm};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CHILD: &str = "CLAVIGER_RESIDENT_TEST_DIR";
const HELLO: &str = "aGVsbG8=";
/// A token that came back is found again long before.
const BACK: Duration = Duration::from_secs(30);

/// A store that is connected to the token.
pub fn store(client: &mut Client) -> String {
    let body = json!({"CustomKeyStoreName": "hsm", "CloudHsmClusterId": CLUSTER,
        "TrustAnchorCertificate": "certificate", "KeyStorePassword": "is-not-used"});
    let made = client.kms("CreateCustomKeyStore", body).unwrap();
    let id = made["CustomKeyStoreId"].as_str().unwrap().to_owned();
    let named = json!({"CustomKeyStoreId": id});
    client.kms("ConnectCustomKeyStore", named.clone()).unwrap();
    let shown = client.kms("DescribeCustomKeyStores", named).unwrap();
    assert_eq!(shown["CustomKeyStores"][0]["ConnectionState"], "CONNECTED", "{shown}");
    id
}

pub fn create(client: &mut Client, store: &str, spec: &str, usage: &str) -> Result<String, Failed> {
    let body = json!({"CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM", "KeySpec": spec,
        "KeyUsage": usage});
    let made = client.kms("CreateKey", body)?;
    Ok(made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned())
}

/// Every kind of key in turn, used in both directions.
pub fn use_all(client: &mut Client, keys: &[(String, &str)], blobs: &mut Vec<Value>) {
    for (key, usage) in keys {
        match *usage {
            "ENCRYPT" => {
                let body =
                    json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": {"a": "b"}});
                blobs.push(client.kms("Encrypt", body).unwrap()["CiphertextBlob"].clone());
                for blob in blobs.iter() {
                    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}});
                    assert_eq!(client.kms("Decrypt", body).unwrap()["Plaintext"], HELLO);
                    let other = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "c"}});
                    let refused = client.kms("Decrypt", other).unwrap_err();
                    assert_eq!(refused.code(), "InvalidCiphertextException");
                }
            }
            "RSA" => {
                let body = json!({"KeyId": key, "Plaintext": HELLO,
                    "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
                let sealed = client.kms("Encrypt", body).unwrap()["CiphertextBlob"].clone();
                let body = json!({"KeyId": key, "CiphertextBlob": sealed,
                    "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
                assert_eq!(client.kms("Decrypt", body).unwrap()["Plaintext"], HELLO);
            }
            "MAC" => {
                let body = json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
                let mut check = body.clone();
                check["Mac"] = client.kms("GenerateMac", body).unwrap()["Mac"].clone();
                assert_eq!(client.kms("VerifyMac", check).unwrap()["MacValid"], true);
            }
            "AGREE" => {
                let public = client.kms("GetPublicKey", json!({"KeyId": key})).unwrap();
                let body = json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH",
                    "PublicKey": public["PublicKey"]});
                client.kms("DeriveSharedSecret", body).unwrap();
            }
            algorithm => {
                let body = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": algorithm});
                let mut check = body.clone();
                check["Signature"] = client.kms("Sign", body).unwrap()["Signature"].clone();
                assert_eq!(client.kms("Verify", check).unwrap()["SignatureValid"], true);
            }
        }
    }
}

#[test]
fn every_kind_works_over_a_restart_and_none_leaves_the_token() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return attack(Path::new(&dir));
    }
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let id = store(&mut client);
    let keys: Vec<(String, &str)> = [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "ENCRYPT"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "RSA"),
        ("RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
        ("ECC_NIST_P384", "KEY_AGREEMENT", "AGREE"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "MAC"),
    ]
    .into_iter()
    .map(|(spec, usage, how)| (create(&mut client, &id, spec, usage).unwrap(), how))
    .collect();
    let mut blobs = Vec::new();
    use_all(&mut client, &keys, &mut blobs);
    let body = json!({"NumberOfBytes": 32, "CustomKeyStoreId": id});
    client.kms("GenerateRandom", body).unwrap();
    assault(&deployment, keys.len());
    let exit = process.stop();
    assert!(exit.status.success(), "{exit:#?}");
    let process = deployment.serve();
    use_all(&mut deployment.client(&process), &keys, &mut blobs);
}

/// What anybody with the PIN may try, from a process of its own: SoftHSM's configuration comes from
/// the environment.
fn assault(deployment: &Deployment, keys: usize) {
    let test = "resident::every_kind_works_over_a_restart_and_none_leaves_the_token";
    let token = deployment.token.as_ref().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("SOFTHSM2_CONF", &token.conf)
        .env(CHILD, token.conf.parent().unwrap())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
    assert!(stdout.contains(&format!("attacked {keys} keys")), "{stdout}");
}

pub fn session(dir: &Path) -> Session {
    let pin = std::fs::read_to_string(dir.join("pin")).unwrap();
    let pkcs11 = Pkcs11::new(softhsm()).unwrap();
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slots = pkcs11.get_slots_with_token().unwrap();
    let ours = |slot: &&cryptoki::slot::Slot| {
        pkcs11.get_token_info(**slot).unwrap().label() == crate::setup::LABEL
    };
    let session = pkcs11.open_rw_session(*slots.iter().find(ours).unwrap()).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(pin.trim().into()))).unwrap();
    session
}

fn attack(dir: &Path) {
    let session = session(dir);
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(false),
        Attribute::Wrap(true),
    ];
    let mine = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    let mut attacked = 0;
    for class in [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY] {
        let all = session.find_objects(&[Attribute::Class(class), Attribute::Token(true)]).unwrap();
        for object in all.into_iter().filter(|object| is_ours(&session, *object)) {
            attack_one(&session, object, mine);
            attacked += 1;
        }
    }
    println!("attacked {attacked} keys");
}

/// A key of a customer, and not a root.
fn is_ours(session: &Session, object: ObjectHandle) -> bool {
    let label = session.get_attributes(object, &[AttributeType::Label]).unwrap();
    let Some(Attribute::Label(label)) = label.first() else { return false };
    let label = String::from_utf8_lossy(label);
    label.starts_with("claviger/") && label.contains("/key/")
}

fn attack_one(session: &Session, object: ObjectHandle, mine: ObjectHandle) {
    let asked = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::NeverExtractable,
        AttributeType::AlwaysSensitive,
        AttributeType::Private,
    ];
    for attribute in session.get_attributes(object, &asked).unwrap() {
        let good = match attribute {
            Attribute::Extractable(extractable) => !extractable,
            Attribute::Sensitive(held)
            | Attribute::NeverExtractable(held)
            | Attribute::AlwaysSensitive(held)
            | Attribute::Private(held) => held,
            other => panic!("{other:?}"),
        };
        assert!(good, "an attribute is weak");
    }
    let secrets = [
        AttributeType::Value,
        AttributeType::PrivateExponent,
        AttributeType::Prime1,
        AttributeType::Prime2,
    ];
    for secret in secrets {
        let given = session.get_attributes(object, &[secret]);
        assert!(given.is_err() || given.is_ok_and(|given| given.is_empty()), "{secret:?}");
    }
    for mechanism in [Mechanism::AesKeyWrap, Mechanism::AesKeyWrapPad] {
        session.wrap_key(&mechanism, mine, object).unwrap_err();
    }
    let weaker = [Attribute::Extractable(true), Attribute::Sensitive(false)];
    session.copy_object(object, &weaker).unwrap_err();
    for change in weaker {
        session.update_attributes(object, &[change]).unwrap_err();
    }
}

#[test]
fn a_token_that_goes_away_takes_its_keys_along_and_nothing_else() {
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let id = store(&mut client);
    let inside = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap();
    let here = client.kms("CreateKey", json!({})).unwrap()["KeyMetadata"]["KeyId"].clone();
    let body = json!({"KeyId": inside, "Plaintext": HELLO});
    let sealed = client.kms("Encrypt", body.clone()).unwrap()["CiphertextBlob"].clone();

    let token = deployment.token.as_ref().unwrap();
    let (tokens, away) = (token.conf.with_file_name("tokens"), token.conf.with_file_name("away"));
    std::fs::rename(&tokens, &away).unwrap();
    let began = now();
    let mut refused = 0;
    while refused < 20 {
        match client.kms("Encrypt", body.clone()) {
            // The token may have the key in memory still.
            Ok(_) => assert!(began.elapsed() < BACK, "it works without its files"),
            Err(failed) => {
                assert_eq!(failed.code(), "KMSInvalidStateException", "{failed}");
                refused += 1;
            }
        }
        client.kms("Encrypt", json!({"KeyId": here, "Plaintext": HELLO})).unwrap();
    }
    let failed = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap_err();
    assert_eq!(failed.code(), "CustomKeyStoreInvalidStateException", "{failed}");
    std::fs::rename(&away, &tokens).unwrap();
    let began = now();
    let opened = loop {
        match client.kms("Decrypt", json!({"CiphertextBlob": sealed})) {
            Ok(opened) => break opened,
            Err(failed) => {
                assert_eq!(failed.code(), "KMSInvalidStateException", "{failed}");
                assert!(began.elapsed() < BACK, "{failed}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    };
    assert_eq!(opened["Plaintext"], HELLO);
}

#[test]
fn keys_that_were_answered_outlive_kills_and_no_other_is_listed() {
    let deployment = Deployment::new(true);
    let mut process = deployment.serve();
    let id = store(&mut deployment.client(&process));
    let mut answered = Vec::new();
    for round in 0..6 {
        let address = process.address;
        let (key, secret) = deployment.admin.clone();
        let store = id.clone();
        let worker = std::thread::spawn(move || {
            let mut client = Client::new(address, &key, &secret);
            let mut made = Vec::new();
            while let Ok(key) = create(&mut client, &store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
            {
                made.push(key);
            }
            made
        });
        std::thread::sleep(Duration::from_millis(150 + 70 * round));
        process.kill();
        answered.extend(worker.join().unwrap());
        process = deployment.serve();
        let mut client = deployment.client(&process);
        for key in listed(&mut client) {
            let body = json!({"KeyId": key, "Plaintext": HELLO});
            let sealed = client.kms("Encrypt", body).unwrap()["CiphertextBlob"].clone();
            client.kms("Decrypt", json!({"CiphertextBlob": sealed})).unwrap();
        }
        let all = listed(&mut client);
        assert!(answered.iter().all(|key| all.contains(key)), "an answered key is gone");
        // One more may have been made whose answer was lost, in each round.
        assert!(all.len() <= answered.len() + round as usize + 1, "{all:?}");
    }
    assert!(!answered.is_empty());
}

fn listed(client: &mut Client) -> Vec<String> {
    let all = client.kms("ListKeys", json!({"Limit": 1000})).unwrap();
    let keys = all["Keys"].as_array().unwrap();
    keys.iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect()
}
