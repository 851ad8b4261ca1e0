//! Keys in a token, with somebody in between: what comes out of the vendor's library, what happens when the
//! process that it runs in ends, and when its section is gone from the configuration.
use crate::client::{Client, Failed};
use crate::faults::support::{Faulty, meddle, meddling};
use crate::harness::{Process, now, program, start};
use crate::resident::{create, store, use_all};
use crate::roots::helper::helpers;
use crate::setup::{CLUSTER, Deployment, LABEL, softhsm};
use aws_lc_rs::{aead, hmac};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::keys::ciphertext::Blob;
use claviger_hsm::{Hsm, Pin, Pkcs11Config, Pkcs11Hsm, ResidentSpec};
use claviger_pkcs11_shim as shim;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const HELLO: &str = "aGVsbG8=";
const MAC: &str = "HMAC_SHA_256";
/// A helper is started again long before.
const BACK: Duration = Duration::from_secs(30);

/// What one key has made, by which its bytes would be known among others.
enum Trace {
    /// GCM: what was bound, IV ‖ ciphertext ‖ tag.
    Sealed(Vec<u8>, Vec<u8>),
    /// HMAC-SHA-256 of "hello".
    Mac(Vec<u8>),
}

impl Trace {
    fn of_blob(blob: &str) -> Self {
        let blob = B64.decode(blob).unwrap();
        let (sealed, bound) = Blob::parse(&blob).unwrap().for_device(&BTreeMap::new()).unwrap();
        assert_eq!(sealed[0], 12);
        Self::Sealed([&sealed[..1], &bound].concat(), sealed[1..].to_vec())
    }

    fn is_of(&self, key: &[u8]) -> bool {
        match self {
            Self::Sealed(bound, sealed) => {
                let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).unwrap();
                let nonce = aead::Nonce::try_assume_unique_for_key(&sealed[..12]).unwrap();
                let mut body = sealed[12..].to_vec();
                let key = aead::LessSafeKey::new(key);
                key.open_in_place(nonce, aead::Aad::from(bound), &mut body).is_ok()
            }
            Self::Mac(mac) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), b"hello", mac).is_ok()
            }
        }
    }

    /// The line in which its key came out, wherever in the output it stands.
    fn betrayed<'l>(&self, log: &'l [String]) -> Option<&'l String> {
        log.iter().find(|line| {
            let parts = line.split(' ').filter_map(|part| part.split_once('='));
            let bytes = parts.filter_map(|(_, hex)| hex::decode(hex).ok());
            bytes.into_iter().any(|bytes| bytes.windows(32).any(|window| self.is_of(window)))
        })
    }
}

/// What a key that is known has made, and a call that gives it out.
#[test]
fn a_key_that_comes_out_is_found() {
    let key = [0x5a; 32];
    let cipher = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, &key).unwrap());
    let mut body = b"hello".to_vec();
    let nonce = aead::Nonce::assume_unique_for_key([1; 12]);
    cipher.seal_in_place_append_tag(nonce, aead::Aad::from(b"aad"), &mut body).unwrap();
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), b"hello");
    let traces = [
        Trace::Sealed(b"aad".to_vec(), [&[1; 12], &body[..]].concat()),
        Trace::Mac(mac.as_ref().to_vec()),
    ];
    let harmless = format!("C_Encrypt session=3 rv=0x0 out={}", hex::encode([7; 90]));
    let out = |before: &str| format!("{before}0102{}03", hex::encode(key));
    for trace in traces {
        assert_eq!(trace.betrayed(std::slice::from_ref(&harmless)), None);
        for line in
            [out("C_WrapKey session=3 rv=0x0 out="), out("C_GetAttributeValue rv=0x0 0x11=")]
        {
            let log = [harmless.clone(), line.clone()];
            assert_eq!(trace.betrayed(&log), Some(&line));
        }
    }
}

/// The attributes that are a key, or a part of one (PKCS#11 3.1, 4.9 and 6.1.3).
const SECRETS: [&str; 7] =
    [" 0x11=", " 0x123=", " 0x124=", " 0x125=", " 0x126=", " 0x127=", " 0x128="];

