//! EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, and what happens when the time comes.
use super::DAY;
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, World};
use claviger::audit::EventType;
use serde_json::json;

#[tokio::test]
async fn the_period_has_90_to_2560_days_and_365_if_nobody_says() {
    let world = World::new().await;
    let key = world.key().await;
    let off = json!({"KeyRotationEnabled": false, "KeyId": id_of(&key)});
    assert_eq!(world.rotation_status(&key).await, off);
    for (wish, days) in
        [(json!(90), 90), (json!(2560), 2560), (json!(null), 365), (json!(365), 365)]
    {
        let body = json!({"KeyId": key, "RotationPeriodInDays": wish});
        world.kms("EnableKeyRotation", body).await;
        assert_eq!(world.schedule(&key).await, Some((days, NOW_SECS + days * DAY)));
    }
    for (days, bound) in [(89, "greater than or equal to 90"), (2561, "less than or equal to 2560")]
    {
        let body = json!({"KeyId": key, "RotationPeriodInDays": days});
        let text = format!(
            "1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to \
             satisfy constraint: Member must have value {bound}"
        );
        let refused = world.kms_fails("EnableKeyRotation", body).await;
        assert_eq!(refused, failed("ValidationException", text));
    }
    assert_eq!(world.schedule(&key).await, Some((365, NOW_SECS + 365 * DAY)));
    for _ in 0..2 {
        world.kms("DisableKeyRotation", json!({"KeyId": key})).await;
        assert_eq!(world.rotation_status(&key).await, off);
    }
}

#[tokio::test]
async fn the_events_of_the_calls_show_their_members() {
    let world = World::new().await;
    let key = world.key().await;
    world.rotate_every(id_of(&key), 100).await;
    let event = world.last_event();
    assert_eq!(event.event_name, "EnableKeyRotation");
    let parameters = json!({"keyId": id_of(&key), "rotationPeriodInDays": 100});
    assert_eq!(event.request_parameters, Some(parameters));
    let answer = json!({"keyId": key});
    assert_eq!((event.response_elements, event.read_only), (Some(answer.clone()), false));
    assert_eq!(event.resources[0].arn, key);
    for (name, read_only) in [("GetKeyRotationStatus", true), ("DisableKeyRotation", false)] {
        world.kms(name, json!({"KeyId": key})).await;
        let event = world.last_event();
        assert_eq!(event.event_name, name);
        assert_eq!(event.request_parameters, Some(json!({"keyId": key})));
        let shown = (!read_only).then(|| answer.clone());
        assert_eq!((event.response_elements, event.read_only), (shown, read_only));
        assert_eq!(event.event_type, EventType::AwsApiCall);
        assert_eq!(event.resources[0].arn, key);
    }
}

#[tokio::test]
async fn when_the_period_is_over_new_material_encrypts_and_all_of_it_decrypts() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    world.rotate_every(&key, 90).await;
    let others = world.material(&other).await;
    let mut generations = vec![(world.hello(&key).await, world.material(&key).await)];
    for generation in 1..=5 {
        world.advance(90 * DAY - 1).await;
        assert_eq!(world.material(&key).await, generations.last().unwrap().1);
        let before = world.events().len();
        world.advance(1).await;

        let current = world.material(&key).await;
        let due = NOW_SECS + generation * 90 * DAY;
        let events = world.events().split_off(before);
        let [event, _describe] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(
            (event.event_name.as_str(), event.event_type),
            ("RotateKey", EventType::AwsServiceEvent)
        );
        assert_eq!(event.event_source, "kms.amazonaws.com");
        assert_eq!(event.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
        assert_eq!(event.resources[0].arn, key);
        assert_eq!((&event.request_parameters, &event.response_elements), (&None, &None));
        let details = json!({
            "keyId": id_of(&key),
            "rotationType": "AUTOMATIC",
            "keyOrigin": "AWS_KMS",
            "previousKeyMaterialId": generations.last().unwrap().1,
            "currentKeyMaterialId": current,
        });
        assert_eq!(event.service_event_details, Some(details));
        assert_eq!(world.schedule(&key).await, Some((90, due + 90 * DAY)));

        generations.push((world.hello(&key).await, current));
        for (blob, material) in &generations {
            assert_eq!(world.opened_by(blob).await, *material);
            let event = world.last_event();
            let named = json!({"keyMaterialId": material});
            assert_eq!(event.additional_event_data, Some(named), "the event of Decrypt");
        }
        assert_eq!(world.all_material(&key).await.len(), generations.len());
    }
    let mut ids: Vec<_> = generations.iter().map(|(_, material)| material).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each has an id of its own");
    // A key whose rotation is off has what it had.
    assert_eq!(world.material(&other).await, others);
}

