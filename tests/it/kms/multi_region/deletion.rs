//! The end of multi-Region keys: replicas end by themselves, a primary key after them.
use super::{
    THIRD, assert_opens, assert_places, at, end, fails_at, metadata, primary, refused_at, replica,
    sealed, state, three, world,
};
use crate::support::{failed, id_of, unknown_to};
use crate::world::{ACCOUNT, NOW_SECS, OTHER_REGION, REGION, World};
use claviger::seal::Table;
use claviger::store::Record;
use serde::{Deserialize, Serialize};
use serde_json::json;

const DAY: i64 = 86_400;

/// A row of key material, as far as this test reads it.
#[derive(Debug, Serialize, Deserialize)]
struct MaterialRow {
    id: String,
}
impl Record for MaterialRow {
    const TABLE: Table = Table::new("material");
    const CACHED: bool = false;
}

/// The materials that the store has of a key.
pub(super) async fn materials(world: &World, key: &str) -> usize {
    let tx = world.server.store.begin();
    tx.list::<MaterialRow>(&[id_of(key)], None, 100).await.unwrap().records.len()
}

#[tokio::test]
async fn a_primary_key_waits_for_its_replicas() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    let blob = sealed(&world, &key).await;
    let body = json!({"KeyId": key, "PendingWindowInDays": 9});
    let answer = world.kms("ScheduleKeyDeletion", body).await;
    let expected = json!({
        "KeyId": key, "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 9,
    });
    assert_eq!(answer, expected);
    let event = world.last_event().response_elements.unwrap();
    let expected = json!({
        "keyId": key, "keyState": "PendingReplicaDeletion", "pendingWindowInDays": 9,
    });
    assert_eq!(event, expected);
    let shown = metadata(&world, &key).await;
    assert_eq!(shown["KeyState"], "PendingReplicaDeletion");
    assert_eq!(
        (&shown["Enabled"], &shown["PendingDeletionWindowInDays"]),
        (&json!(false), &json!(9))
    );
    assert!(shown.get("DeletionDate").is_none());
    // However long: it waits. The replicas work.
    world.advance(400 * DAY).await;
    assert_eq!(state(&world, &key).await, "PendingReplicaDeletion");
    assert_opens(&world, &other, &blob).await;

    end(&world, &other).await;
    assert_eq!(state(&world, &key).await, "PendingReplicaDeletion");
    assert_places(&world, &key, REGION, &[THIRD]).await;
    assert_opens(&world, &third, &blob).await;
    end(&world, &third).await;
    // Its clock begins now.
    let shown = metadata(&world, &key).await;
    assert_eq!(shown["KeyState"], "PendingDeletion");
    let date = NOW_SECS + (400 + 7 + 7 + 9) * DAY;
    assert_eq!(shown["DeletionDate"].as_f64(), Some(date as f64));
    assert!(shown.get("PendingDeletionWindowInDays").is_none());
    assert_eq!(materials(&world, &key).await, 1);
    world.advance(9 * DAY - 1).await;
    assert_eq!(state(&world, &key).await, "PendingDeletion");
    let before = world.events().len();
    world.advance(1).await;
    let gone = world.kms_fails("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(gone, failed("NotFoundException", format!("Key '{key}' does not exist")));
    let events = world.events().split_off(before);
    assert_eq!(events[0].event_name, "DeleteKey");
    assert_eq!((&*events[0].aws_region, &*events[0].resources[0].arn), (REGION, &*key));
    assert_eq!(materials(&world, &key).await, 0);
}

