//! Rotation to imported material.
use crate::support::{failed, id_of};
use crate::world::{NOW_SECS, OTHER_REGION, REGION, World};
use claviger::keys::{Key, MaterialState, MultiRegion, Origin};
use claviger::types::Timestamp;
use serde_json::json;

/// A key that seems to be imported, with two materials of which the second waits for its rotation.
async fn waiting(world: &World) -> (String, [String; 2]) {
    let key = world.key().await;
    let first = world.material(&key).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let second = world.material(&key).await;
    world
        .edit_key(REGION, &key, |key| {
            key.origin = Origin::External;
            key.rotation.on_demand = 0;
            key.materials[0].state = MaterialState::Current;
            key.materials[0].valid_to = Some(Timestamp::from_secs(NOW_SECS + 1000));
            key.materials[1].state = MaterialState::PendingRotation;
            key.materials[1].rotation = None;
            key.materials[1].description = Some("the second".into());
        })
        .await;
    (key, [first, second])
}

#[tokio::test]
async fn what_waits_becomes_current() {
    let world = World::new().await;
    let (key, [first, second]) = waiting(&world).await;
    let blob = world.hello(&key).await;
    assert_eq!(world.opened_by(&blob).await, first);
    let id = id_of(&key);
    let entry = |material: &str, state: &str| {
        json!({"KeyId": id, "KeyMaterialId": material, "KeyMaterialState": state,
            "ImportState": "IMPORTED"})
    };
    let mut one = entry(&first, "CURRENT");
    one["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    one["ValidTo"] = json!(NOW_SECS + 1000);
    let mut two = entry(&second, "PENDING_ROTATION");
    two["ExpirationModel"] = json!("KEY_MATERIAL_DOES_NOT_EXPIRE");
    two["KeyMaterialDescription"] = json!("the second");
    assert_eq!(world.all_material(&key).await, [one.clone(), two.clone()]);
    let listed = world.kms("ListKeyRotations", json!({"KeyId": key})).await;
    assert_eq!(listed, json!({"Rotations": [], "Truncated": false}), "nothing was rotated yet");

    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let details = world.rotations().pop().unwrap().service_event_details.unwrap();
    assert_eq!(details["keyOrigin"], "EXTERNAL");
    assert_eq!(details["previousKeyMaterialId"], *first);
    assert_eq!(details["currentKeyMaterialId"], *second);
    one["KeyMaterialState"] = json!("NON_CURRENT");
    two["KeyMaterialState"] = json!("CURRENT");
    two["RotationDate"] = json!(NOW_SECS);
    two["RotationType"] = json!("ON_DEMAND");
    assert_eq!(world.all_material(&key).await, [one, two.clone()]);
    let listed = world.kms("ListKeyRotations", json!({"KeyId": key})).await;
    assert_eq!(listed["Rotations"], json!([two]));
    assert_eq!(world.opened_by(&blob).await, first);
    assert_eq!(world.opened_by(&world.hello(&key).await).await, second);

    // Once: now nothing waits.
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let text = format!("No available key material pending rotation for the key: {key}.");
    assert_eq!(refused, failed("KMSInvalidStateException", text));
}

#[tokio::test]
async fn what_is_away_is_not_rotated_to() {
    let world = World::new().await;
    let (key, [first, second]) = waiting(&world).await;
    world
        .edit_key(REGION, &key, |key| {
            key.materials[1].present = false;
            key.materials[1].valid_to = None;
        })
        .await;
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let text = format!("No available key material pending rotation for the key: {key}.");
    assert_eq!(refused, failed("KMSInvalidStateException", text));
    assert_eq!(world.material(&key).await, first);
    let away = &world.all_material(&key).await[1];
    assert_eq!(away["KeyMaterialId"], *second);
    assert_eq!(away["ImportState"], "PENDING_IMPORT");
    assert_eq!((away.get("ExpirationModel"), away.get("ValidTo")), (None, None));
}

#[tokio::test]
async fn a_multi_region_key_is_rotated_when_every_region_has_the_material() {
    let world = World::new().await;
    let (key, [first, second]) = waiting(&world).await;
    let all = MultiRegion {
        primary: REGION.parse().unwrap(),
        replicas: [OTHER_REGION.parse().unwrap()].into(),
    };
    world.edit_key(REGION, &key, |key| key.multi_region = Some(all)).await;
    let mut tx = world.server.store.begin();
    let primary = Key::load(&mut tx, &REGION.parse().unwrap(), id_of(&key)).await.unwrap().unwrap();
    let mut replica = Key::clone(&primary);
    replica.region = OTHER_REGION.parse().unwrap();
    replica.arn = key.replace(REGION, OTHER_REGION).parse().unwrap();
    replica.materials.pop();
    replica.save(&mut tx).unwrap();
    tx.commit().await.unwrap();

    let text = format!("No available key material pending rotation for the key: {key}.");
    let refused = world.kms_fails("RotateKeyOnDemand", json!({"KeyId": key})).await;
    assert_eq!(refused, failed("KMSInvalidStateException", text));
    let state = &world.all_material(&key).await[1]["KeyMaterialState"];
    assert_eq!(state, "PENDING_MULTI_REGION_IMPORT_AND_ROTATION");

    let waiting = primary.materials[1].clone();
    world.edit_key(OTHER_REGION, &key, |key| key.materials.push(waiting)).await;
    assert_eq!(world.all_material(&key).await[1]["KeyMaterialState"], "PENDING_ROTATION");
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    for region in [REGION, OTHER_REGION] {
        let body = json!({"KeyId": id_of(&key)});
        let there = world.call_in(&world.root, region, "kms", "DescribeKey", body).await.unwrap();
        assert_eq!(there["KeyMetadata"]["CurrentKeyMaterialId"], *second);
        let body = json!({"KeyId": id_of(&key), "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let list = world.call_in(&world.root, region, "kms", "ListKeyRotations", body).await;
        let list = list.unwrap()["Rotations"].clone();
        assert_eq!(
            (&list[0]["KeyMaterialId"], &list[0]["KeyMaterialState"]),
            (&json!(first), &json!("NON_CURRENT"))
        );
    }
}
