//! ScheduleKeyDeletion, CancelKeyDeletion, and what is left when the waiting period is over.
use crate::support::{denied, failed, id_of, user_arn};
use crate::world::{NOW_SECS, World, allow};
use claviger::audit::EventType;
use serde_json::json;

const DAY: i64 = 86_400;

#[tokio::test]
async fn the_window_has_7_to_30_days() {
    let world = World::new().await;
    for (wish, days) in [(json!(7), 7), (json!(13), 13), (json!(30), 30), (json!(null), 30)] {
        let key = world.key().await;
        let body = json!({"KeyId": id_of(&key), "PendingWindowInDays": wish});
        let answer = world.kms("ScheduleKeyDeletion", body).await;
        assert_eq!(answer["KeyId"], *key);
        assert_eq!(answer["KeyState"], "PendingDeletion");
        assert_eq!(answer["PendingWindowInDays"], days);
        assert_eq!(answer["DeletionDate"].as_f64(), Some((NOW_SECS + days * DAY) as f64));
        // The event spells the date as CloudTrail does: 2026-01-01 and the window.
        let spelled = match days {
            7 => "Jan 8, 2026, 12:00:00 AM",
            13 => "Jan 14, 2026, 12:00:00 AM",
            _ => "Jan 31, 2026, 12:00:00 AM",
        };
        assert_eq!(world.last_event().response_elements.unwrap()["deletionDate"], spelled);
        let metadata = &world.kms("DescribeKey", json!({"KeyId": key})).await["KeyMetadata"];
        assert_eq!(metadata["DeletionDate"], answer["DeletionDate"]);
        assert_eq!(metadata["KeyState"], "PendingDeletion");
        assert_eq!(metadata["Enabled"], false);
        assert!(metadata.get("PendingDeletionWindowInDays").is_none());
    }
    let key = world.key().await;
    for days in [6, 31, 1, 365, 0, 366, -1] {
        let body = json!({"KeyId": key, "PendingWindowInDays": days});
        let refused = world.kms_fails("ScheduleKeyDeletion", body).await;
        assert_eq!(refused.code, "ValidationException", "{days}");
    }
    assert_eq!(world.state(&key).await, "Enabled");
}

#[tokio::test]
async fn a_key_in_waiting_can_only_be_looked_at_or_saved() {
    let world = World::new().await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await;
    let pending = failed("KMSInvalidStateException", format!("{key} is pending deletion."));
    for (name, body) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})),
        ("EnableKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
    ] {
        assert_eq!(world.kms_fails(name, body).await, pending, "{name}");
    }
    let cancelled = world.kms("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(cancelled, json!({"KeyId": key}));
    assert_eq!(world.state(&key).await, "Disabled");
    let metadata = world.kms("DescribeKey", json!({"KeyId": key})).await;
    assert!(metadata["KeyMetadata"].get("DeletionDate").is_none());
    let again = world.kms_fails("CancelKeyDeletion", json!({"KeyId": key})).await;
    let text = format!("{key} is not pending deletion.");
    assert_eq!(again, failed("KMSInvalidStateException", text));
    // The window that was cancelled never ends.
    world.advance(31 * DAY).await;
    world.kms("EnableKey", json!({"KeyId": key})).await;
    let opened = world.kms("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(opened["Plaintext"], "aGVsbG8=");
}

#[tokio::test]
async fn when_the_window_ends_key_material_and_aliases_are_gone() {
    let world = World::new().await;
    let (key, other) = (world.key().await, world.key().await);
    let blob = world.hello(&key).await;
    for name in ["alias/one", "alias/two"] {
        world.kms("CreateAlias", json!({"AliasName": name, "TargetKeyId": key})).await;
    }
    world.kms("CreateAlias", json!({"AliasName": "alias/other", "TargetKeyId": other})).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(7 * DAY - 1).await;
    assert_eq!(world.state("alias/one").await, "PendingDeletion");
    let before = world.events().len();
    world.advance(1).await;

    let events = world.events().split_off(before);
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event.event_type, EventType::AwsServiceEvent);
    assert_eq!(event.event_name, "DeleteKey");
    assert_eq!(event.event_source, "kms.amazonaws.com");
    assert_eq!(event.resources[0].arn, key);
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("kms.amazonaws.com"));
    assert_eq!(event.service_event_details, Some(json!({"keyId": id_of(&key)})));

    let gone = failed("NotFoundException", format!("Key '{key}' does not exist"));
    assert_eq!(world.kms_fails("DescribeKey", json!({"KeyId": key})).await, gone);
    assert_eq!(world.kms_fails("CancelKeyDeletion", json!({"KeyId": key})).await, gone);
    let alias = world.kms_fails("DescribeKey", json!({"KeyId": "alias/one"})).await;
    assert_eq!(alias.code, "NotFoundException");
    let refused = world.kms_fails("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let aliases = world.kms("ListAliases", json!({})).await;
    let left = aliases["Aliases"].as_array().unwrap();
    let left: Vec<_> = left.iter().filter(|alias| alias.get("TargetKeyId").is_some()).collect();
    assert_eq!(left.len(), 1, "{aliases}");
    let keys = world.kms("ListKeys", json!({})).await;
    assert_eq!(keys["Keys"], json!([{"KeyArn": other, "KeyId": id_of(&other)}]));
    // The names are free again, and nothing happens twice.
    world.kms("CreateAlias", json!({"AliasName": "alias/one", "TargetKeyId": other})).await;
    let before = world.events().len();
    world.advance(DAY).await;
    assert_eq!(world.events().len(), before);
}

