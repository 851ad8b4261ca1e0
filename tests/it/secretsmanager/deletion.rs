//! DeleteSecret and RestoreSecret: the recovery window, what it stops, and its end.
use super::{DAY, NOW_SECS, creation, not_found, partial, scheduled, token, version};
use crate::support::failed;
use crate::world::{ACCOUNT, OTHER_REGION, World};
use claviger::audit::EventType;
use serde_json::{Value, json};

fn delete(members: Value) -> Value {
    let mut body = json!({"SecretId": "a"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

fn force() -> Value {
    delete(json!({"ForceDeleteWithoutRecovery": true}))
}

#[tokio::test]
async fn windows_of_7_to_30_days() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    for (members, days) in [
        (json!({}), 30),
        (json!({"RecoveryWindowInDays": 7}), 7),
        (json!({"RecoveryWindowInDays": 30}), 30),
        (json!({"RecoveryWindowInDays": 8, "ForceDeleteWithoutRecovery": false}), 8),
    ] {
        // Each starts the window again.
        world.clock.advance(60);
        let now = world.server.clock.now().secs();
        let answer = world.sm("DeleteSecret", delete(members)).await;
        let end = now + days * DAY;
        assert_eq!(answer, json!({"ARN": arn, "Name": "a", "DeletionDate": end}));
        assert_eq!(world.describe("a").await["DeletedDate"], end);
        let listed = world.sm("ListSecrets", json!({"IncludePlannedDeletion": true})).await;
        assert_eq!(listed["SecretList"][0]["DeletedDate"], now);
    }
    let event = world.events().into_iter().rfind(|e| e.event_name == "DeleteSecret").unwrap();
    let expected = json!({
        "secretId": "a", "recoveryWindowInDays": 8, "forceDeleteWithoutRecovery": false,
    });
    assert_eq!(event.request_parameters, Some(expected));
    assert_eq!(event.response_elements.unwrap()["name"], "a");
    for days in [i64::MIN, -7, 0, 6, 31, i64::MAX] {
        let refused = world.sm_fails("DeleteSecret", delete(json!({"RecoveryWindowInDays": days})));
        let text = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
        assert_eq!(refused.await, failed("InvalidParameterException", text), "{days}");
    }
}

#[tokio::test]
async fn force_and_a_window_exclude_each_other() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let mut body = force();
    body["RecoveryWindowInDays"] = json!(7);
    let text = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.";
    let both = failed("InvalidParameterException", text);
    assert_eq!(world.sm_fails("DeleteSecret", body.clone()).await, both);
    assert_eq!(world.value("a").await, "one");
    body["SecretId"] = json!("b");
    assert_eq!(world.sm_fails("DeleteSecret", body).await, both);
}

#[tokio::test]
async fn a_scheduled_secret_gives_nothing_and_takes_nothing() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    let tags = json!([{"Key": "k", "Value": "v"}]);
    world.sm("TagResource", json!({"SecretId": "a", "Tags": tags})).await;
    world.sm("DeleteSecret", delete(json!({}))).await;
    for id in ["a", &arn, partial(&arn)] {
        for (name, body) in [
            ("GetSecretValue", json!({})),
            ("GetSecretValue", json!({"VersionId": token(1)})),
            ("GetSecretValue", json!({"VersionStage": "none"})),
            ("PutSecretValue", version("", 3, "x")),
            ("PutSecretValue", version("", 2, "two")),
            ("UpdateSecret", json!({"ClientRequestToken": token(3), "Description": "x"})),
            ("TagResource", json!({"Tags": tags})),
            ("UntagResource", json!({"TagKeys": ["k"]})),
        ] {
            let mut body = body;
            body["SecretId"] = json!(id);
            assert_eq!(world.sm_fails(name, body).await, scheduled(), "{name}");
        }
    }
    assert_eq!(world.describe("a").await["Tags"], tags);
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT");
    assert_eq!(world.sm("ListSecrets", json!({})).await["SecretList"], json!([]));

    let restored = world.sm("RestoreSecret", json!({"SecretId": partial(&arn)})).await;
    assert_eq!(restored, json!({"ARN": arn, "Name": "a"}));
    assert_eq!(world.describe("a").await.get("DeletedDate"), None);
    assert_eq!(world.value("a").await, "two");
    assert_eq!(world.value_at("a", 1).await, "one");
    world.advance(31 * DAY).await;
    assert_eq!(world.value("a").await, "two", "the old window no longer counts");
    assert_eq!(world.sm("RestoreSecret", json!({"SecretId": "a"})).await, restored);
    let missing = world.sm_fails("RestoreSecret", json!({"SecretId": "b"})).await;
    assert_eq!(missing, not_found());
}

