//! EnableKey and DisableKey.
use crate::support::{denied, failed, user_arn};
use crate::world::{World, allow};
use serde_json::json;

#[tokio::test]
async fn a_disabled_key_does_nothing_until_it_is_enabled() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    // Twice is as good as once.
    for _ in 0..2 {
        world.kms("DisableKey", json!({"KeyId": key})).await;
        let metadata = &world.kms("DescribeKey", json!({"KeyId": key})).await["KeyMetadata"];
        assert_eq!(
            (&metadata["KeyState"], &metadata["Enabled"]),
            (&json!("Disabled"), &json!(false))
        );
    }
    let disabled = failed("DisabledException", format!("{key} is disabled."));
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, disabled, "{name}");
    }
    for _ in 0..2 {
        world.kms("EnableKey", json!({"KeyId": key})).await;
        assert_eq!(world.state(&key).await, "Enabled");
    }
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
}

#[tokio::test]
async fn either_key_of_a_re_encryption_may_be_the_disabled_one() {
    let world = World::new().await;
    let (from, to) = (world.key().await, world.key().await);
    let blob = world.hello(&from).await;
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": to});
    for key in [&from, &to] {
        world.kms("DisableKey", json!({"KeyId": key})).await;
        let disabled = failed("DisabledException", format!("{key} is disabled."));
        assert_eq!(world.kms_fails("ReEncrypt", body.clone()).await, disabled);
        world.kms("EnableKey", json!({"KeyId": key})).await;
    }
    world.kms("ReEncrypt", body).await;
}

#[tokio::test]
async fn each_needs_its_permission_and_a_key() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:EnableKey"])).await;
    world.kms_as(&ann, "EnableKey", json!({"KeyId": key})).await;
    let why = "because no identity-based policy allows the kms:DisableKey action";
    assert_eq!(
        world.kms_fails_as(&ann, "DisableKey", json!({"KeyId": key})).await,
        denied(&user_arn("ann"), "kms:DisableKey", &format!("resource: {key} {why}"))
    );
    assert_eq!(world.state(&key).await, "Enabled");
    for name in ["EnableKey", "DisableKey"] {
        let refused = world.kms_fails(name, json!({"KeyId": "nope"})).await;
        assert_eq!(refused, failed("NotFoundException", "Invalid keyId 'nope'"));
        let refused = world.kms_fails(name, json!({})).await;
        let text = "1 validation error detected: Value null at 'keyId' failed to satisfy \
            constraint: Member must not be null";
        assert_eq!(refused, failed("ValidationException", text));
    }
}
