//! DryRun, and the members that no key here can serve: GrantTokens and Recipient.
use crate::support::failed;
use crate::world::{Failed, World, allow};
use serde_json::{Value, json};

fn would() -> Failed {
    let text = "The request would have succeeded, but the DryRun option is set.";
    failed("DryRunOperationException", text)
}

fn bodies(key: &str, blob: &str) -> [(&'static str, Value); 5] {
    [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
    ]
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let nobody = world.nobody().await;
    let on = |body: &Value| {
        let mut body = body.clone();
        body["DryRun"] = json!(true);
        body
    };
    for (name, body) in bodies(&key, &blob) {
        assert_eq!(world.kms_fails(name, on(&body)).await, would(), "{name}");
        assert_eq!(world.last_event().error_code.as_deref(), Some("DryRunOperationException"));
        let mut off = body.clone();
        off["DryRun"] = json!(false);
        world.kms(name, off).await;
        let refused = world.kms_fails_as(&nobody, name, on(&body)).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
    }
    world.kms("DisableKey", json!({"KeyId": key})).await;
    for (name, body) in bodies(&key, &blob) {
        let refused = world.kms_fails(name, on(&body)).await;
        assert_eq!(refused, failed("DisabledException", format!("{key} is disabled.")), "{name}");
    }
    world.kms("EnableKey", json!({"KeyId": key})).await;
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}, "DryRun": true});
    assert_eq!(world.kms_fails("Decrypt", body).await.code, "InvalidCiphertextException");
}

#[tokio::test]
async fn a_dry_run_may_do_without_a_ciphertext() {
    let world = World::new().await;
    let key = world.key().await;
    let modifiers = json!(["IGNORE_CIPHERTEXT"]);
    let decrypt = json!({"KeyId": key, "DryRun": true, "DryRunModifiers": modifiers});
    assert_eq!(world.kms_fails("Decrypt", decrypt.clone()).await, would());
    let re_encrypt = json!({"SourceKeyId": key, "DestinationKeyId": key, "DryRun": true,
        "DryRunModifiers": modifiers});
    assert_eq!(world.kms_fails("ReEncrypt", re_encrypt.clone()).await, would());
    // Without the modifier, the dry run or a key it is a mistake.
    for (name, body) in [("Decrypt", &decrypt), ("ReEncrypt", &re_encrypt)] {
        for without in ["DryRun", "DryRunModifiers", "KeyId", "SourceKeyId"] {
            let mut body = body.clone();
            if body.as_object_mut().unwrap().remove(without).is_some() {
                let refused = world.kms_fails(name, body).await;
                assert_eq!(refused.code, "ValidationException", "{name} without {without}");
            }
        }
        let who = world.user(&format!("no-{name}"), allow(&["kms:Encrypt"])).await;
        let refused = world.kms_fails_as(&who, name, body.clone()).await;
        assert_eq!(refused.code, "AccessDeniedException", "{name}");
    }
    world.kms("DisableKey", json!({"KeyId": key})).await;
    for (name, body) in [("Decrypt", decrypt), ("ReEncrypt", re_encrypt)] {
        assert_eq!(world.kms_fails(name, body).await.code, "DisabledException", "{name}");
    }
}

#[tokio::test]
async fn grant_tokens_and_recipients_are_refused() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let mut all = bodies(&key, &blob).to_vec();
    all.push(("DescribeKey", json!({"KeyId": key})));
    for (name, mut body) in all {
        body["GrantTokens"] = json!([]);
        world.kms(name, body.clone()).await;
        body["GrantTokens"] = json!(["token"]);
        let refused = world.kms_fails(name, body).await;
        let text = "The grant token is not valid.";
        assert_eq!(refused, failed("InvalidGrantTokenException", text), "{name}");
    }
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": "YQ=="});
    for (name, mut body) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateRandom", json!({"NumberOfBytes": 8})),
    ] {
        body["Recipient"] = recipient.clone();
        let refused = world.kms_fails(name, body).await;
        let text = "Recipient is not supported by this endpoint.";
        assert_eq!(refused, failed("ValidationException", text), "{name}");
    }
}
