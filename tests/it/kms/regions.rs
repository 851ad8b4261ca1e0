//! Regions of one server know nothing of each other.
use crate::support::{id_of, unknown_to};
use crate::world::{ACCOUNT, OTHER_REGION, REGION, World};
use serde_json::json;

#[tokio::test]
async fn a_key_lives_in_one_region() {
    let world = World::new().await;
    let key = world.key().await;
    let there =
        async |name: &str, body| world.call_in(&world.root, OTHER_REGION, "kms", name, body).await;
    for name in [&key, id_of(&key)] {
        let refused = there("DescribeKey", json!({"KeyId": name})).await.unwrap_err();
        assert_eq!(refused.code, "NotFoundException", "{name}");
    }
    let refused = there("DescribeKey", json!({"KeyId": key})).await.unwrap_err();
    assert_eq!(refused.message, format!("Invalid arn {REGION}"));
    let made = there("CreateKey", json!({})).await.unwrap();
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap();
    assert!(arn.starts_with(&format!("arn:aws:kms:{OTHER_REGION}:{ACCOUNT}:key/")), "{arn}");
    assert_eq!(world.last_event().aws_region, OTHER_REGION);
    let listed = world.kms("ListKeys", json!({})).await;
    assert_eq!(listed["Keys"], json!([{"KeyArn": key, "KeyId": id_of(&key)}]));
}

#[tokio::test]
async fn a_ciphertext_opens_where_it_was_made() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    let body = json!({"CiphertextBlob": blob});
    let refused = world.call_in(&world.root, OTHER_REGION, "kms", "Decrypt", body.clone()).await;
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let what = "the resource associated with this ciphertext";
    assert_eq!(refused.unwrap_err(), unknown_to(&root, "kms:Decrypt", what));
    let made = world.call_in(&world.root, OTHER_REGION, "kms", "CreateKey", json!({})).await;
    let other = made.unwrap()["KeyMetadata"]["KeyId"].clone();
    let body = json!({"CiphertextBlob": blob, "KeyId": other});
    let refused = world.call_in(&world.root, OTHER_REGION, "kms", "Decrypt", body).await;
    assert_eq!(refused.unwrap_err().code, "IncorrectKeyException");
    assert_eq!(world.kms("Decrypt", json!({"CiphertextBlob": blob})).await["KeyId"], *key);
}
