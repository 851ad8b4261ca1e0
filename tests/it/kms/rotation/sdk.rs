//! The five operations through an unmodified SDK.
use super::DAY;
use crate::support::id_of;
use crate::world::{NOW_SECS, World};
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{IncludeKeyMaterial, KeyMaterialState, RotationType};

#[tokio::test]
async fn an_unmodified_sdk_rotates() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let key = world.key().await;
    let sealed = client.encrypt().key_id(&key).plaintext(Blob::new("hello")).send().await.unwrap();
    let first = world.material(&key).await;

    client.enable_key_rotation().key_id(&key).rotation_period_in_days(90).send().await.unwrap();
    let status = client.get_key_rotation_status().key_id(&key).send().await.unwrap();
    assert!(status.key_rotation_enabled());
    assert_eq!(status.key_id(), Some(id_of(&key)));
    assert_eq!(status.rotation_period_in_days(), Some(90));
    assert_eq!(status.next_rotation_date().unwrap().secs(), NOW_SECS + 90 * DAY);
    assert!(status.on_demand_rotation_start_date().is_none());

    let rotated = client.rotate_key_on_demand().key_id(&key).send().await.unwrap();
    assert_eq!(rotated.key_id(), Some(id_of(&key)));
    world.advance(90 * DAY).await;
    let list = client
        .list_key_rotations()
        .key_id(&key)
        .include_key_material(IncludeKeyMaterial::AllKeyMaterial)
        .into_paginator()
        .page_size(1)
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .unwrap();
    let kinds: Vec<_> = list.iter().map(|entry| entry.rotation_type().cloned()).collect();
    assert_eq!(kinds, [None, Some(RotationType::OnDemand), Some(RotationType::Automatic)]);
    assert_eq!(list[0].key_material_id(), Some(first.as_str()));
    assert_eq!(list[0].key_material_state(), Some(&KeyMaterialState::NonCurrent));
    assert_eq!(list[2].key_material_state(), Some(&KeyMaterialState::Current));
    assert_eq!(list[2].rotation_date().unwrap().secs(), NOW_SECS + 90 * DAY);

    let blob = sealed.ciphertext_blob.unwrap();
    let opened = client.decrypt().ciphertext_blob(blob).send().await.unwrap();
    assert_eq!(opened.plaintext().unwrap().as_ref(), b"hello");
    assert_eq!(opened.key_material_id(), Some(first.as_str()));
    client.disable_key_rotation().key_id(&key).send().await.unwrap();
    let status = client.get_key_rotation_status().key_id(&key).send().await.unwrap();
    assert!(!status.key_rotation_enabled());
    assert_eq!(status.rotation_period_in_days(), None);
}

#[tokio::test]
async fn the_sdk_knows_the_errors() {
    let world = World::new().await;
    let client = Client::new(&world.sdk(&world.root).await);
    let rotate = async |key: &str| {
        let sent = client.rotate_key_on_demand().key_id(key).send().await;
        sent.unwrap_err().into_service_error()
    };
    let key = world.key().await;
    world.rotate_every(&key, 90).await;
    world.clock.advance(90 * DAY);
    assert!(rotate(&key).await.is_conflict_exception());
    client.disable_key().key_id(&key).send().await.unwrap();
    assert!(rotate(&key).await.is_disabled_exception());
    world.kms("ScheduleKeyDeletion", serde_json::json!({"KeyId": key})).await;
    assert!(rotate(&key).await.is_kms_invalid_state_exception());
    let mac = world.key_of("HMAC_256", "GENERATE_VERIFY_MAC").await;
    assert!(rotate(&mac).await.is_unsupported_operation_exception());
    assert!(rotate("11111111-2222-3333-4444-555555555555").await.is_not_found_exception());
    let other = world.key().await;
    for _ in 0..25 {
        client.rotate_key_on_demand().key_id(&other).send().await.unwrap();
    }
    assert!(rotate(&other).await.is_limit_exceeded_exception());
    let listed = client.list_key_rotations().key_id(&other).marker("x").send().await;
    assert!(listed.unwrap_err().into_service_error().is_invalid_marker_exception());
}
