//! RotateKeyOnDemand.
use super::DAY;
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, World};
use claviger::audit::EventType;
use serde_json::json;

#[tokio::test]
async fn a_key_is_rotated_at_once_and_its_schedule_stays() {
    let world = World::new().await;
    let key = world.key().await;
    let (blob, old) = (world.hello(&key).await, world.material(&key).await);
    world.rotate_every(&key, 730).await;
    world.advance(700 * DAY).await;
    let before = world.events().len();
    let answer = world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(answer, json!({"KeyId": id_of(&key)}));

    let events = world.events().split_off(before);
    let [service, call] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (call.event_name.as_str(), call.event_type),
        ("RotateKeyOnDemand", EventType::AwsApiCall)
    );
    assert_eq!(call.request_parameters, Some(json!({"keyId": key})));
    assert_eq!(call.response_elements, Some(json!({"keyId": id_of(&key)})));
    assert!(!call.read_only);
    let new = world.material(&key).await;
    assert_ne!(new, old);
    assert_eq!(
        (service.event_name.as_str(), service.event_type),
        ("RotateKey", EventType::AwsServiceEvent)
    );
    assert_eq!(service.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
    assert_eq!(service.request_parameters, None);
    let details = json!({
        "keyId": id_of(&key),
        "rotationType": "ON_DEMAND",
        "keyOrigin": "AWS_KMS",
        "previousKeyMaterialId": old,
        "currentKeyMaterialId": new,
    });
    assert_eq!(service.service_event_details, Some(details));
    assert_eq!((&*service.resources[0].arn, &*call.resources[0].arn), (&*key, &*key));

    assert_eq!(world.opened_by(&blob).await, old);
    assert_eq!(world.opened_by(&world.hello(&key).await).await, new);
    assert_eq!(world.schedule(&key).await, Some((730, NOW_SECS + 730 * DAY)));
    world.advance(30 * DAY).await;
    assert_ne!(world.material(&key).await, new);
    assert_eq!(world.schedule(&key).await, Some((730, NOW_SECS + 1460 * DAY)));
}

#[tokio::test]
async fn a_key_rotates_so_25_times() {
    let world = World::new().await;
    let key = world.key().await;
    let mut blobs = Vec::new();
    for _ in 0..25 {
        blobs.push((world.hello(&key).await, world.material(&key).await));
        world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    }
    let text = format!(
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand \
         rotations can be performed for this key: {key}"
    );
    for _ in 0..2 {
        let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
        assert_eq!(refused, failed("LimitExceededException", text.clone()));
        assert_eq!(world.last_event().event_name, "RotateKeyOnDemand");
    }
    assert_eq!(world.rotations().len(), 25);
    // Setting and ending a schedule gives no new ones, and the automatic one goes on.
    world.rotate_every(&key, 90).await;
    world.kms("DisableKeyRotation", json!({"KeyId": key})).await;
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(refused.code, "LimitExceededException");
    world.rotate_every(&key, 90).await;
    world.advance(90 * DAY).await;
    assert_eq!(world.all_material(&key).await.len(), 27);
    for (blob, material) in &blobs {
        assert_eq!(world.opened_by(blob).await, *material);
    }
    // Another key has its own count.
    let other = world.key().await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": other})).await;
}

#[tokio::test]
async fn the_quota_can_be_another() {
    let world = World::with_quotas("[resources]\non_demand_rotations = 2").await;
    let key = world.key().await;
    for _ in 0..2 {
        world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    }
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(refused.code, "LimitExceededException");
}

#[tokio::test]
async fn not_within_20_minutes_of_an_automatic_rotation() {
    let world = World::new().await;
    let key = world.key().await;
    world.rotate_every(&key, 90).await;
    world.advance(90 * DAY - 20 * 60 - 1).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let text = format!(
        "An automatic rotation of {key} is in progress or begins within the next 20 minutes."
    );
    world.advance(1).await;
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(refused, failed("ConflictException", text.clone()));
    // Also when it is due and was not done yet.
    world.clock.advance(20 * 60);
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(refused, failed("ConflictException", text));
    assert_eq!(world.all_material(&key).await.len(), 2);
    world.advance(0).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(world.all_material(&key).await.len(), 4);
    // Without a schedule there is nothing to be near to.
    world.kms("DisableKeyRotation", json!({"KeyId": key})).await;
    world.advance(90 * DAY).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
}
