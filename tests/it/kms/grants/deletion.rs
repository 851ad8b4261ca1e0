//! A key that is destroyed takes its grants with it.
use super::{DENIED, attempt, body, grant, granted, idle, ids, with};
use crate::support::user_arn;
use crate::world::World;
use serde_json::json;

const WEEK: i64 = 7 * 86_400;

#[tokio::test]
async fn grants_go_with_their_key() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let (key, other) = (world.key().await, world.key().await);
    let retiring = json!({"RetiringPrincipal": user_arn("ann")});
    for (key, count) in [(&key, 3), (&other, 1)] {
        for _ in 0..count {
            granted(&world, with(body(key, "ann", &["Decrypt"]), retiring.clone())).await;
        }
    }
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(WEEK - 1).await;
    assert_eq!(ids(&world, &key).await.len(), 3);
    world.advance(1).await;
    let refused = world.kms_fails("ListGrants", json!({"KeyId": key})).await;
    assert_eq!(refused.code, "NotFoundException");
    let listed = world.kms("ListRetirableGrants", retiring).await;
    assert_eq!(listed["Grants"].as_array().unwrap().len(), 1);
    assert_eq!(listed["Grants"][0]["KeyId"], other);
    assert_eq!(world.last_event().event_name, "ListRetirableGrants");
}

#[tokio::test]
async fn grants_wait_while_a_key_may_come_back() {
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let key = world.key().await;
    let id = grant(&world, &key, "ann", &["Encrypt"]).await;
    let seal = || json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    let refused = attempt(&world, &ann, "Encrypt", seal()).await;
    assert_eq!(refused, Err("KMSInvalidStateException".into()));
    world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    world.advance(2 * WEEK).await;
    world.kms("EnableKey", json!({"KeyId": key})).await;
    assert_eq!(ids(&world, &key).await, [id]);
    world.kms_as(&ann, "Encrypt", seal()).await;
}

/// More grants than one transaction deletes.
#[tokio::test]
async fn many_grants_go_too() {
    let world = World::new().await;
    idle(&world, "ann").await;
    let key = world.key().await;
    let retiring = json!({"RetiringPrincipal": user_arn("ann")});
    for n in 0..450 {
        let more = with(retiring.clone(), json!({"Name": format!("grant-{n}")}));
        granted(&world, with(body(&key, "ann", &["Decrypt"]), more)).await;
    }
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(WEEK).await;
    let refused = attempt(&world, &world.root, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(refused, Err("NotFoundException".into()));
    let listed = world.kms("ListRetirableGrants", retiring).await;
    assert_eq!(listed, json!({"Grants": [], "Truncated": false}));
    let ended = world.events().into_iter().filter(|event| event.event_name == "DeleteKey");
    assert_eq!(ended.count(), 1);
}

/// A key that comes back in a region has none of the grants that it had there before.
#[tokio::test]
async fn a_replica_that_is_made_anew_has_no_grants() {
    use crate::world::{OTHER_REGION, REGION};
    let world = World::new().await;
    let ann = idle(&world, "ann").await;
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let replica = key.replace(REGION, OTHER_REGION);
    let replicate = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
    let there = |who, name, body| world.call_in(who, OTHER_REGION, "kms", name, body);
    world.kms("ReplicateKey", replicate.clone()).await;
    there(&world.root, "CreateGrant", body(&replica, "ann", &["DescribeKey"])).await.unwrap();
    there(&ann, "DescribeKey", json!({"KeyId": replica})).await.unwrap();
    let week = json!({"KeyId": replica, "PendingWindowInDays": 7});
    there(&world.root, "ScheduleKeyDeletion", week).await.unwrap();
    world.advance(WEEK).await;
    world.kms("ReplicateKey", replicate).await;
    let refused = there(&ann, "DescribeKey", json!({"KeyId": replica})).await;
    assert_eq!(refused.unwrap_err().code, DENIED);
    let listed = there(&world.root, "ListGrants", json!({"KeyId": replica})).await.unwrap();
    assert_eq!(listed["Grants"], json!([]));
    there(&world.root, "CreateGrant", body(&replica, "ann", &["Decrypt"])).await.unwrap();
    let refused = there(&ann, "DescribeKey", json!({"KeyId": replica})).await;
    assert_eq!(refused.unwrap_err().code, DENIED);
}
