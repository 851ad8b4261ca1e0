//! Rotation of multi-Region keys: the primary's is everybody's.
use super::DAY;
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, OTHER_REGION, REGION, World};
use serde_json::{Value, json};

/// A primary key and its replica, by their ARNs.
async fn pair(world: &World) -> (String, String) {
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    let primary = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let body = json!({"KeyId": primary, "ReplicaRegion": OTHER_REGION});
    let made = world.kms("ReplicateKey", body).await;
    (primary, made["ReplicaKeyMetadata"]["Arn"].as_str().unwrap().to_owned())
}

async fn there(world: &World, name: &str, body: Value) -> Value {
    world.call_in(&world.root, OTHER_REGION, "kms", name, body).await.unwrap()
}

async fn all_material(world: &World, region: &str, key: &str) -> Vec<Value> {
    let body = json!({"KeyId": id_of(key), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let list = world.call_in(&world.root, region, "kms", "ListKeyRotations", body).await.unwrap();
    list["Rotations"].as_array().unwrap().clone()
}

#[tokio::test]
async fn all_regions_rotate_with_the_primary() {
    let world = World::new().await;
    let (primary, replica) = pair(&world).await;
    world.rotate_every(&primary, 90).await;
    let status = there(&world, "GetKeyRotationStatus", json!({"KeyId": replica})).await;
    assert_eq!(status, world.rotation_status(&primary).await);
    assert_eq!(status["RotationPeriodInDays"], 90);
    let old = world.hello(&primary).await;
    let body = json!({"KeyId": replica, "Plaintext": "aGVsbG8="});
    let old_there = there(&world, "Encrypt", body.clone()).await["CiphertextBlob"].clone();
    world.advance(90 * DAY).await;
    assert_eq!(world.rotations().len(), 1, "once, not once a region");
    world.kms("RotateKeyOnDemand", json!({"KeyId": primary})).await;
    assert_eq!(world.rotations().len(), 2);
    let materials = all_material(&world, REGION, &primary).await;
    assert_eq!(materials.len(), 3);
    assert_eq!(all_material(&world, OTHER_REGION, &replica).await, materials);
    // A blob of either region and any generation opens in the other.
    let new = world.hello(&primary).await;
    let new_there = there(&world, "Encrypt", body).await["CiphertextBlob"].clone();
    for blob in [json!(old), old_there, json!(new), new_there] {
        let body = json!({"CiphertextBlob": blob});
        let here = world.kms("Decrypt", body.clone()).await;
        let there = there(&world, "Decrypt", body).await;
        assert_eq!(
            (&here["Plaintext"], &there["Plaintext"]),
            (&json!("aGVsbG8="), &json!("aGVsbG8="))
        );
        assert_eq!(here["KeyMaterialId"], there["KeyMaterialId"]);
    }
}

#[tokio::test]
async fn a_replica_follows() {
    let world = World::new().await;
    let (primary, replica) = pair(&world).await;
    let text = format!("{replica} is not a multi-region primary key.");
    for name in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        let body = json!({"KeyId": replica});
        let refused = world.call_in(&world.root, OTHER_REGION, "kms", name, body).await;
        let expected = failed("UnsupportedOperationException", text.clone());
        assert_eq!(refused, Err(expected), "{name}");
    }
    // Disabled, it gets its new material all the same.
    world.rotate_every(&primary, 90).await;
    there(&world, "DisableKey", json!({"KeyId": replica})).await;
    world.advance(90 * DAY).await;
    there(&world, "EnableKey", json!({"KeyId": replica})).await;
    assert_eq!(all_material(&world, OTHER_REGION, &replica).await.len(), 2);
    world.advance(0).await;
    assert_eq!(world.rotations().len(), 1);
}

#[tokio::test]
async fn the_schedule_goes_over_to_another_primary() {
    let world = World::new().await;
    let (first, second) = pair(&world).await;
    world.rotate_every(&first, 90).await;
    let body = json!({"KeyId": first, "PrimaryRegion": OTHER_REGION});
    world.kms("UpdatePrimaryRegion", body).await;
    world.advance(90 * DAY).await;
    let event = world.rotations().pop().unwrap();
    assert_eq!(
        (event.resources[0].arn.as_str(), event.aws_region.as_str()),
        (second.as_str(), OTHER_REGION)
    );
    // The former primary key goes; its schedule was the new one's since.
    let days = json!({"KeyId": first, "PendingWindowInDays": 7});
    world.kms("ScheduleKeyDeletion", days).await;
    world.advance(7 * DAY).await;
    assert_eq!(
        world.kms_fails("DescribeKey", json!({"KeyId": first})).await.code,
        "NotFoundException"
    );
    world.advance(83 * DAY).await;
    assert_eq!(world.rotations().len(), 2);
    assert_eq!(all_material(&world, OTHER_REGION, &second).await.len(), 3);
}

#[tokio::test]
async fn the_schedule_outlives_the_former_primary() {
    let world = World::new().await;
    let (first, second) = pair(&world).await;
    world.rotate_every(&first, 90).await;
    let body = json!({"KeyId": first, "PrimaryRegion": OTHER_REGION});
    world.kms("UpdatePrimaryRegion", body).await;
    let days = json!({"KeyId": first, "PendingWindowInDays": 7});
    world.kms("ScheduleKeyDeletion", days).await;
    world.advance(7 * DAY).await;
    assert_eq!(
        world.kms_fails("DescribeKey", json!({"KeyId": first})).await.code,
        "NotFoundException"
    );
    let status = there(&world, "GetKeyRotationStatus", json!({"KeyId": second})).await;
    assert_eq!(status["NextRotationDate"], json!(NOW_SECS + 90 * DAY));
    world.advance(83 * DAY).await;
    assert_eq!(world.rotations().len(), 1);
    assert_eq!(all_material(&world, OTHER_REGION, &second).await.len(), 2);
}