#[test]
fn no_call_of_the_library_gives_out_a_key() {
    let faulty = Faulty::new();
    let deployment = &faulty.deployment;
    let log = || shim::log(&deployment.dir.path().join("calls"));
    let process = faulty.serve();
    let mut client = deployment.client(&process);
    let id = store(&mut client);
    let make = |client: &mut Client, spec, usage| create(client, &id, spec, usage).unwrap();
    // No key that agrees: what that gives is made to be read (the crate's own tests watch it).
    let keys: Vec<(String, &str)> = [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "ENCRYPT"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "RSA"),
        ("RSA_2048", "SIGN_VERIFY", "RSASSA_PKCS1_V1_5_SHA_256"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "MAC"),
    ]
    .into_iter()
    .map(|(spec, usage, how)| (make(&mut client, spec, usage), how))
    .collect();
    let all_made = log().len();
    let (aes, mac) = (keys[0].0.clone(), keys[4].0.clone());
    let made = client.kms("Encrypt", json!({"KeyId": aes, "Plaintext": HELLO})).unwrap();
    let sealed = Trace::of_blob(made["CiphertextBlob"].as_str().unwrap());
    let body = json!({"KeyId": mac, "Message": HELLO, "MacAlgorithm": MAC});
    let made = client.kms("GenerateMac", body).unwrap();
    let authenticated = Trace::Mac(B64.decode(made["Mac"].as_str().unwrap()).unwrap());

    let mut blobs = Vec::new();
    use_all(&mut client, &keys, &mut blobs);
    manage(&mut client, &id, &aes);
    let stopped = log().len();
    assert!(stopped > all_made + 20);
    let exit = process.stop();
    assert!(exit.status.success(), "{exit:#?}");
    let process = faulty.serve();
    use_all(&mut deployment.client(&process), &keys, &mut blobs);
    drop(process);

    let log = log();
    assert!(log.len() > 200, "{} calls", log.len());
    let made = |line: &&String| line.starts_with("C_GenerateKey ") && line.contains("rv=0x0");
    assert!(log.iter().filter(made).count() >= 2, "the keys were not made through it");
    for line in &log {
        assert!(!SECRETS.iter().any(|secret| line.contains(secret)), "{line}");
    }
    // Before a key is made it is tried with others whether the token refuses to wrap what it must keep.
    let wrapped = |line: &&String| line.starts_with("C_WrapKey ");
    assert_eq!(log[all_made..stopped].iter().find(wrapped), None);
    assert_eq!(sealed.betrayed(&log), None);
    assert_eq!(authenticated.betrayed(&log), None);
}

