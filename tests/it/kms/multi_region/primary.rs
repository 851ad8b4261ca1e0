//! UpdatePrimaryRegion.
use super::{
    THIRD, assert_opens, assert_places, at, end, fails_at, metadata, primary, replica, sealed,
    state, there, three, world,
};
use crate::support::{failed, id_of};
use crate::world::{OTHER_REGION, REGION};
use aws_sdk_kms::Client;
use serde_json::{Value, json};

const DAY: i64 = 86_400;

fn to(key: &str, region: &str) -> Value {
    json!({"KeyId": key, "PrimaryRegion": region})
}

#[tokio::test]
async fn the_sdk_moves_the_primary_key() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    let blob = sealed(&world, &key).await;
    let client = Client::new(&world.sdk(&world.root).await);
    client
        .update_primary_region()
        .key_id(id_of(&key))
        .primary_region(OTHER_REGION)
        .send()
        .await
        .unwrap();
    assert_places(&world, &key, OTHER_REGION, &[THIRD, REGION]).await;
    for arn in [&key, &other, &third] {
        assert_eq!(state(&world, arn).await, "Enabled");
        assert_opens(&world, arn, &blob).await;
    }
    // The part is what it says: the old one is a replica in every way, the new one replicates.
    let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, THIRD)).await;
    let text = format!("{key} is not a multi-region primary key.");
    assert_eq!(refused, failed("UnsupportedOperationException", text));
    end(&world, &third).await;
    let refused = world.kms_fails("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": THIRD}));
    assert_eq!(refused.await.code, "UnsupportedOperationException");
    replica(&world, &other, THIRD).await;
    assert_opens(&world, &third, &blob).await;
    // And back.
    at(&world, OTHER_REGION, "UpdatePrimaryRegion", to(&other, REGION)).await;
    assert_places(&world, &key, REGION, &[THIRD, OTHER_REGION]).await;
}

#[tokio::test]
async fn it_answers_nothing() {
    let world = world().await;
    let [key, ..] = three(&world).await;
    assert_eq!(world.kms("UpdatePrimaryRegion", to(&key, THIRD)).await, Value::Null);
}

#[tokio::test]
async fn the_region_must_have_a_replica() {
    let world = world().await;
    let key = primary(&world).await;
    replica(&world, &key, OTHER_REGION).await;
    for region in [THIRD, "eu-north-1"] {
        let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, region)).await;
        let text = format!("Key '{}' does not exist", there(&key, region));
        assert_eq!(refused, failed("NotFoundException", text));
    }
    let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, REGION)).await;
    let text = format!("{key} is not a multi-region replica key.");
    assert_eq!(refused, failed("UnsupportedOperationException", text));
    for region in ["", "eu", "EU-WEST-1", "eu-west-x"] {
        let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, region)).await;
        assert_eq!(refused.code, "ValidationException", "{region}");
    }
    let missing = world.kms_fails("UpdatePrimaryRegion", json!({"KeyId": key})).await;
    let text = "1 validation error detected: Value null at 'primaryRegion' failed to satisfy \
        constraint: Member must not be null";
    assert_eq!(missing, failed("ValidationException", text));
    assert_places(&world, &key, REGION, &[OTHER_REGION]).await;
}

#[tokio::test]
async fn only_of_a_primary_key_and_by_its_id_or_arn() {
    let world = world().await;
    let [key, other, _] = three(&world).await;
    let single = world.key().await;
    for (region, arn) in [(OTHER_REGION, &other), (REGION, &single)] {
        let refused = fails_at(&world, region, "UpdatePrimaryRegion", to(arn, THIRD)).await;
        let text = format!("{arn} is not a multi-region primary key.");
        assert_eq!(refused, failed("UnsupportedOperationException", text));
    }
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    for (named, text) in [
        ("alias/app", "Invalid keyId 'alias/app'".to_owned()),
        ("nope", "Invalid keyId 'nope'".to_owned()),
        (&*other, format!("Invalid arn {OTHER_REGION}")),
    ] {
        let refused = world.kms_fails("UpdatePrimaryRegion", to(named, OTHER_REGION)).await;
        assert_eq!(refused, failed("NotFoundException", text), "{named}");
    }
}

#[tokio::test]
async fn both_keys_must_be_enabled() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    for (region, arn) in [(REGION, &key), (OTHER_REGION, &other)] {
        at(&world, region, "DisableKey", json!({"KeyId": arn})).await;
        let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
        assert_eq!(refused, failed("DisabledException", format!("{arn} is disabled.")));
        at(&world, region, "ScheduleKeyDeletion", json!({"KeyId": arn})).await;
        let refused = world.kms_fails("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
        let how = if arn == &key { "pending replica deletion" } else { "pending deletion" };
        assert_eq!(refused, failed("KMSInvalidStateException", format!("{arn} is {how}.")));
        at(&world, region, "CancelKeyDeletion", json!({"KeyId": arn})).await;
        at(&world, region, "EnableKey", json!({"KeyId": arn})).await;
    }
    // A third one's state does not matter.
    at(&world, THIRD, "DisableKey", json!({"KeyId": third})).await;
    world.kms("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
    assert_eq!(state(&world, &third).await, "Disabled");
    assert_places(&world, &key, OTHER_REGION, &[THIRD, REGION]).await;
}

#[tokio::test]
async fn a_single_region_external_key_that_waits_for_its_material_is_refused() {
    let world = world().await;
    let wish = json!({"MultiRegion": true, "Origin": "EXTERNAL"});
    let key = world.kms("CreateKey", wish).await["KeyMetadata"]["Arn"].take();
    let key = key.as_str().unwrap();
    let refused = world.kms_fails("UpdatePrimaryRegion", to(key, OTHER_REGION)).await;
    assert_eq!(refused, failed("KMSInvalidStateException", format!("{key} is pending import.")));
}

#[tokio::test]
async fn automatic_rotation_goes_with_the_primary_key() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    let body = json!({"KeyId": key, "RotationPeriodInDays": 90});
    world.kms("EnableKeyRotation", body.clone()).await;
    let before = sealed(&world, &third).await;
    let first = metadata(&world, &key).await["CurrentKeyMaterialId"].clone();
    world.kms("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
    let refused = world.kms_fails("EnableKeyRotation", body).await;
    assert_eq!(refused.code, "UnsupportedOperationException");
    // The old primary may even go: the schedule is the new one's.
    end(&world, &key).await;
    let mut materials = vec![first];
    // Seven days are over already.
    for days in [83, 90] {
        world.advance((days - 1) * DAY).await;
        let same = metadata(&world, &third).await["CurrentKeyMaterialId"].clone();
        assert_eq!(Some(&same), materials.last());
        world.advance(DAY).await;
        let now = metadata(&world, &third).await["CurrentKeyMaterialId"].clone();
        assert_eq!(metadata(&world, &other).await["CurrentKeyMaterialId"], now);
        assert!(!materials.contains(&now));
        materials.push(now);
    }
    assert_opens(&world, &other, &before).await;
}
