//! How large plaintexts, ciphertexts and contexts may be.
use crate::support::failed;
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::json;

#[tokio::test]
async fn plaintexts_have_1_to_4096_bytes() {
    let world = World::new().await;
    let key = world.key().await;
    for size in [1, 2, 15, 16, 17, 255, 4095, 4096] {
        let plaintext = B64.encode(vec![0xa5; size]);
        let sealed = world.kms("Encrypt", json!({"KeyId": key, "Plaintext": plaintext})).await;
        let blob = &sealed["CiphertextBlob"];
        assert!(B64.decode(blob.as_str().unwrap()).unwrap().len() <= 6144);
        let opened = world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(opened["Plaintext"], plaintext, "{size}");
        assert_eq!(opened["KeyId"], *key);
        assert_eq!(opened["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
    }
    for (size, rule) in [(0, "greater than or equal to 1"), (4097, "less than or equal to 4096")] {
        let body = json!({"KeyId": key, "Plaintext": B64.encode(vec![7; size])});
        let text = format!(
            "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: \
             Member must have length {rule}"
        );
        assert_eq!(world.kms_fails("Encrypt", body).await, failed("ValidationException", text));
    }
    // The largest data key's ciphertext opens too.
    let body = json!({"KeyId": key, "NumberOfBytes": 1024});
    let made = world.kms("GenerateDataKey", body).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
}

#[tokio::test]
async fn a_context_has_a_bound_and_any_text() {
    let world = World::new().await;
    let key = world.key().await;
    let roundtrip = async |context: serde_json::Value| {
        let body =
            json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context.clone()});
        let sealed = world.call("kms", "Encrypt", body).await?;
        let body =
            json!({"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context});
        world.call("kms", "Decrypt", body).await
    };
    for context in [
        json!({}),
        json!({"": ""}),
        json!({"ключ": "значение", "\u{0}": "\u{1f980}"}),
        json!({"e\u{301}": "1", "\u{e9}": "2"}),
        json!({"k": "v".repeat(8192 - 8 - 1)}),
    ] {
        assert!(roundtrip(context.clone()).await.is_ok(), "{context}");
    }
    let long = roundtrip(json!({"k": "v".repeat(8192 - 8)})).await.unwrap_err();
    assert_eq!(long.code, "ValidationException");
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": {"a": 1}});
    assert_eq!(world.kms_fails("Encrypt", body).await.code, "SerializationException");
}

#[tokio::test]
async fn ciphertexts_that_are_none_are_invalid_and_say_no_more() {
    let world = World::new().await;
    let key = world.key().await;
    for blob in [vec![0], vec![0; 132], vec![0xff; 200], vec![1; 6144]] {
        for body in [
            json!({"CiphertextBlob": B64.encode(&blob)}),
            json!({"CiphertextBlob": B64.encode(&blob), "KeyId": key}),
        ] {
            let refused = world.kms_fails("Decrypt", body).await;
            assert_eq!(refused, failed("InvalidCiphertextException", ""), "{}", blob.len());
        }
    }
    for size in [0, 6145] {
        let body = json!({"CiphertextBlob": B64.encode(vec![1; size])});
        assert_eq!(world.kms_fails("Decrypt", body).await.code, "ValidationException", "{size}");
    }
    let missing = "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy \
        constraint: Member must not be null";
    for body in [json!({}), json!({"KeyId": key}), json!({"CiphertextBlob": null})] {
        let refused = world.kms_fails("Decrypt", body).await;
        assert_eq!(refused, failed("ValidationException", missing));
    }
    let body = json!({"CiphertextBlob": "not base64!"});
    assert_eq!(world.kms_fails("Decrypt", body).await.code, "SerializationException");
}

#[tokio::test]
async fn another_key_is_the_incorrect_key() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    let blob = world.hello(&key).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": blob, "KeyId": key})).await;
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
    let refused = world.kms_fails("Decrypt", json!({"CiphertextBlob": blob, "KeyId": other})).await;
    let text = "The key ID in the request does not identify a CMK that can perform this operation.";
    assert_eq!(refused, failed("IncorrectKeyException", text));
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": key, "SourceKeyId": other});
    assert_eq!(world.kms_fails("ReEncrypt", body).await, failed("IncorrectKeyException", text));
}

#[tokio::test]
async fn a_symmetric_key_has_one_algorithm() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let text = "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.";
    let rsa = "RSAES_OAEP_SHA_256";
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionAlgorithm": rsa})),
        ("Decrypt", json!({"CiphertextBlob": blob, "EncryptionAlgorithm": rsa})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "DestinationKeyId": key,
                "SourceEncryptionAlgorithm": rsa}),
        ),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "DestinationKeyId": key,
                "DestinationEncryptionAlgorithm": rsa}),
        ),
    ] {
        let refused = world.kms_fails(name, body).await;
        assert_eq!(refused, failed("InvalidKeyUsageException", text), "{name}");
    }
}
