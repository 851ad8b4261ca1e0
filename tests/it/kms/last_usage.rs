//! GetKeyLastUsage, UpdateKeyDescription, ListKeyPolicies.
use crate::support::failed;
use crate::world::{ACCOUNT, NOW_SECS, REGION, World, allow};
use claviger::last_use::LastUses;
use claviger::types::Arn;
use serde_json::json;

#[tokio::test]
async fn the_last_successful_use_is_told() {
    let world = World::new().await;
    let key = world.key().await;
    let unused = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    assert_eq!(unused["KeyLastUsage"], json!({}));
    assert_eq!(unused["KeyId"], key);
    assert_eq!(unused["TrackingStartDate"], NOW_SECS);
    assert_eq!(unused["KeyCreationDate"], NOW_SECS);

    let blob = world.hello(&key).await;
    world.clock.advance(60);
    world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
    let event = world.last_event();
    let expected = json!({"Operation": "Decrypt", "Timestamp": NOW_SECS + 60,
        "CloudTrailEventId": event.event_id, "KmsRequestId": event.request_id});
    // What failed, was only tried, or is no use of the key does not count.
    world.clock.advance(60);
    let body = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}});
    world.kms_fails("Decrypt", body).await;
    world.kms_fails("Decrypt", json!({"CiphertextBlob": blob, "DryRun": true})).await;
    world.kms("DescribeKey", json!({"KeyId": key})).await;
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    assert_eq!(used["KeyLastUsage"], expected);
    // Written, it is the same, also for a server that starts anew.
    world.server.last_uses.write(&world.server.store).await.unwrap();
    let mut tx = world.server.store.begin();
    let region = crate::world::REGION.parse().unwrap();
    let id = crate::support::id_of(&key);
    let stored = LastUses::default().of(&mut tx, &region, id).await.unwrap().unwrap();
    assert_eq!(stored.operation, "Decrypt");
    assert_eq!(stored.event_id, event.event_id);
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    assert_eq!(used["KeyLastUsage"], expected);
}

#[tokio::test]
async fn a_use_through_secrets_manager_counts_and_a_destroyed_key_leaves_none() {
    let world = World::new().await;
    let key = world.key().await;
    let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": crate::support::token(1)});
    world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    assert!(used["KeyLastUsage"]["Operation"].is_string(), "{used}");
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(8 * 86_400).await;
    let mut tx = world.server.store.begin();
    let region = crate::world::REGION.parse().unwrap();
    let left = LastUses::default().of(&mut tx, &region, crate::support::id_of(&key)).await;
    assert_eq!(left.unwrap(), None);
}

#[tokio::test]
async fn policies_see_how_long_a_key_was_not_used() {
    let world = World::new().await;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["kms:DisableKey", "kms:ScheduleKeyDeletion"],
        "Resource": "*",
        "Condition": {"NumericGreaterThanEquals": {"kms:TrailingDaysWithoutKeyUsage": "30"}}}]});
    let user = world.user("cleaner", policy).await;
    for name in ["DisableKey", "ScheduleKeyDeletion"] {
        let key = world.key().await;
        let body = json!({"KeyId": key});
        world.advance(20 * 86_400).await;
        world.hello(&key).await;
        world.advance(30 * 86_400 - 1).await;
        let error = world.kms_fails_as(&user, name, body.clone()).await;
        assert_eq!(error.code, "AccessDeniedException");
        world.advance(1).await;
        world.kms_as(&user, name, body).await;
    }
}

