//! Grant tokens: ours or refused, and no key to anything.
use super::{DENIED, attempt, body, grant, idle, revoke, with};
use crate::support::failed;
use crate::world::{OTHER_REGION, World};
use serde_json::{Value, json};

fn takers(key: &str, blob: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"})),
        (
            "GenerateDataKeyPairWithoutPlaintext",
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        ),
        ("DescribeKey", json!({"KeyId": key})),
        ("CreateGrant", body(key, "ann", &["Decrypt"])),
    ]
}

#[tokio::test]
async fn tokens_are_ours_or_refused() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let made = world.kms("CreateGrant", body(&key, "ann", &["Decrypt"])).await;
    let good = made["GrantToken"].as_str().unwrap();
    world.key().await;
    let page = world.kms("ListKeys", json!({"Limit": 1})).await["NextMarker"].clone();
    let mut flipped = good.to_owned().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let bad = [
        json!("token"),
        json!(String::from_utf8(flipped).unwrap()),
        json!(&good[..good.len() - 4]),
        json!(format!("{good}AAAA")),
        json!(made["GrantId"]),
        page,
    ];
    let text = "The grant token is not valid.";
    for (name, body) in takers(&key, &blob) {
        for tokens in [json!([]), json!([good]), json!(vec![good; 10])] {
            world.kms(name, with(body.clone(), json!({"GrantTokens": tokens}))).await;
        }
        for bad in &bad {
            for tokens in [json!([bad]), json!([good, bad])] {
                let body = with(body.clone(), json!({"GrantTokens": tokens}));
                let refused = world.kms_fails(name, body).await;
                assert_eq!(refused, failed("InvalidGrantTokenException", text), "{name} {bad}");
            }
        }
        let many = with(body, json!({"GrantTokens": vec![good; 11]}));
        assert_eq!(world.kms_fails(name, many).await.code, "ValidationException", "{name}");
    }
    for bad in bad {
        let refused = world.kms_fails("RetireGrant", json!({"GrantToken": bad})).await;
        assert_eq!(refused, failed("InvalidGrantTokenException", text), "{bad}");
    }
}

#[tokio::test]
async fn a_token_lets_nobody_in() {
    let world = World::new().await;
    let (ann, bob) = (idle(&world, "ann").await, idle(&world, "bob").await);
    let (key, other) = (world.key().await, world.key().await);
    let made = world.kms("CreateGrant", body(&key, "ann", &["Encrypt"])).await;
    let tokens = json!({"GrantTokens": [made["GrantToken"]]});
    let seal = |key: &str| with(json!({"KeyId": key, "Plaintext": "aGVsbG8="}), tokens.clone());
    world.kms_as(&ann, "Encrypt", seal(&key)).await;
    // Not whoever holds it, not to another key, not to another operation.
    assert_eq!(attempt(&world, &bob, "Encrypt", seal(&key)).await, Err(DENIED.into()));
    assert_eq!(attempt(&world, &ann, "Encrypt", seal(&other)).await, Err(DENIED.into()));
    let data_key = with(json!({"KeyId": key, "KeySpec": "AES_256"}), tokens.clone());
    assert_eq!(attempt(&world, &ann, "GenerateDataKey", data_key).await, Err(DENIED.into()));
    let refused = attempt(&world, &bob, "RetireGrant", json!({"GrantToken": made["GrantToken"]}));
    assert_eq!(refused.await, Err(DENIED.into()));
    // Once its grant is gone it says nothing any more; who is allowed otherwise may still send it.
    revoke(&world, &key, made["GrantId"].as_str().unwrap()).await;
    assert_eq!(attempt(&world, &ann, "Encrypt", seal(&key)).await, Err(DENIED.into()));
    grant(&world, &key, "ann", &["Encrypt"]).await;
    world.kms_as(&ann, "Encrypt", seal(&key)).await;
}

#[tokio::test]
async fn a_token_is_of_its_region() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let made = world.kms("CreateGrant", body(&key, "ann", &["Encrypt"])).await;
    let retire = json!({"GrantToken": made["GrantToken"]});
    let refused = world.call_in(&world.root, OTHER_REGION, "kms", "RetireGrant", retire).await;
    assert_eq!(refused.unwrap_err().code, "NotFoundException");
}
