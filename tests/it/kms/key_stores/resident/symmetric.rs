//! What a symmetric key in a device encrypts, and what it refuses.
use crate::support::{failed, id_of};
use crate::world::World;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

const HELLO: &str = "aGVsbG8=";

fn blob(answer: &Value) -> Vec<u8> {
    B64.decode(answer["CiphertextBlob"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn it_opens_under_its_context_only() {
    let world = World::new().await;
    let key = world.key_in(&world.connected_store().await).await;
    let context = json!({"tenant": "42", "a": "b"});
    let body = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context});
    let sealed = blob(&world.kms("Encrypt", body.clone()).await);
    // Suite 02, the header that all blobs have, and no more than the device adds.
    assert_eq!(sealed[..8], [1, 2, 2, 0, b'C', 1, 2, 0]);
    assert_eq!(sealed[8..24], *uuid::Uuid::parse_str(id_of(&key)).unwrap().as_bytes());
    assert_eq!(sealed.len(), 40 + 1 + 12 + 5 + 16);
    assert_ne!(sealed, blob(&world.kms("Encrypt", body).await), "one IV twice");

    let open = |context: Value, key: Value| {
        let mut body = json!({"CiphertextBlob": B64.encode(&sealed), "EncryptionContext": context});
        if !key.is_null() {
            body["KeyId"] = key;
        }
        body
    };
    let opened = world.kms("Decrypt", open(json!({"a": "b", "tenant": "42"}), Value::Null)).await;
    assert_eq!(opened["Plaintext"], HELLO);
    assert_eq!(opened["KeyId"], key);
    assert_eq!(opened.get("KeyMaterialId"), None);
    let invalid = failed("InvalidCiphertextException", "");
    for other in [json!({}), json!({"tenant": "42"}), json!({"tenant": "43", "a": "b"})] {
        assert_eq!(world.kms_fails("Decrypt", open(other, Value::Null)).await, invalid);
    }
    // Another key of the same device does not open it, nor does one that is here.
    let store = world.store_of(&key).await;
    for other in [world.key_in(&store).await, world.key().await] {
        let refused = world.kms_fails("Decrypt", open(context.clone(), json!(other))).await;
        assert_eq!(refused.code, "IncorrectKeyException");
    }
}

impl World {
    async fn store_of(&self, key: &str) -> String {
        let shown = self.kms("DescribeKey", json!({"KeyId": key})).await;
        shown["KeyMetadata"]["CustomKeyStoreId"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn no_changed_byte_opens() {
    let world = World::new().await;
    let key = world.key_in(&world.connected_store().await).await;
    let sealed = B64.decode(world.hello(&key).await).unwrap();
    let attempt = async |bytes: &[u8]| {
        let body = json!({"CiphertextBlob": B64.encode(bytes), "KeyId": key});
        world.kms_fails("Decrypt", body).await.code
    };
    for at in 0..sealed.len() {
        for flip in [0x01, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= flip;
            let code = attempt(&changed).await;
            // A blob of another key is told from a broken one, as for all keys.
            let expected = match (8..24).contains(&at) || (at == 7 && flip == 1) {
                true => "IncorrectKeyException",
                false => "InvalidCiphertextException",
            };
            assert_eq!(code, expected, "byte {at} ^ {flip:#x}");
        }
    }
    for len in 1..sealed.len() {
        assert_eq!(attempt(&sealed[..len]).await, "InvalidCiphertextException", "cut to {len}");
    }
    assert_eq!(attempt(&[&sealed[..], &[0]].concat()).await, "InvalidCiphertextException");
}

/// Whoever can write a header gets no other key of the device to open what is behind it.
#[tokio::test]
async fn a_blob_under_another_keys_header_does_not_open() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let (one, other) = (world.key_in(&store).await, world.key_in(&store).await);
    let of_one = B64.decode(world.hello(&one).await).unwrap();
    let of_other = B64.decode(world.hello(&other).await).unwrap();
    let spliced = [&of_other[..40], &of_one[40..]].concat();
    let calls = world.cluster.calls();
    for named in [json!({}), json!({"KeyId": other})] {
        let mut body = named;
        body["CiphertextBlob"] = json!(B64.encode(&spliced));
        let refused = world.kms_fails("Decrypt", body).await;
        assert_eq!(refused, failed("InvalidCiphertextException", ""));
    }
    assert!(world.cluster.calls() > calls, "the device did not see it");
    // Half a header is no key's.
    let mixed = [&of_other[..24], &of_one[24..]].concat();
    let refused = world.kms_fails("Decrypt", json!({"CiphertextBlob": B64.encode(mixed)})).await;
    assert_eq!(refused, failed("InvalidCiphertextException", ""));
}

/// Only what names the key and its material ever gets to the device.
#[tokio::test]
async fn the_device_is_not_shown_what_is_none_of_its_blobs() {
    let world = World::new().await;
    let key = world.key_in(&world.connected_store().await).await;
    let sealed = B64.decode(world.hello(&key).await).unwrap();
    let calls = world.cluster.calls();
    let mut other_material = sealed.clone();
    other_material[30] ^= 1;
    let mut other_suite = sealed.clone();
    other_suite[6] = 1;
    let long = [&sealed[..], &[0; 6144]].concat();
    for bytes in [&other_material, &other_suite, &sealed[..60].to_vec(), &long, &b"x".to_vec()] {
        let body = json!({"CiphertextBlob": B64.encode(bytes), "KeyId": key});
        world.kms_fails("Decrypt", body).await;
    }
    assert_eq!(world.cluster.calls(), calls);
}

#[tokio::test]
async fn data_keys_and_re_encryption() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let (inside, here) = (world.key_in(&store).await, world.key().await);
    let made = world.kms("GenerateDataKey", json!({"KeyId": inside, "KeySpec": "AES_256"})).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
    let body = json!({"KeyId": inside, "NumberOfBytes": 1024});
    let made = world.kms("GenerateDataKeyWithoutPlaintext", body).await;
    assert_eq!(made.get("Plaintext"), None);
    world.kms("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;

    // Into the device, within it, and out of it.
    let mut sealed = json!(world.hello(&here).await);
    let another = world.key_in(&store).await;
    for (n, target) in [&inside, &another, &here].into_iter().enumerate() {
        let from = json!({"n": n.to_string()});
        let to = json!({"n": (n + 1).to_string()});
        let source = if n == 0 { json!({}) } else { from };
        let body = json!({"CiphertextBlob": sealed, "DestinationKeyId": target,
            "SourceEncryptionContext": source, "DestinationEncryptionContext": to});
        let answer = world.kms("ReEncrypt", body).await;
        assert_eq!(answer["KeyId"], **target);
        sealed = answer["CiphertextBlob"].clone();
    }
    let body = json!({"CiphertextBlob": sealed, "EncryptionContext": {"n": "3"}});
    assert_eq!(world.kms("Decrypt", body).await["Plaintext"], HELLO);
}

#[tokio::test]
async fn every_use_is_an_event_and_nothing_secret_is_in_it() {
    let world = World::new().await;
    let key = world.key_in(&world.connected_store().await).await;
    let sealed = world.hello(&key).await;
    assert_eq!(world.last_event().event_name, "Encrypt");
    world.kms("Decrypt", json!({"CiphertextBlob": sealed})).await;
    let event = world.last_event();
    assert_eq!((event.event_name.as_str(), event.resources[0].arn.as_str()), ("Decrypt", &*key));
    let all = serde_json::to_string(&world.events()).unwrap();
    assert!(!all.contains(HELLO) && !all.contains(&sealed));
    // Uses are told as for other keys.
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await.to_string();
    assert!(used.contains("Decrypt") || used.contains("Encrypt"), "{used}");
}
