//! Key pairs and HMAC keys in a device: what this server has beyond AWS.
use crate::support::failed;
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::primitives::{KeySpec, MessageType, PublicKey, SigningAlgorithm};
use serde_json::json;
use std::sync::atomic::Ordering;

const HELLO: &str = "aGVsbG8=";

#[tokio::test]
async fn signatures_by_every_algorithm_verify_here_and_elsewhere() {
    let world = World::new().await;
    let store = world.connected_store().await;
    for spec in [
        KeySpec::Rsa2048,
        KeySpec::EccNistP256,
        KeySpec::EccNistP384,
        KeySpec::EccNistP521,
        KeySpec::EccSecgP256K1,
    ] {
        let key = world.key_of_kind(&store, spec.as_str(), "SIGN_VERIFY").await;
        let shown = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        let public = B64.decode(shown["PublicKey"].as_str().unwrap()).unwrap();
        let public = PublicKey::parse_spki(spec, &public).unwrap();
        for algorithm in spec.signing_algorithms() {
            let body = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": algorithm});
            let made = world.kms("Sign", body.clone()).await;
            let signature = B64.decode(made["Signature"].as_str().unwrap()).unwrap();
            public.verify(*algorithm, MessageType::Raw, b"hello", &signature).unwrap();
            let mut check = body.clone();
            check["Signature"] = made["Signature"].clone();
            assert_eq!(world.kms("Verify", check.clone()).await["SignatureValid"], true);
            check["Message"] = json!("aGVsbG9v");
            let refused = world.kms_fails("Verify", check).await;
            assert_eq!(refused, failed("KMSInvalidSignatureException", ""));
            // A digest of another length than the algorithm's.
            let mut digest = body.clone();
            digest["MessageType"] = json!("DIGEST");
            assert_eq!(world.kms_fails("Sign", digest.clone()).await.code, "ValidationException");
            digest["Message"] = json!(B64.encode(vec![7; length(*algorithm)]));
            world.kms("Sign", digest).await;
        }
        let other = if spec.is_rsa() { "ECDSA_SHA_256" } else { "RSASSA_PSS_SHA_256" };
        let body = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": other});
        assert_eq!(world.kms_fails("Sign", body).await.code, "InvalidKeyUsageException");
    }
}

fn length(algorithm: SigningAlgorithm) -> usize {
    match algorithm.as_str().rsplit('_').next() {
        Some("256") => 32,
        Some("384") => 48,
        _ => 64,
    }
}

#[tokio::test]
async fn macs_of_every_size() {
    let world = World::new().await;
    let store = world.connected_store().await;
    for (spec, len) in [(224, 28), (256, 32), (384, 48), (512, 64)] {
        let key = world.key_of_kind(&store, &format!("HMAC_{spec}"), "GENERATE_VERIFY_MAC").await;
        let body =
            json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": format!("HMAC_SHA_{spec}")});
        let made = world.kms("GenerateMac", body.clone()).await;
        let mac = B64.decode(made["Mac"].as_str().unwrap()).unwrap();
        assert_eq!(mac.len(), len);
        let mut check = body.clone();
        check["Mac"] = made["Mac"].clone();
        assert_eq!(world.kms("VerifyMac", check.clone()).await["MacValid"], true);
        for wrong in [mac[..len - 1].to_vec(), [&mac[..], &[0]].concat(), vec![0; len]] {
            check["Mac"] = json!(B64.encode(wrong));
            let refused = world.kms_fails("VerifyMac", check.clone()).await;
            assert_eq!(refused, failed("KMSInvalidMacException", ""));
        }
        let refused = world.kms_fails("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(refused.code, "UnsupportedOperationException");
    }
}

#[tokio::test]
async fn what_is_encrypted_to_an_rsa_key_is_opened_in_the_device() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let key = world.key_of_kind(&store, "RSA_2048", "ENCRYPT_DECRYPT").await;
    for algorithm in ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] {
        let calls = world.cluster.calls();
        let body = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
        let sealed = world.kms("Encrypt", body).await["CiphertextBlob"].clone();
        assert_eq!(world.cluster.calls(), calls, "the public half is here");
        let body =
            json!({"KeyId": key, "CiphertextBlob": sealed, "EncryptionAlgorithm": algorithm});
        assert_eq!(world.kms("Decrypt", body.clone()).await["Plaintext"], HELLO);
        assert!(world.cluster.calls() > calls);
        let bytes = B64.decode(sealed.as_str().unwrap()).unwrap();
        for wrong in
            [bytes[1..].to_vec(), [&bytes[..], &[0]].concat(), vec![1; 256], vec![255; 256]]
        {
            let mut body = body.clone();
            body["CiphertextBlob"] = json!(B64.encode(wrong));
            let refused = world.kms_fails("Decrypt", body).await;
            assert_eq!(refused, failed("InvalidCiphertextException", ""));
        }
    }
}

