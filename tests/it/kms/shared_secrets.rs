//! DeriveSharedSecret (ECDH), Encapsulate and Decapsulate (ML-KEM).
use crate::support::failed;
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

const CURVES: [(&str, usize); 3] =
    [("ECC_NIST_P256", 32), ("ECC_NIST_P384", 48), ("ECC_NIST_P521", 66)];

async fn public_key(world: &World, key: &str) -> Value {
    world.kms("GetPublicKey", json!({"KeyId": key})).await["PublicKey"].clone()
}

fn derive(key: &str, public: &Value) -> Value {
    json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": public})
}

#[tokio::test]
async fn two_keys_agree_on_every_curve() {
    let world = World::new().await;
    for (spec, length) in CURVES {
        let one = world.key_of(spec, "KEY_AGREEMENT").await;
        let other = world.key_of(spec, "KEY_AGREEMENT").await;
        let public = world.kms("GetPublicKey", json!({"KeyId": one})).await;
        assert_eq!(public["KeyAgreementAlgorithms"], json!(["ECDH"]));
        let (of_one, of_other) = (public["PublicKey"].clone(), public_key(&world, &other).await);
        let here = world.kms("DeriveSharedSecret", derive(&one, &of_other)).await;
        let there = world.kms("DeriveSharedSecret", derive(&other, &of_one)).await;
        assert_eq!(here["SharedSecret"], there["SharedSecret"]);
        let secret = B64.decode(here["SharedSecret"].as_str().unwrap()).unwrap();
        assert_eq!(secret.len(), length);
        assert_eq!(here["KeyOrigin"], "AWS_KMS");
        assert_eq!(here["KeyAgreementAlgorithm"], "ECDH");
        let mut dry = derive(&one, &of_other);
        dry["DryRun"] = json!(true);
        let error = world.kms_fails("DeriveSharedSecret", dry).await;
        assert_eq!(error.code, "DryRunOperationException");
    }
}

#[tokio::test]
async fn a_public_key_is_one_of_the_same_curve() {
    let world = World::new().await;
    let key = world.key_of("ECC_NIST_P256", "KEY_AGREEMENT").await;
    let p384 = public_key(&world, &world.key_of("ECC_NIST_P384", "KEY_AGREEMENT").await).await;
    let k256 = public_key(&world, &world.key_of("ECC_SECG_P256K1", "SIGN_VERIFY").await).await;
    let own = public_key(&world, &key).await;
    let own = B64.decode(own.as_str().unwrap()).unwrap();
    // A point beside the curve: the last coordinate changed.
    let mut beside = own.clone();
    *beside.last_mut().unwrap() ^= 1;
    let longer = [own.as_slice(), &[0]].concat();
    for wrong in [
        p384,
        k256,
        json!("AAAA"),
        json!(B64.encode(beside)),
        json!(B64.encode(&own[..own.len() - 1])),
        json!(B64.encode(longer)),
    ] {
        let error = world.kms_fails("DeriveSharedSecret", derive(&key, &wrong)).await;
        assert_eq!(error.code, "ValidationException", "{wrong}: {error:?}");
    }
    let signer = world.key_of("ECC_NIST_P256", "SIGN_VERIFY").await;
    let text =
        format!("{signer} key usage is SIGN_VERIFY which is not valid for DeriveSharedSecret.");
    let error = world.kms_fails("DeriveSharedSecret", derive(&signer, &json!("AAAA"))).await;
    assert_eq!(error, failed("InvalidKeyUsageException", text));
}

#[tokio::test]
async fn what_is_encapsulated_is_decapsulated() {
    let world = World::new().await;
    for (spec, length) in [("ML_KEM_512", 768), ("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)] {
        let key = world.key_of(spec, "ENCAPSULATE_DECAPSULATE").await;
        let public = world.kms("GetPublicKey", json!({"KeyId": key})).await;
        assert_eq!(public["EncapsulationAlgorithms"], json!(["ML_KEM"]));
        let body = json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"});
        let made = world.kms("Encapsulate", body.clone()).await;
        let blob = B64.decode(made["SharedSecretCiphertextBlob"].as_str().unwrap()).unwrap();
        assert_eq!(blob.len(), length);
        let open = |blob: &[u8]| {
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": B64.encode(blob)})
        };
        let opened = world.kms("Decapsulate", open(&blob)).await;
        assert_eq!(opened["SharedSecret"], made["SharedSecret"]);
        assert_eq!(B64.decode(opened["SharedSecret"].as_str().unwrap()).unwrap().len(), 32);
        // A damaged one opens to something else, always the same; one of another length does not.
        let mut damaged = blob.clone();
        damaged[0] ^= 1;
        let other = world.kms("Decapsulate", open(&damaged)).await;
        assert_ne!(other["SharedSecret"], made["SharedSecret"]);
        let again = world.kms("Decapsulate", open(&damaged)).await;
        assert_eq!(other["SharedSecret"], again["SharedSecret"]);
        for wrong in [&blob[..length - 1], &[&blob[..], &[0]].concat(), &[1]] {
            let error = world.kms_fails("Decapsulate", open(wrong)).await;
            assert_eq!(error.code, "InvalidCiphertextException");
        }
        let mut dry = body;
        dry["DryRun"] = json!(true);
        assert_eq!(world.kms_fails("Encapsulate", dry).await.code, "DryRunOperationException");
        let mut dry = open(&blob);
        dry["DryRun"] = json!(true);
        assert_eq!(world.kms_fails("Decapsulate", dry).await.code, "DryRunOperationException");
    }
    let key = world.key().await;
    let body = json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"});
    let text = format!("{key} key usage is ENCRYPT_DECRYPT which is not valid for Encapsulate.");
    let error = world.kms_fails("Encapsulate", body).await;
    assert_eq!(error, failed("InvalidKeyUsageException", text));
}

#[tokio::test]
async fn policies_see_the_algorithm() {
    let world = World::new().await;
    for (action, condition, spec, usage, member) in [
        (
            "DeriveSharedSecret",
            "kms:KeyAgreementAlgorithm",
            "ECC_NIST_P256",
            "KEY_AGREEMENT",
            ("KeyAgreementAlgorithm", "ECDH"),
        ),
        (
            "Encapsulate",
            "kms:EncapsulationAlgorithm",
            "ML_KEM_512",
            "ENCAPSULATE_DECAPSULATE",
            ("EncapsulationAlgorithm", "ML_KEM"),
        ),
    ] {
        let key = world.key_of(spec, usage).await;
        let mut body = json!({"KeyId": key, member.0: member.1});
        if action == "DeriveSharedSecret" {
            body["PublicKey"] = public_key(&world, &key).await;
        }
        for (value, allowed) in [(member.1, true), ("ANOTHER", false)] {
            let policy = json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": format!("kms:{action}"), "Resource": "*",
                "Condition": {"StringEquals": {condition: value}}}]});
            let user = world.user(&format!("{action}-{value}"), policy).await;
            let outcome = world.call_as(&user, "kms", action, body.clone()).await;
            assert_eq!(outcome.is_ok(), allowed, "{action} {value}: {outcome:?}");
        }
    }
}