#[tokio::test]
async fn the_material_is_there_as_long_as_one_region_is() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    world.kms("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let blob = sealed(&world, &key).await;
    assert_eq!(materials(&world, &key).await, 2);
    let before = world.events().len();
    end(&world, &third).await;
    let deleted: Vec<_> = world
        .events()
        .split_off(before)
        .into_iter()
        .filter(|e| e.event_name == "DeleteKey")
        .collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!((&*deleted[0].aws_region, &*deleted[0].resources[0].arn), (THIRD, &*third));
    assert_eq!(materials(&world, &key).await, 2);
    assert_opens(&world, &other, &blob).await;
    // Who was the primary key may go once it is a replica.
    world.kms("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})).await;
    end(&world, &key).await;
    assert_opens(&world, &other, &blob).await;
    assert_places(&world, &other, OTHER_REGION, &[]).await;
    end(&world, &other).await;
    assert_eq!(materials(&world, &key).await, 0);
    // Nobody opens it any more, and nobody learns why.
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let what = "the resource associated with this ciphertext";
    for region in [REGION, OTHER_REGION, THIRD] {
        let refused = fails_at(&world, region, "Decrypt", json!({"CiphertextBlob": blob})).await;
        assert_eq!(refused, unknown_to(&root, "kms:Decrypt", what));
    }
}

#[tokio::test]
async fn the_window_of_a_waiting_primary_key_has_7_to_30_days() {
    let world = world().await;
    for (wish, days) in [(json!(7), 7), (json!(30), 30), (json!(null), 30)] {
        let [key, ..] = three(&world).await;
        for bad in [6, 31] {
            let body = json!({"KeyId": key, "PendingWindowInDays": bad});
            let refused = world.kms_fails("ScheduleKeyDeletion", body).await;
            assert_eq!(refused.code, "ValidationException");
        }
        let body = json!({"KeyId": key, "PendingWindowInDays": wish});
        assert_eq!(world.kms("ScheduleKeyDeletion", body).await["PendingWindowInDays"], days);
        assert_eq!(metadata(&world, &key).await["PendingDeletionWindowInDays"], days);
    }
}

#[tokio::test]
async fn what_waits_for_its_replicas_can_be_saved() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    let blob = sealed(&world, &key).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    let waiting = format!("{key} is pending replica deletion.");
    let waiting = failed("KMSInvalidStateException", waiting);
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("EnableKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
        ("ScheduleKeyDeletion", json!({"KeyId": key})),
        ("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})),
        ("EnableKeyRotation", json!({"KeyId": key})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, waiting, "{name}");
    }
    let cancelled = world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(cancelled, json!({"KeyId": key}));
    let shown = metadata(&world, &key).await;
    assert_eq!(shown["KeyState"], "Disabled");
    assert!(shown.get("PendingDeletionWindowInDays").is_none());
    let again = world.kms_fails("CancelKeyDeletion", json!({"KeyId": key})).await;
    let text = format!("{key} is not pending deletion.");
    assert_eq!(again, failed("KMSInvalidStateException", text));
    world.kms("EnableKey", json!({"KeyId": key})).await;
    // Nothing is left of the plan when the replicas are gone.
    end(&world, &other).await;
    end(&world, &third).await;
    world.advance(40 * DAY).await;
    assert_opens(&world, &key, &blob).await;
    assert_places(&world, &key, REGION, &[]).await;
}

#[tokio::test]
async fn a_clock_that_began_can_be_stopped() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let blob = sealed(&world, &key).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    end(&world, &other).await;
    assert_eq!(state(&world, &key).await, "PendingDeletion");
    world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    world.advance(40 * DAY).await;
    world.kms("EnableKey", json!({"KeyId": key})).await;
    assert_opens(&world, &key, &blob).await;
}

#[tokio::test]
async fn replicas_end_by_themselves_and_come_back() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    let blob = sealed(&world, &other).await;
    let body = json!({"AliasName": "alias/app", "TargetKeyId": other});
    at(&world, OTHER_REGION, "CreateAlias", body.clone()).await;
    let answer = at(&world, OTHER_REGION, "ScheduleKeyDeletion", json!({"KeyId": other})).await;
    assert_eq!(answer["KeyState"], "PendingDeletion");
    assert_eq!(answer["DeletionDate"].as_f64(), Some((NOW_SECS + 30 * DAY) as f64));
    // It is there until it is gone: the primary key would have to wait for it.
    assert_places(&world, &key, REGION, &[THIRD, OTHER_REGION]).await;
    assert_eq!(state(&world, &key).await, "Enabled");
    assert_eq!(state(&world, &third).await, "Enabled");
    at(&world, OTHER_REGION, "CancelKeyDeletion", json!({"KeyId": other})).await;
    at(&world, OTHER_REGION, "EnableKey", json!({"KeyId": other})).await;
    assert_opens(&world, &other, &blob).await;

    end(&world, &other).await;
    assert_places(&world, &key, REGION, &[THIRD]).await;
    assert_eq!(state(&world, &key).await, "Enabled");
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let body = json!({"CiphertextBlob": blob});
    let refused = refused_at(&world, &world.root, OTHER_REGION, "Decrypt", body).await;
    let what = "the resource associated with this ciphertext";
    assert_eq!(refused, unknown_to(&root, "kms:Decrypt", what));
    assert_opens(&world, &third, &blob).await;
    // Made again, it opens what it once sealed; its alias is gone.
    replica(&world, &key, OTHER_REGION).await;
    assert_opens(&world, &other, &blob).await;
    let aliases = at(&world, OTHER_REGION, "ListAliases", json!({"KeyId": other})).await;
    assert_eq!(aliases["Aliases"], json!([]));
}

#[tokio::test]
async fn all_replicas_may_end_in_the_same_second() {
    let world = world().await;
    let [key, other, third] = three(&world).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    for (region, arn) in [(OTHER_REGION, &other), (THIRD, &third)] {
        let body = json!({"KeyId": arn, "PendingWindowInDays": 7});
        at(&world, region, "ScheduleKeyDeletion", body).await;
    }
    world.advance(7 * DAY).await;
    let shown = metadata(&world, &key).await;
    assert_eq!(shown["KeyState"], "PendingDeletion");
    assert_eq!(shown["DeletionDate"].as_f64(), Some((NOW_SECS + 14 * DAY) as f64));
    world.advance(7 * DAY).await;
    for region in [REGION, OTHER_REGION, THIRD] {
        assert_eq!(at(&world, region, "ListKeys", json!({})).await["Keys"], json!([]));
    }
    assert_eq!(materials(&world, &key).await, 0);
}
