//! Rotation of keys that are disabled, on their way out, or of a kind that does not rotate.
use super::DAY;
use crate::support::{failed, id_of};
use crate::world::{Failed, NOW_SECS, REGION, World};
use claviger::keys::{KeyState, Origin};
use serde_json::{Value, json};

const ALL: [&str; 5] = [
    "EnableKeyRotation",
    "DisableKeyRotation",
    "GetKeyRotationStatus",
    "RotateKeyOnDemand",
    "ListKeyRotations",
];

/// What each of [`ALL`] says of a key.
async fn outcomes(world: &World, key: &str) -> [Result<(), Failed>; 5] {
    let mut outcomes = [const { Ok(()) }; 5];
    for (name, outcome) in ALL.iter().zip(&mut outcomes) {
        *outcome = world.call("kms", name, json!({"KeyId": key})).await.map(drop);
    }
    outcomes
}

fn unsupported(text: impl Into<String>) -> Result<(), Failed> {
    Err(failed("UnsupportedOperationException", text))
}

#[tokio::test]
async fn a_disabled_key_waits_and_is_rotated_when_it_is_enabled() {
    let world = World::new().await;
    let key = world.key().await;
    let first = world.material(&key).await;
    world.rotate_every(&key, 90).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    let status = Some((90, NOW_SECS + 90 * DAY));
    for days in [0, 89, 1, 1, 100] {
        world.advance(days * DAY).await;
        assert_eq!(world.schedule(&key).await, status, "the status stays as it was");
        assert_eq!(world.material(&key).await, first);
    }
    world.kms("EnableKey", json!({"KeyId": key})).await;
    assert_eq!(world.material(&key).await, first);
    world.advance(1).await;
    assert_ne!(world.material(&key).await, first);
    let now = NOW_SECS + 191 * DAY + 1;
    assert_eq!(world.schedule(&key).await, Some((90, now + 90 * DAY)));

    // One that was disabled in between only keeps its schedule.
    for days in [10, 10] {
        world.kms("DisableKey", json!({"KeyId": key})).await;
        world.advance(days * DAY).await;
        world.kms("EnableKey", json!({"KeyId": key})).await;
    }
    assert_eq!(world.schedule(&key).await, Some((90, now + 90 * DAY)));
    world.advance(70 * DAY).await;
    assert_eq!(world.rotations().len(), 2);
    world.advance(1).await;
    assert_eq!(world.rotations().len(), 2);
}

#[tokio::test]
async fn a_key_that_is_pending_deletion_says_that_it_does_not_rotate() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    world.rotate_every(&key, 90).await;
    world.advance(80 * DAY).await;
    let body = json!({"KeyId": key, "PendingWindowInDays": 30});
    world.kms("ScheduleKeyDeletion", body).await;
    let off = json!({"KeyRotationEnabled": false, "KeyId": id_of(&key)});
    for _ in 0..2 {
        assert_eq!(world.rotation_status(&key).await, off);
        world.advance(12 * DAY).await;
    }
    assert_eq!(world.rotations().len(), 0);
    // Cancelled, it says again what was set.
    world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(world.schedule(&key).await, Some((90, NOW_SECS + 90 * DAY)));
    world.advance(DAY).await;
    assert_eq!(world.rotations().len(), 0, "it comes back disabled");
    world.kms("EnableKey", json!({"KeyId": key})).await;
    world.advance(0).await;
    assert_eq!(world.rotations().len(), 1);
    assert_eq!(world.schedule(&key).await, Some((90, NOW_SECS + (80 + 25 + 90) * DAY)));
    world.opened_by(&blob).await;
}

#[tokio::test]
async fn a_destroyed_key_is_rotated_no_more() {
    let world = World::new().await;
    let key = world.key().await;
    world.rotate_every(&key, 90).await;
    world.advance(90 * DAY).await;
    assert_eq!(world.rotations().len(), 1);
    let body = json!({"KeyId": key, "PendingWindowInDays": 7});
    world.kms("ScheduleKeyDeletion", body).await;
    world.advance(1000 * DAY).await;
    world.advance(1000 * DAY).await;
    assert_eq!(world.rotations().len(), 1);
    let refused = world.kms_fails("GetKeyRotationStatus", json!({"KeyId": key})).await;
    assert_eq!(refused.code, "NotFoundException");
}