#[tokio::test]
async fn many_keys_end_in_the_same_second_and_others_stay() {
    let world = World::new().await;
    let (mut due, mut later) = (Vec::new(), Vec::new());
    for at in 0..230 {
        let (days, list) = if at % 2 == 0 { (7, &mut due) } else { (8, &mut later) };
        let key = world.key().await;
        let body = json!({"KeyId": key, "PendingWindowInDays": days});
        world.kms("ScheduleKeyDeletion", body).await;
        list.push(key);
    }
    world.advance(7 * DAY).await;
    for key in &due {
        let refused = world.kms_fails("DescribeKey", json!({"KeyId": key})).await;
        assert_eq!(refused.code, "NotFoundException");
    }
    for key in &later {
        assert_eq!(world.state(key).await, "PendingDeletion");
    }
    world.advance(DAY).await;
    assert_eq!(world.kms("ListKeys", json!({})).await["Keys"], json!([]));
}

#[tokio::test]
async fn each_needs_its_permission() {
    let world = World::new().await;
    let key = world.key().await;
    let ann = world.user("ann", allow(&["kms:CancelKeyDeletion"])).await;
    let bob = world.user("bob", allow(&["kms:ScheduleKeyDeletion"])).await;
    let body = json!({"KeyId": key});
    let why = |action: &str| {
        format!("resource: {key} because no identity-based policy allows the {action} action")
    };
    let action = "kms:ScheduleKeyDeletion";
    let refused = world.kms_fails_as(&ann, "ScheduleKeyDeletion", body.clone()).await;
    assert_eq!(refused, denied(&user_arn("ann"), action, &why(action)));
    world.kms_as(&bob, "ScheduleKeyDeletion", body.clone()).await;
    let action = "kms:CancelKeyDeletion";
    let refused = world.kms_fails_as(&bob, "CancelKeyDeletion", body.clone()).await;
    assert_eq!(refused, denied(&user_arn("bob"), action, &why(action)));
    world.kms_as(&ann, "CancelKeyDeletion", body).await;
}

#[tokio::test]
async fn what_is_due_is_not_saved_any_more() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    // The background has not looked yet.
    world.clock.advance(7 * 86_400);
    let text = format!("{key} is pending deletion.");
    let error = world.kms_fails("CancelKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(error, failed("KMSInvalidStateException", text));
}

/// It cannot be undone, and rows that nobody has compared may be put back ones.
#[tokio::test]
async fn nothing_is_destroyed_before_the_rows_were_verified() {
    let mut world = World::new().await;
    let key = world.key().await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.leave_unverified().await;
    world.advance(8 * DAY).await;
    assert_eq!(world.state(&key).await, "PendingDeletion");
    assert!(world.server.store.check_rows().await.unwrap());
    world.advance(1).await;
    let gone = world.kms_fails("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(gone.code, "NotFoundException");
}