#[tokio::test]
async fn after_the_window_it_is_gone() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    world.sm("DeleteSecret", delete(json!({"RecoveryWindowInDays": 30}))).await;
    world.sm("DeleteSecret", delete(json!({"RecoveryWindowInDays": 7}))).await;
    world.advance(7 * DAY - 1).await;
    assert_eq!(world.describe("a").await["ARN"], arn);
    world.sm("RestoreSecret", json!({"SecretId": "a"})).await;
    world.sm("DeleteSecret", delete(json!({"RecoveryWindowInDays": 7}))).await;
    world.advance(7 * DAY).await;

    let event = world.last_event();
    assert_eq!(event.event_name, "EndSecretVersionDelete");
    assert_eq!(event.event_source, "secretsmanager.amazonaws.com");
    assert_eq!(event.event_type, EventType::AwsServiceEvent);
    assert_eq!(event.user_identity.invoked_by.as_deref(), Some("secretsmanager.amazonaws.com"));
    assert_eq!(event.recipient_account_id, ACCOUNT);
    assert_eq!(event.resources[0].arn, arn);
    assert_eq!(event.additional_event_data, Some(json!({"SecretId": arn})));
    let count = world.events().len();
    world.advance(1).await;
    assert_eq!(world.events().len(), count, "once");

    for name in ["DescribeSecret", "GetSecretValue", "RestoreSecret", "DeleteSecret"] {
        for id in ["a", &arn] {
            assert_eq!(world.sm_fails(name, json!({"SecretId": id})).await, not_found(), "{name}");
        }
    }
    let listed = world.sm("ListSecrets", json!({"IncludePlannedDeletion": true})).await;
    assert_eq!(listed["SecretList"], json!([]));
    // The name is free, and what was under it does not come back.
    let again = world.secret("a", "new").await;
    assert_ne!(again, arn);
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
    assert_eq!(world.value("a").await, "new");
    world.advance(31 * DAY).await;
    assert_eq!(world.value("a").await, "new");
}

#[tokio::test]
async fn force_leaves_nothing() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let now = NOW_SECS;
    let answer = world.sm("DeleteSecret", force()).await;
    assert_eq!(answer, json!({"ARN": arn, "Name": "a", "DeletionDate": now}));
    let gone = world.sm_fails("RestoreSecret", json!({"SecretId": "a"})).await;
    assert_eq!(gone, not_found());
    // What is not there is as good as deleted; a typing error looks the same.
    let answer = world.sm("DeleteSecret", force()).await;
    assert_eq!(answer, json!({"Name": "a", "DeletionDate": now}));
    let body = json!({"SecretId": arn, "ForceDeleteWithoutRecovery": true});
    let answer = world.sm("DeleteSecret", body).await;
    assert_eq!(answer, json!({"ARN": arn, "DeletionDate": now}));
    assert_eq!(world.sm_fails("DeleteSecret", delete(json!({}))).await, not_found());

    // Also out of a window, which then ends for nobody.
    world.secret("a", "two").await;
    world.sm("DeleteSecret", delete(json!({"RecoveryWindowInDays": 7}))).await;
    world.sm("DeleteSecret", force()).await;
    world.secret("a", "three").await;
    world.advance(8 * DAY).await;
    assert_eq!(world.value("a").await, "three");
    assert_ne!(world.last_event().event_name, "EndSecretVersionDelete");
}

#[tokio::test]
async fn an_old_arn_deletes_nothing() {
    let world = World::new().await;
    let old = world.secret("a", "one").await;
    world.sm("DeleteSecret", force()).await;
    world.secret("a", "two").await;
    assert_eq!(world.sm_fails("DeleteSecret", json!({"SecretId": old})).await, not_found());
    let body = json!({"SecretId": old, "ForceDeleteWithoutRecovery": true});
    world.sm("DeleteSecret", body).await;
    assert_eq!(world.value("a").await, "two");
}

#[tokio::test]
async fn secrets_of_one_name_end_each_on_their_own() {
    let world = World::new().await;
    let there = async |name: &str, body| {
        world.call_in(&world.root, OTHER_REGION, "secretsmanager", name, body).await.unwrap()
    };
    let other = world.other_root();
    world.secret("a", "here").await;
    there("CreateSecret", creation("a", "there")).await;
    world.sm_as(&other, "CreateSecret", creation("a", "theirs")).await;
    world.sm("DeleteSecret", delete(json!({"RecoveryWindowInDays": 7}))).await;
    world.advance(7 * DAY).await;
    let read = json!({"SecretId": "a"});
    assert_eq!(world.sm_fails("GetSecretValue", read.clone()).await, not_found());
    assert_eq!(there("GetSecretValue", read.clone()).await["SecretString"], "there");
    let theirs = world.sm_as(&other, "GetSecretValue", read).await;
    assert_eq!(theirs["SecretString"], "theirs");
}