#[tokio::test]
async fn the_state_is_asked() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    let disabled = Err(failed("DisabledException", format!("{key} is disabled.")));
    assert_eq!(
        outcomes(&world, &key).await,
        [disabled.clone(), disabled.clone(), Ok(()), disabled, Ok(())]
    );
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await;
    let ending = Err(failed("KMSInvalidStateException", format!("{key} is pending deletion.")));
    assert_eq!(
        outcomes(&world, &key).await,
        [ending.clone(), ending.clone(), Ok(()), ending, Ok(())]
    );
}

#[tokio::test]
async fn only_symmetric_keys_rotate() {
    let world = World::new().await;
    for (spec, usage) in [
        ("HMAC_256", "GENERATE_VERIFY_MAC"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("ECC_NIST_P256", "SIGN_VERIFY"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ] {
        let key = world.key_of(spec, usage).await;
        // AWS says nothing of the reason.
        assert_eq!(
            outcomes(&world, &key).await,
            [const { String::new() }; 5].map(unsupported),
            "{spec}"
        );
    }
}

#[tokio::test]
async fn only_keys_with_material_of_ours_rotate_by_themselves() {
    let world = World::new().await;
    let made = world.kms("CreateKey", json!({"Origin": "EXTERNAL"})).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let origin = format!("{key} origin is EXTERNAL which is not valid for this operation.");
    let import = Err(failed("KMSInvalidStateException", format!("{key} is pending import.")));
    assert_eq!(
        outcomes(&world, key).await,
        [unsupported(&origin), unsupported(&origin), unsupported(&origin), import, Ok(()),]
    );
    // Also with its material.
    let imported = world.key().await;
    world.edit_key(REGION, &imported, |key| key.origin = Origin::External).await;
    let [enable, disable, status, _, _] = outcomes(&world, &imported).await;
    let text = format!("{imported} origin is EXTERNAL which is not valid for this operation.");
    assert_eq!([enable, disable, status], [&text, &text, &text].map(unsupported));

    for (origin, name) in
        [(Origin::AwsCloudhsm, "AWS_CLOUDHSM"), (Origin::ExternalKeyStore, "EXTERNAL_KEY_STORE")]
    {
        let key = world.key().await;
        for state in [KeyState::Enabled, KeyState::Unavailable] {
            world
                .edit_key(REGION, &key, |key| {
                    key.origin = origin;
                    key.state = state;
                })
                .await;
            let text = format!("{key} origin is {name} which is not valid for this operation.");
            let all: [Result<(), Failed>; 5] = [&text; 5].map(unsupported);
            assert_eq!(outcomes(&world, &key).await, all, "{name} {state:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let absent = "11111111-2222-3333-4444-555555555555";
    for name in ALL {
        let refused = world.kms_fails(name, json!({"KeyId": "alias/app"})).await;
        assert_eq!(refused, failed("NotFoundException", "Invalid keyId 'alias/app'"), "{name}");
        let refused = world.kms_fails(name, json!({"KeyId": absent})).await;
        assert_eq!(refused.code, "NotFoundException", "{name}");
        let refused = world.kms_fails(name, json!({})).await;
        let text = "1 validation error detected: Value null at 'keyId' failed to satisfy \
            constraint: Member must not be null";
        assert_eq!(refused, failed("ValidationException", text), "{name}");
        let wrong: Value = json!({"KeyId": 7});
        let refused = world.kms_fails(name, wrong).await;
        assert_eq!(refused.code, "SerializationException", "{name}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_while_the_background_works_takes_no_key_off_the_list() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await;
    world.clock.advance(90 * DAY);
    let now = world.server.clock.now();
    let due = claviger::keys::due_rotations(&world.server.store.begin(), now, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    let mut tx = world.server.store.begin();
    let earlier = now.plus_secs(-1);
    let never = async || panic!("nothing is to be rotated");
    let done = claviger::keys::rotate_due(&mut tx, &due[0], earlier, never).await.unwrap();
    assert!(done.is_none());
    tx.commit().await.unwrap();
    let again = claviger::keys::due_rotations(&world.server.store.begin(), now, 10).await.unwrap();
    assert_eq!(again.len(), 1, "the key has left the list");
}
