//! GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext.
use crate::support::failed;
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use claviger::primitives::{KeySpec, PrivateKey};
use serde_json::{Value, json};

#[tokio::test]
async fn every_pair_spec_gives_a_pair_that_belongs_together() {
    let world = World::new().await;
    let key = world.key().await;
    let context = json!({"purpose": "pairs"});
    let mut tried = 0;
    for spec in KeySpec::ALL.iter().filter(|spec| spec.pair_spec()) {
        // A larger RSA key takes seconds to make and is made by the same code.
        if [KeySpec::Rsa3072, KeySpec::Rsa4096].contains(spec) {
            continue;
        }
        let body =
            json!({"KeyId": key, "KeyPairSpec": spec.as_str(), "EncryptionContext": context});
        let made = world.kms("GenerateDataKeyPair", body.clone()).await;
        assert_eq!(made["KeyPairSpec"], spec.as_str());
        assert_eq!(made["KeyId"], key);
        assert_pair(*spec, &made["PrivateKeyPlaintext"], &made["PublicKey"]);
        let open = |blob: &Value| json!({"CiphertextBlob": blob, "EncryptionContext": context});
        let opened = world.kms("Decrypt", open(&made["PrivateKeyCiphertextBlob"])).await;
        assert_eq!(opened["Plaintext"], made["PrivateKeyPlaintext"]);
        assert_eq!(opened["KeyMaterialId"], made["KeyMaterialId"]);

        let silent = world.kms("GenerateDataKeyPairWithoutPlaintext", body).await;
        assert_eq!(silent.get("PrivateKeyPlaintext"), None);
        let opened = world.kms("Decrypt", open(&silent["PrivateKeyCiphertextBlob"])).await;
        assert_pair(*spec, &opened["Plaintext"], &silent["PublicKey"]);
        assert_ne!(silent["PublicKey"], made["PublicKey"]);
        tried += 1;
    }
    assert_eq!(tried, 9);
}

fn assert_pair(spec: KeySpec, private: &Value, public: &Value) {
    let bytes = B64.decode(private.as_str().unwrap()).unwrap();
    let parsed = PrivateKey::parse(spec, &bytes).unwrap();
    let public = B64.decode(public.as_str().unwrap()).unwrap();
    assert_eq!(parsed.public_key_der().unwrap(), public, "{spec}");
}

#[tokio::test]
async fn pairs_are_made_under_symmetric_keys_only() {
    let world = World::new().await;
    let key = world.key().await;
    for name in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        let body = json!({"KeyId": key, "KeyPairSpec": "SM2"});
        assert_eq!(world.kms_fails(name, body).await.code, "UnsupportedOperationException");
        let body = json!({"KeyId": key, "KeyPairSpec": "HMAC_256"});
        assert_eq!(world.kms_fails(name, body).await.code, "ValidationException");
        for (spec, usage) in [("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "SIGN_VERIFY")] {
            let wrong = world.key_of(spec, usage).await;
            let body = json!({"KeyId": wrong, "KeyPairSpec": "ECC_NIST_P256"});
            let error = world.kms_fails(name, body).await;
            assert_eq!(error.code, "InvalidKeyUsageException", "{error:?}");
        }
        let body = json!({"KeyId": key, "KeyPairSpec": "RSA_4096", "DryRun": true});
        let text = "The request would have succeeded, but the DryRun option is set.";
        assert_eq!(world.kms_fails(name, body).await, failed("DryRunOperationException", text));
    }
}

#[tokio::test]
async fn policies_see_the_pair_spec_and_the_context() {
    let world = World::new().await;
    let key = world.key().await;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "kms:GenerateDataKeyPair*", "Resource": "*",
        "Condition": {"StringEquals": {"kms:DataKeyPairSpec": "ECC_NIST_P384",
            "kms:EncryptionContext:app": "one"}}}]});
    let user = world.user("pairs", policy).await;
    for name in ["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"] {
        for (spec, app, allowed) in [
            ("ECC_NIST_P384", "one", true),
            ("ECC_NIST_P256", "one", false),
            ("ECC_NIST_P384", "two", false),
        ] {
            let body =
                json!({"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": {"app": app}});
            let outcome = world.call_as(&user, "kms", name, body).await;
            assert_eq!(outcome.is_ok(), allowed, "{name} {spec} {app}: {outcome:?}");
        }
    }
    let event = world.events().into_iter().find(|e| e.event_name == "GenerateDataKeyPair").unwrap();
    let text = serde_json::to_string(&event).unwrap();
    assert!(text.contains("keyPairSpec") && !text.contains("rivateKey"), "{text}");
}