/// What else a key meets in its life, and what AWS refuses for it.
fn manage(client: &mut Client, store: &str, key: &str) {
    let named = json!({"KeyId": key});
    for operation in ["EnableKeyRotation", "RotateKeyOnDemand"] {
        let refused = client.kms(operation, named.clone()).unwrap_err();
        assert_eq!(refused.code(), "UnsupportedOperationException", "{operation}");
    }
    let made = client.kms("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).unwrap();
    let body = json!({"CiphertextBlob": made["CiphertextBlob"], "DestinationKeyId": key,
        "DestinationEncryptionContext": {"a": "b"}});
    client.kms("ReEncrypt", body).unwrap();
    client.kms("GenerateRandom", json!({"NumberOfBytes": 64, "CustomKeyStoreId": store})).unwrap();
    for operation in ["DisableKey", "EnableKey"] {
        client.kms(operation, named.clone()).unwrap();
    }
    for operation in ["DisconnectCustomKeyStore", "ConnectCustomKeyStore"] {
        client.kms(operation, json!({"CustomKeyStoreId": store})).unwrap();
    }
    let body = json!({"KeyId": key, "PendingWindowInDays": 7});
    client.kms("ScheduleKeyDeletion", body).unwrap();
    for operation in ["CancelKeyDeletion", "EnableKey"] {
        client.kms(operation, named.clone()).unwrap();
    }
}

/// Serves with a line of the configuration changed.
fn serve(deployment: &Deployment, from: &str, to: &str) -> Process {
    let text = deployment.text(&deployment.data());
    assert!(text.contains(from), "{text}");
    let config = deployment.dir.path().join("changed.toml");
    std::fs::write(&config, text.replace(from, to)).unwrap();
    let mut command = program(deployment.token.as_ref().map(|token| token.conf.as_path()));
    command.arg("serve").arg("--config").arg(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let started = start(command, deployment.dir.path(), |_| Some(address));
    started.unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
}

fn encrypt(client: &mut Client, key: &str) -> Result<String, Failed> {
    let made = client.kms("Encrypt", json!({"KeyId": key, "Plaintext": HELLO}))?;
    Ok(made["CiphertextBlob"].as_str().unwrap().to_owned())
}

/// With the helper what the token's keys were known by is gone; another object of the same name must not
/// be taken for the key.
#[test]
fn a_key_that_was_replaced_while_its_helper_was_down_is_not_used() {
    if let Some((dir, key)) = meddling() {
        return replace(&dir, &key);
    }
    let deployment = Deployment::new(true);
    let process = serve(&deployment, "cluster = ", "helper = true\ncluster = ");
    let mut client = deployment.client(&process);
    let id = store(&mut client);
    let key = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap();
    let other = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap();
    let sealed = encrypt(&mut client, &other).unwrap();
    encrypt(&mut client, &key).unwrap();

    meddle(a_key_that_was_replaced_while_its_helper_was_down_is_not_used, &deployment, &key);
    let before = helpers(&process);
    let [helper] = before.as_slice() else { panic!("wanted one helper, found {before:?}") };
    kill_process(*helper, Signal::KILL).unwrap();
    // It is back when the other key, which is what it was, is used again.
    let began = now();
    while let Err(failed) = client.kms("Decrypt", json!({"CiphertextBlob": sealed})) {
        assert_eq!(failed.code(), "KMSInvalidStateException", "{failed}");
        assert!(began.elapsed() < BACK, "the helper does not come back: {failed}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_ne!(helpers(&process), before);
    for _ in 0..3 {
        let refused = encrypt(&mut client, &key).unwrap_err();
        assert_eq!(refused.code(), "KMSInvalidStateException", "{refused}");
    }
    assert!(process.stderr().contains("is another key than it was"), "{}", process.stderr());
}

/// Makes the key anew by the book, as only the name can be known to be the same.
fn replace(dir: &std::path::Path, key: &str) {
    let pin = std::fs::read_to_string(dir.join("pin")).unwrap();
    let config = Pkcs11Config::new(softhsm(), LABEL, Pin::new(pin.trim().into()));
    let token = Pkcs11Hsm::open(config).unwrap();
    let keys = token.resident().unwrap();
    let all = keys.resident_keys().unwrap();
    let id = all.iter().find(|id| id.as_str().contains(key)).unwrap();
    keys.destroy(id).unwrap();
    keys.generate(id, ResidentSpec::Aes256).unwrap();
}

/// The operator takes a device out of the configuration, or its cluster: its keys wait for it, and nothing
/// else is lost.
#[test]
fn keys_whose_device_is_no_more_in_the_configuration_wait_for_it() {
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let id = store(&mut client);
    let key = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap();
    let sealed = encrypt(&mut client, &key).unwrap();
    let exit = process.stop();
    assert!(exit.status.success(), "{exit:#?}");

    let process = serve(&deployment, &format!("cluster = {CLUSTER:?}\n"), "");
    let mut client = deployment.client(&process);
    let refused = encrypt(&mut client, &key).unwrap_err();
    assert_eq!(refused.code(), "KMSInvalidStateException", "{refused}");
    let refused = create(&mut client, &id, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap_err();
    assert_eq!(refused.code(), "CustomKeyStoreInvalidStateException", "{refused}");
    let named = json!({"CustomKeyStoreId": id});
    client.kms("DisconnectCustomKeyStore", named.clone()).unwrap();
    let refused = client.kms("DeleteCustomKeyStore", named.clone()).unwrap_err();
    assert_eq!(refused.code(), "CustomKeyStoreHasCMKsException", "{refused}");
    client.kms("ConnectCustomKeyStore", named.clone()).unwrap();
    let shown = client.kms("DescribeCustomKeyStores", named.clone()).unwrap();
    assert_eq!(shown["CustomKeyStores"][0]["ConnectionErrorCode"], "CLUSTER_NOT_FOUND", "{shown}");
    client.kms("DescribeKey", json!({"KeyId": key})).unwrap();
    let said = process.stderr();
    assert!(said.contains("is no device of the configuration") && said.contains(&id), "{said}");
    let exit = process.stop();
    assert!(exit.status.success(), "{exit:#?}");

    let process = deployment.serve();
    let mut client = deployment.client(&process);
    for operation in ["DisconnectCustomKeyStore", "ConnectCustomKeyStore"] {
        client.kms(operation, named.clone()).unwrap();
    }
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": sealed})).unwrap();
    assert_eq!(opened["Plaintext"], HELLO);
    assert!(!process.stderr().contains("is no device of the configuration"));
}
