//! Encrypt, Decrypt and ReEncrypt with RSA keys.
use crate::support::failed;
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::json;

const OAEP: [(&str, usize); 2] = [("RSAES_OAEP_SHA_1", 214), ("RSAES_OAEP_SHA_256", 190)];

#[tokio::test]
async fn an_rsa_key_encrypts_up_to_what_fits() {
    let world = World::new().await;
    let key = world.key_of("RSA_2048", "ENCRYPT_DECRYPT").await;
    for (algorithm, most) in OAEP {
        for length in [1, most] {
            let plaintext = B64.encode(vec![7; length]);
            let body =
                json!({"KeyId": key, "Plaintext": plaintext, "EncryptionAlgorithm": algorithm});
            let made = world.kms("Encrypt", body).await;
            assert_eq!(made["EncryptionAlgorithm"], algorithm);
            let blob = B64.decode(made["CiphertextBlob"].as_str().unwrap()).unwrap();
            assert_eq!(blob.len(), 256);
            let body = json!({"KeyId": key, "CiphertextBlob": made["CiphertextBlob"],
                "EncryptionAlgorithm": algorithm});
            let opened = world.kms("Decrypt", body).await;
            assert_eq!(opened["Plaintext"], plaintext);
            assert_eq!(opened.get("KeyMaterialId"), None);
        }
        let body = json!({"KeyId": key, "Plaintext": B64.encode(vec![7; most + 1]),
            "EncryptionAlgorithm": algorithm});
        let text = format!(
            "Algorithm {algorithm} and key spec RSA_2048 cannot encrypt data larger than {most} bytes."
        );
        assert_eq!(world.kms_fails("Encrypt", body).await, failed("ValidationException", text));
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_ciphertext_is_the_same_error() {
    let world = World::new().await;
    let key = world.key_of("RSA_2048", "ENCRYPT_DECRYPT").await;
    let other = world.key_of("RSA_2048", "ENCRYPT_DECRYPT").await;
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=",
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let made = world.kms("Encrypt", body).await["CiphertextBlob"].clone();
    let mut flipped = B64.decode(made.as_str().unwrap()).unwrap();
    flipped[100] ^= 1;
    let invalid = failed("InvalidCiphertextException", "");
    for (key, blob, algorithm) in [
        (&key, json!(B64.encode(&flipped)), "RSAES_OAEP_SHA_256"),
        (&key, json!(B64.encode(&flipped[..255])), "RSAES_OAEP_SHA_256"),
        (&key, made.clone(), "RSAES_OAEP_SHA_1"),
        (&other, made.clone(), "RSAES_OAEP_SHA_256"),
    ] {
        let body = json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionAlgorithm": algorithm});
        assert_eq!(world.kms_fails("Decrypt", body).await, invalid);
    }
    // The blob names no key, so the caller must.
    let body = json!({"CiphertextBlob": made, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    assert_eq!(world.kms_fails("Decrypt", body).await, invalid);
    let body = json!({"KeyId": key, "CiphertextBlob": made});
    let text = "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.";
    let expected = failed("InvalidKeyUsageException", text);
    assert_eq!(world.kms_fails("Decrypt", body).await, expected);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    assert_eq!(world.kms_fails("Encrypt", body).await, expected);
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": {"a": "b"},
        "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    assert_eq!(world.kms_fails("Encrypt", body).await.code, "ValidationException");
    for name in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        let error = world.kms_fails(name, json!({"KeyId": key, "KeySpec": "AES_256"})).await;
        assert_eq!(error.code, "InvalidKeyUsageException");
    }
}

#[tokio::test]
async fn ciphertexts_go_from_symmetric_to_rsa_and_back() {
    let world = World::new().await;
    let symmetric = world.key().await;
    let rsa = world.key_of("RSA_2048", "ENCRYPT_DECRYPT").await;
    let blob = world.hello(&symmetric).await;
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": rsa,
        "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1"});
    let moved = world.kms("ReEncrypt", body).await;
    assert_eq!(moved["DestinationEncryptionAlgorithm"], "RSAES_OAEP_SHA_1");
    assert_eq!(moved.get("DestinationKeyMaterialId"), None);
    assert!(moved["SourceKeyMaterialId"].is_string());
    let body = json!({"CiphertextBlob": moved["CiphertextBlob"], "SourceKeyId": rsa,
        "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "DestinationKeyId": symmetric});
    let back = world.kms("ReEncrypt", body).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": back["CiphertextBlob"]})).await;
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
}