#[tokio::test]
async fn both_sides_derive_the_same_secret() {
    let world = World::new().await;
    let store = world.connected_store().await;
    for spec in ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"] {
        let inside = world.key_of_kind(&store, spec, "KEY_AGREEMENT").await;
        let here = world.key_of(spec, "KEY_AGREEMENT").await;
        let derive = async |own: &str, peer: &str| {
            let public =
                world.kms("GetPublicKey", json!({"KeyId": peer})).await["PublicKey"].clone();
            let body = json!({"KeyId": own, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public});
            world.kms("DeriveSharedSecret", body).await
        };
        let ours = derive(&inside, &here).await;
        assert_eq!(ours["SharedSecret"], derive(&here, &inside).await["SharedSecret"]);
        assert_eq!(ours["KeyOrigin"], "AWS_CLOUDHSM");
    }
    // No point of the curve gets as far as the device.
    let key = world.key_of_kind(&store, "ECC_NIST_P256", "KEY_AGREEMENT").await;
    let mut off = B64.decode(crate::kms::subject::PUBLIC).unwrap();
    *off.last_mut().unwrap() ^= 1;
    let calls = world.cluster.calls();
    for public in [B64.encode(off), "eHh4".into(), B64.encode([0; 91])] {
        let body = json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public});
        let refused = world.kms_fails("DeriveSharedSecret", body).await;
        assert_eq!(refused.code, "ValidationException");
    }
    assert_eq!(world.cluster.calls(), calls);
}

#[tokio::test]
async fn what_a_device_cannot_do_is_not_listed_and_not_tried() {
    let world = World::new().await;
    let store = world.connected_store().await;
    world.cluster.poor.store(true, Ordering::SeqCst);
    let lists = async |key: &str, member: &str| {
        let described = world.kms("DescribeKey", json!({"KeyId": key})).await;
        let public = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(described["KeyMetadata"][member], public[member]);
        public[member].clone()
    };
    let key = world.key_of_kind(&store, "RSA_2048", "ENCRYPT_DECRYPT").await;
    assert_eq!(lists(&key, "EncryptionAlgorithms").await, json!(["RSAES_OAEP_SHA_256"]));
    let signer = world.key_of_kind(&store, "RSA_2048", "SIGN_VERIFY").await;
    let signs = lists(&signer, "SigningAlgorithms").await;
    let pss = json!("RSASSA_PSS_SHA_512");
    assert_eq!(signs.as_array().unwrap().len(), 5);
    assert!(!signs.as_array().unwrap().contains(&pss), "{signs}");
    let calls = world.cluster.calls();
    let oaep = "RSAES_OAEP_SHA_1";
    for (operation, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": oaep})),
        (
            "Encrypt",
            json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": oaep, "DryRun": true}),
        ),
        ("Decrypt", json!({"KeyId": key, "CiphertextBlob": HELLO, "EncryptionAlgorithm": oaep})),
        ("Sign", json!({"KeyId": signer, "Message": HELLO, "SigningAlgorithm": pss})),
        (
            "Verify",
            json!({"KeyId": signer, "Message": HELLO, "SigningAlgorithm": pss, "Signature": HELLO}),
        ),
    ] {
        // As AWS says it of an algorithm that does not fit the key.
        let refused = world.kms_fails(operation, body).await;
        assert_eq!(refused.code, "InvalidKeyUsageException", "{operation}");
    }
    assert_eq!(world.cluster.calls(), calls, "the device was asked");
    // What was made stays what it was, when the device learns more.
    world.cluster.poor.store(false, Ordering::SeqCst);
    assert_eq!(lists(&key, "EncryptionAlgorithms").await, json!(["RSAES_OAEP_SHA_256"]));
    let more = world.key_of_kind(&store, "RSA_2048", "SIGN_VERIFY").await;
    assert!(lists(&more, "SigningAlgorithms").await.as_array().unwrap().contains(&pss));
}
