//! A key in a device from its making to the store's end.
use super::super::{CLUSTER, invalid_state};
use super::creation;
use crate::support::{failed, id_of};
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn it_is_made_in_the_device_and_says_so() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let body = json!({"CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM", "Description": "d"});
    let made = world.kms("CreateKey", body).await;
    let metadata = &made["KeyMetadata"];
    let key = metadata["Arn"].as_str().unwrap();
    for (member, value) in [
        ("Origin", "AWS_CLOUDHSM"),
        ("CustomKeyStoreId", store.as_str()),
        ("CloudHsmClusterId", CLUSTER),
        ("KeyState", "Enabled"),
        ("KeySpec", "SYMMETRIC_DEFAULT"),
        ("KeyManager", "CUSTOMER"),
    ] {
        assert_eq!(metadata[member], *value, "{member}");
    }
    assert_eq!((&metadata["Enabled"], &metadata["MultiRegion"]), (&json!(true), &json!(false)));
    // Its material is not here, so that there is nothing to name.
    assert_eq!(metadata.get("CurrentKeyMaterialId"), None);
    assert_eq!(world.kms("DescribeKey", json!({"KeyId": key})).await, made);
    let deployment = uuid::Uuid::from_bytes(world.server.root.cluster());
    let object = format!("claviger/{deployment}/key/{}/1", id_of(key));
    assert_eq!(world.cluster.objects(), [object]);
    let event = world.events().into_iter().rfind(|e| e.event_name == "CreateKey").unwrap();
    let request = event.request_parameters.unwrap();
    assert_eq!(
        (&request["customKeyStoreId"], &request["origin"]),
        (&json!(store), &json!("AWS_CLOUDHSM"))
    );
    assert_eq!(event.resources[0].arn, key);
}

#[tokio::test]
async fn its_window_ends_with_the_object() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let (one, two) = (world.key_in(&store).await, world.key_in(&store).await);
    let blob = world.hello(&one).await;
    let named = json!({"CustomKeyStoreId": store});
    world.kms("ScheduleKeyDeletion", json!({"KeyId": one, "PendingWindowInDays": 7})).await;
    world.advance(7 * 86_400 - 1).await;
    assert_eq!(world.cluster.objects().len(), 2);
    // Until then it can be saved.
    world.kms("CancelKeyDeletion", json!({"KeyId": one})).await;
    world.kms("EnableKey", json!({"KeyId": one})).await;
    world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": one, "PendingWindowInDays": 7})).await;
    world.advance(7 * 86_400).await;
    let objects = world.cluster.objects();
    assert!(objects.len() == 1 && objects[0].contains(id_of(&two)), "{objects:?}");
    let gone = world.kms_fails("DescribeKey", json!({"KeyId": one})).await;
    assert_eq!(gone.code, "NotFoundException");
    assert!(world.events().iter().any(|e| e.event_name == "DeleteKey"));

    // The store holds a key, and is deleted only without one.
    world.kms("DisconnectCustomKeyStore", named.clone()).await;
    let refused = world.kms_fails("DeleteCustomKeyStore", named.clone()).await;
    let text = format!("The custom key store {store} contains KMS keys.");
    assert_eq!(refused, failed("CustomKeyStoreHasCMKsException", text));
    // What was promised is done although the store is not connected.
    world.kms("ScheduleKeyDeletion", json!({"KeyId": two, "PendingWindowInDays": 7})).await;
    world.advance(7 * 86_400).await;
    assert!(world.cluster.objects().is_empty());
    world.kms("DeleteCustomKeyStore", named).await;
}

#[tokio::test]
async fn a_disconnected_store_has_unavailable_keys_which_are_as_before_when_it_is_back() {
    let world = World::new().await;
    let store = world.connected_store().await;
    let named = json!({"CustomKeyStoreId": store});
    let (enabled, disabled) = (world.key_in(&store).await, world.key_in(&store).await);
    let blob = world.hello(&enabled).await;
    world.kms("DisableKey", json!({"KeyId": disabled})).await;
    world.kms("DisconnectCustomKeyStore", named.clone()).await;
    for key in [&enabled, &disabled] {
        let shown = world.kms("DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(shown["KeyMetadata"]["KeyState"], "Unavailable");
        assert_eq!(shown["KeyMetadata"]["Enabled"], false);
        let refused =
            world.kms_fails("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})).await;
        assert_eq!(refused, failed("KMSInvalidStateException", format!("{key} is unavailable.")));
    }
    let calls = world.cluster.calls();
    assert_eq!(
        world.kms_fails("Decrypt", json!({"CiphertextBlob": blob})).await.code,
        "KMSInvalidStateException"
    );
    let refused =
        world.kms_fails("CreateKey", creation(&store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"));
    assert_eq!(refused.await, invalid_state(&store, "DISCONNECTED", "CONNECTED"));
    assert_eq!(world.cluster.calls(), calls, "the device of a disconnected store was asked");
    // What does not need the material goes on, and is there afterwards.
    world.kms("UpdateKeyDescription", json!({"KeyId": enabled, "Description": "e"})).await;
    world
        .kms("TagResource", json!({"KeyId": disabled, "Tags": [{"TagKey": "a", "TagValue": "b"}]}))
        .await;
    world.kms("ConnectCustomKeyStore", named).await;
    assert_eq!(world.state(&enabled).await, "Enabled");
    assert_eq!(world.state(&disabled).await, "Disabled");
    world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
}