#[tokio::test]
async fn a_description_is_replaced() {
    let world = World::new().await;
    let key = world.key().await;
    for text in ["first", ""] {
        world.kms("UpdateKeyDescription", json!({"KeyId": key, "Description": text})).await;
        let metadata = world.kms("DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(metadata["KeyMetadata"]["Description"], text);
    }
    let long = "x".repeat(8193);
    let body = json!({"KeyId": key, "Description": long});
    assert_eq!(world.kms_fails("UpdateKeyDescription", body).await.code, "ValidationException");
    world.kms("DescribeKey", json!({"KeyId": "alias/aws/secretsmanager"})).await;
    let managed = world.kms("DescribeKey", json!({"KeyId": "alias/aws/secretsmanager"})).await;
    let id = &managed["KeyMetadata"]["KeyId"];
    let body = json!({"KeyId": id, "Description": "mine"});
    let error = world.kms_fails("UpdateKeyDescription", body).await;
    assert!(["AccessDeniedException", "UnsupportedOperationException"].contains(&&*error.code));
}

#[tokio::test]
async fn a_key_has_one_policy() {
    let world = World::new().await;
    let key = world.key().await;
    let expected = json!({"PolicyNames": ["default"], "Truncated": false});
    for body in [json!({"KeyId": key}), json!({"KeyId": key, "Limit": 1})] {
        assert_eq!(world.kms("ListKeyPolicies", body).await, expected);
    }
    let body = json!({"KeyId": key, "Marker": "x"});
    assert!(world.kms_fails("ListKeyPolicies", body).await.message.contains("marker"));
    let reader = world.user("reader", allow(&["kms:ListKeyPolicies"])).await;
    assert_eq!(world.kms_as(&reader, "ListKeyPolicies", json!({"KeyId": key})).await, expected);
    let missing = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000";
    let text = format!("Key '{missing}' does not exist");
    let body = json!({"KeyId": missing});
    assert_eq!(world.kms_fails("ListKeyPolicies", body).await, failed("NotFoundException", text));
}

#[tokio::test]
async fn writing_ends_although_keys_are_in_steady_use() {
    use claviger::last_use::LastUse;
    let world = World::new().await;
    let region: claviger::types::Region = crate::world::REGION.parse().unwrap();
    let used = |at: i64| LastUse {
        operation: "Encrypt".into(),
        at: claviger::types::Timestamp(at),
        event_id: at.to_string().into(),
        request_id: "".into(),
    };
    let key = |n: i64| Arn::new("kms", REGION, ACCOUNT, &format!("key/key-{n}"));
    let uses = &world.server.last_uses;
    for n in 0..1200 {
        uses.note(&key(n), used(n));
    }
    // One key is used again whenever the writer lets somebody else run.
    let server = world.server.clone();
    let busy = tokio::spawn(async move {
        for at in 10_000.. {
            server.last_uses.note(&key(0), used(at));
            tokio::task::yield_now().await;
        }
    });
    let end = std::time::Duration::from_secs(20);
    tokio::time::timeout(end, uses.write(&world.server.store)).await.unwrap().unwrap();
    busy.abort();
    // An older use that ends later does not stand before a newer one, written or not.
    uses.note(&key(0), used(99_000_000));
    for _ in 0..2 {
        uses.note(&key(0), used(5));
        let mut tx = world.server.store.begin();
        let last = uses.of(&mut tx, &region, "key-0").await.unwrap().unwrap();
        assert_eq!(last.at.0, 99_000_000);
        uses.write(&world.server.store).await.unwrap();
    }
    let mut tx = world.server.store.begin();
    let other = uses.of(&mut tx, &region, "key-1199").await.unwrap().unwrap();
    assert_eq!(other.at.0, 1199);
}

#[tokio::test]
async fn the_event_of_a_use_through_secrets_manager_is_that_of_kms() {
    let world = World::new().await;
    let key = world.key().await;
    let body = json!({"Name": "s", "SecretString": "v", "KmsKeyId": key,
        "ClientRequestToken": crate::support::token(1)});
    world.call("secretsmanager", "CreateSecret", body).await.unwrap();
    let used = world.kms("GetKeyLastUsage", json!({"KeyId": key})).await;
    let id = used["KeyLastUsage"]["CloudTrailEventId"].as_str().unwrap();
    let event = world.events().into_iter().find(|e| e.event_id == id).unwrap();
    assert_eq!(event.event_source, "kms.amazonaws.com");
    assert_eq!(event.event_name, used["KeyLastUsage"]["Operation"].as_str().unwrap());
}