#[tokio::test]
async fn whatever_encrypts_names_the_new_material() {
    let world = World::new().await;
    let key = world.key().await;
    let (blob, old) = (world.hello(&key).await, world.material(&key).await);
    world.rotate_every(&key, 90).await;
    world.advance(90 * DAY).await;
    let new = world.material(&key).await;
    assert_ne!(new, old);
    for name in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        let made = world.kms(name, json!({"KeyId": key, "KeySpec": "AES_256"})).await;
        assert_eq!(made["KeyMaterialId"], *new, "{name}");
        let named = json!({"keyMaterialId": new});
        assert_eq!(world.last_event().additional_event_data, Some(named), "{name}");
    }
    world.hello(&key).await;
    assert_eq!(world.last_event().additional_event_data, Some(json!({"keyMaterialId": new})));
    let body = json!({"CiphertextBlob": blob, "DestinationKeyId": key});
    let moved = world.kms("ReEncrypt", body).await;
    assert_eq!(moved["SourceKeyMaterialId"], *old);
    assert_eq!(moved["DestinationKeyMaterialId"], *new);
    assert_eq!(world.opened_by(moved["CiphertextBlob"].as_str().unwrap()).await, new);
}

#[tokio::test]
async fn enabling_again_begins_a_new_period() {
    let world = World::new().await;
    let key = world.key().await;
    let first = world.material(&key).await;
    world.rotate_every(&key, 365).await;
    world.advance(300 * DAY).await;
    world.rotate_every(&key, 100).await;
    assert_eq!(world.schedule(&key).await, Some((100, NOW_SECS + 400 * DAY)));
    world.advance(65 * DAY).await;
    assert_eq!(world.material(&key).await, first, "the first period's end is no end any more");
    world.advance(35 * DAY).await;
    assert_ne!(world.material(&key).await, first);
    assert_eq!(world.rotations().len(), 1);

    // Off, nothing happens, and on again counts from then.
    world.kms("DisableKeyRotation", json!({"KeyId": key})).await;
    world.advance(1000 * DAY).await;
    assert_eq!(world.rotations().len(), 1);
    world.rotate_every(&key, 100).await;
    assert_eq!(world.schedule(&key).await, Some((100, NOW_SECS + 1500 * DAY)));
    world.advance(100 * DAY).await;
    assert_eq!(world.rotations().len(), 2);
}

#[tokio::test]
async fn after_a_long_downtime_a_key_is_rotated_once() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    world.rotate_every(&key, 90).await;
    // Nobody looks for seven periods and a half.
    world.clock.advance(675 * DAY);
    assert_eq!(world.schedule(&key).await, Some((90, NOW_SECS + 90 * DAY)));
    world.advance(0).await;
    assert_eq!(world.all_material(&key).await.len(), 2);
    assert_eq!(world.schedule(&key).await, Some((90, NOW_SECS + (675 + 90) * DAY)));
    world.advance(90 * DAY - 1).await;
    assert_eq!(world.rotations().len(), 1);
    world.advance(1).await;
    assert_eq!(world.rotations().len(), 2);
    world.opened_by(&blob).await;
}

#[tokio::test]
async fn many_keys_are_due_in_the_same_second() {
    let world = World::new().await;
    let mut keys = Vec::new();
    for at in 0..230 {
        let key = world.key().await;
        world.rotate_every(&key, if at % 23 == 0 { 91 } else { 90 }).await;
        // Those that are not in use do not hold up the others.
        let disabled = at < 120;
        if disabled {
            world.kms("DisableKey", json!({"KeyId": key})).await;
        }
        keys.push((key, disabled, at % 23 == 0));
    }
    world.advance(90 * DAY).await;
    for (key, disabled, later) in &keys {
        let wanted = if *disabled || *later { 1 } else { 2 };
        assert_eq!(world.all_material(key).await.len(), wanted, "{key}");
    }
    world.advance(DAY).await;
    for (key, disabled, _) in &keys {
        assert_eq!(world.all_material(key).await.len(), if *disabled { 1 } else { 2 });
    }
    for (key, _, _) in &keys {
        world.kms("EnableKey", json!({"KeyId": key})).await;
    }
    world.advance(0).await;
    for (key, _, _) in &keys {
        assert_eq!(world.all_material(key).await.len(), 2);
    }
}
