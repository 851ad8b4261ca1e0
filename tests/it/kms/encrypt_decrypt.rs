//! Encrypt and Decrypt: what opens, what does not, and what the audit log says of it.
use crate::world::World;
use aws_sdk_kms::primitives::Blob;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

async fn sealed(world: &World, key: &str, context: Value) -> Vec<u8> {
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8=", "EncryptionContext": context});
    let answer = world.call("kms", "Encrypt", body).await.unwrap();
    B64.decode(answer["CiphertextBlob"].as_str().unwrap()).unwrap()
}

async fn open(world: &World, blob: &[u8], context: Value) -> Result<Value, String> {
    let body = json!({"CiphertextBlob": B64.encode(blob), "EncryptionContext": context});
    world.call("kms", "Decrypt", body).await.map_err(|e| e.code)
}

#[tokio::test]
async fn an_unmodified_sdk_encrypts_and_decrypts() {
    let world = World::new().await;
    let kms = aws_sdk_kms::Client::new(&world.sdk(&world.root).await);
    let key = kms.create_key().description("first").send().await.unwrap();
    let key = key.key_metadata().unwrap();
    let sealed = kms
        .encrypt()
        .key_id(key.key_id())
        .plaintext(Blob::new("hello"))
        .encryption_context("dept", "hr")
        .send()
        .await
        .unwrap();
    assert_eq!(sealed.key_id(), key.arn());
    let opened = kms
        .decrypt()
        .ciphertext_blob(sealed.ciphertext_blob().unwrap().clone())
        .encryption_context("dept", "hr")
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"hello");
    let wrong = kms
        .decrypt()
        .ciphertext_blob(sealed.ciphertext_blob().unwrap().clone())
        .encryption_context("dept", "it")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(wrong.is_invalid_ciphertext_exception(), "{wrong:?}");
}

#[tokio::test]
async fn only_the_same_context_opens() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = sealed(&world, &key, json!({"a": "1", "b": "2"})).await;
    let opened = open(&world, &blob, json!({"b": "2", "a": "1"})).await.unwrap();
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
    for context in [
        json!({}),
        json!({"a": "1"}),
        json!({"a": "1", "b": "2", "c": "3"}),
        json!({"a": "1", "b": "3"}),
        json!({"a": "1", "B": "2"}),
        json!({"a": "2", "b": "1"}),
        json!({"a": "1 ", "b": "2"}),
    ] {
        let refused = open(&world, &blob, context.clone()).await;
        assert_eq!(refused, Err("InvalidCiphertextException".into()), "{context}");
    }
    let blob = sealed(&world, &key, json!({"ab": "c"})).await;
    assert!(open(&world, &blob, json!({"ab": "c"})).await.is_ok());
    assert!(open(&world, &blob, json!({"a": "bc"})).await.is_err());
}

#[tokio::test]
async fn every_changed_blob_is_refused() {
    let world = World::new().await;
    let key = world.key().await;
    let (one, two) = (
        sealed(&world, &key, json!({"a": "1"})).await,
        sealed(&world, &key, json!({"a": "1"})).await,
    );
    let refused = async |blob: &[u8], what: String| {
        let outcome = open(&world, blob, json!({"a": "1"})).await;
        // Another key id or material is a key that the caller may not know of.
        let code = outcome.expect_err(&what);
        assert!(
            code == "InvalidCiphertextException" || code == "AccessDeniedException",
            "{what}: {code}"
        );
    };
    for bit in 0..one.len() * 8 {
        let mut changed = one.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        refused(&changed, format!("bit {bit}")).await;
    }
    for len in 1..one.len() {
        refused(&one[..len], format!("cut to {len}")).await;
        let spliced = [&one[..len], &two[len..]].concat();
        if spliced != one && spliced != two {
            refused(&spliced, format!("spliced at {len}")).await;
        }
    }
    for extra in 1..20 {
        refused(&[one.clone(), vec![0; extra]].concat(), format!("longer by {extra}")).await;
    }
}

#[tokio::test]
async fn events_say_what_was_done_and_nothing_secret() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = sealed(&world, &key, json!({"Dept": "hr"})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.read_only), ("Encrypt", true));
    assert_eq!(
        event.request_parameters,
        Some(json!({"keyId": key, "encryptionContext": {"Dept": "hr"}}))
    );
    assert_eq!(event.resources[0].arn, key);
    open(&world, &blob, json!({"Dept": "it"})).await.unwrap_err();
    assert_eq!(world.last_event().error_code.as_deref(), Some("InvalidCiphertextException"));
    let all = serde_json::to_string(&world.events()).unwrap();
    assert!(!all.contains("aGVsbG8") && !all.contains("hello"), "{all}");
    assert!(!all.contains(&B64.encode(&blob)));
}
