//! What ReplicateKey refuses: every error of its model, and bad input.
use super::{THIRD, add_region, at, fails_at, primary, replica, state, there, three, world};
use crate::support::{delegate, failed, id_of, policy, user_arn};
use crate::world::{OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

fn to(key: &str, region: &str) -> Value {
    json!({"KeyId": key, "ReplicaRegion": region})
}

#[tokio::test]
async fn only_primary_keys_are_replicated() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let refused = fails_at(&world, OTHER_REGION, "ReplicateKey", to(&other, THIRD)).await;
    let text = format!("{other} is not a multi-region primary key.");
    assert_eq!(refused, failed("UnsupportedOperationException", text));
    let single = world.key().await;
    let refused = world.kms_fails("ReplicateKey", to(&single, OTHER_REGION)).await;
    let text = format!("{single} is not a multi-region primary key.");
    assert_eq!(refused, failed("UnsupportedOperationException", text));
}

#[tokio::test]
async fn a_region_has_one_of_them() {
    let world = world().await;
    let [key, other, _] = three(&world).await;
    for (region, arn) in [(REGION, &key), (OTHER_REGION, &other)] {
        let refused = world.kms_fails("ReplicateKey", to(&key, region)).await;
        let text = format!("Key {arn} already exists");
        assert_eq!(refused, failed("AlreadyExistsException", text));
    }
    // One that waits for its end is there still.
    at(&world, OTHER_REGION, "ScheduleKeyDeletion", json!({"KeyId": other})).await;
    let refused = world.kms_fails("ReplicateKey", to(&key, OTHER_REGION)).await;
    assert_eq!(refused.code, "AlreadyExistsException");
}

#[tokio::test]
async fn a_region_is_one_that_is_served() {
    let world = world().await;
    let key = primary(&world).await;
    for region in ["eu-north-1", &format!("eu-{}-1", "w".repeat(27))] {
        let refused = world.kms_fails("ReplicateKey", to(&key, region)).await;
        let text = format!("{key} cannot be replicated to Region {region}.");
        assert_eq!(refused, failed("UnsupportedOperationException", text));
    }
    for region in ["", "eu", "EU-WEST-1", "eu-west-x", "a-1", &format!("eu-{}-1", "w".repeat(28))] {
        let refused = world.kms_fails("ReplicateKey", to(&key, region)).await;
        assert_eq!(refused.code, "ValidationException", "{region}");
        assert!(refused.message.contains("'replicaRegion' failed to satisfy"), "{refused:?}");
    }
    let missing = world.kms_fails("ReplicateKey", json!({"KeyId": key})).await;
    let text = "1 validation error detected: Value null at 'replicaRegion' failed to satisfy \
        constraint: Member must not be null";
    assert_eq!(missing, failed("ValidationException", text));
    assert_eq!(at(&world, OTHER_REGION, "ListKeys", json!({})).await["Keys"], json!([]));
}

#[tokio::test]
async fn the_primary_key_must_be_enabled() {
    let world = world().await;
    let key = primary(&world).await;
    world.kms("DisableKey", json!({"KeyId": key})).await;
    let refused = world.kms_fails("ReplicateKey", to(&key, OTHER_REGION)).await;
    assert_eq!(refused, failed("DisabledException", format!("{key} is disabled.")));
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await;
    let refused = world.kms_fails("ReplicateKey", to(&key, OTHER_REGION)).await;
    assert_eq!(refused, failed("KMSInvalidStateException", format!("{key} is pending deletion.")));
    let [key, ..] = three(&world).await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key})).await;
    assert_eq!(state(&world, &key).await, "PendingReplicaDeletion");
    let refused = world.kms_fails("ReplicateKey", to(&key, OTHER_REGION)).await;
    let text = format!("{key} is pending replica deletion.");
    assert_eq!(refused, failed("KMSInvalidStateException", text));
    let imported = json!({"MultiRegion": true, "Origin": "EXTERNAL"});
    let key = world.kms("CreateKey", imported).await["KeyMetadata"]["Arn"].take();
    let key = key.as_str().unwrap();
    let refused = world.kms_fails("ReplicateKey", to(key, OTHER_REGION)).await;
    assert_eq!(refused, failed("KMSInvalidStateException", format!("{key} is pending import.")));
}

#[tokio::test]
async fn a_key_goes_by_its_id_or_arn() {
    let world = world().await;
    let key = primary(&world).await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let nothing = "mrk-00000000000000000000000000000000";
    for (named, text) in [
        ("alias/app", "Invalid keyId 'alias/app'".to_owned()),
        ("nope", "Invalid keyId 'nope'".to_owned()),
        ("arn:aws:kms", "Invalid arn arn:aws:kms".to_owned()),
        (&there(&key, OTHER_REGION), format!("Invalid arn {OTHER_REGION}")),
        (nothing, format!("Key '{}' does not exist", there(nothing, REGION))),
    ] {
        let refused = world.kms_fails("ReplicateKey", to(named, OTHER_REGION)).await;
        assert_eq!(refused, failed("NotFoundException", text), "{named}");
    }
    world.kms("ReplicateKey", to(id_of(&key), OTHER_REGION)).await;
}

#[tokio::test]
async fn the_replicas_policy_is_checked_as_any() {
    let world = world().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let key = primary(&world).await;
    let mine = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:Encrypt", "Resource": "*"});
    let lockout = "The new key policy will not allow you to update the key policy in the future.";
    let mut body = to(&key, OTHER_REGION);
    body["Policy"] = json!(policy(&[mine]).to_string());
    let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
    assert_eq!(refused, failed("MalformedPolicyDocumentException", lockout));
    // The check knows where the key will be.
    let statement = |region: &str| {
        json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")}, "Action": "kms:*",
            "Resource": "*", "Condition": {"StringEquals": {"aws:RequestedRegion": region}}})
    };
    body["Policy"] = json!(policy(&[statement(REGION)]).to_string());
    let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
    assert_eq!(refused, failed("MalformedPolicyDocumentException", lockout));
    for text in ["{}", "nonsense", &policy(&[json!({"Effect": "Maybe"})]).to_string()] {
        body["Policy"] = json!(text);
        let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
        assert_eq!(refused.code, "MalformedPolicyDocumentException", "{text}");
    }
    let stranger = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("nobody")},
        "Action": "kms:*", "Resource": "*"});
    body["Policy"] = json!(policy(&[delegate(), stranger]).to_string());
    let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
    let text = "Policy contains a statement with one or more invalid principals.";
    assert_eq!(refused, failed("MalformedPolicyDocumentException", text));
    let long = json!({"Sid": "x".repeat(33_000), "Effect": "Allow", "Principal": "*",
        "Action": "kms:*", "Resource": "*"});
    body["Policy"] = json!(policy(&[long]).to_string());
    let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert_eq!(at(&world, OTHER_REGION, "ListKeys", json!({})).await["Keys"], json!([]));

    body["Policy"] = json!(policy(&[statement(OTHER_REGION)]).to_string());
    let made = world.kms_as(&ann, "ReplicateKey", body.clone()).await;
    assert_eq!(made["ReplicaPolicy"], body["Policy"]);
    // With the bypass, out is out.
    body["ReplicaRegion"] = json!(THIRD);
    body["BypassPolicyLockoutSafetyCheck"] = json!(true);
    world.kms_as(&ann, "ReplicateKey", body).await;
}

#[tokio::test]
async fn the_replicas_tags_are_checked_as_any() {
    let world = world().await;
    let key = primary(&world).await;
    let tag = |name: &str| json!({"TagKey": name, "TagValue": "v"});
    let many: Vec<Value> = (0..51).map(|n| tag(&n.to_string())).collect();
    for (tags, text) in [
        (json!([tag("a"), tag("a")]), "Duplicate tag keys"),
        (json!([tag("aws:a")]), "Tags beginning with aws: are reserved"),
        (json!(many), "Too many tags"),
    ] {
        let mut body = to(&key, OTHER_REGION);
        body["Tags"] = tags;
        let refused = world.kms_fails("ReplicateKey", body).await;
        assert_eq!(refused, failed("TagException", text));
    }
    let mut body = to(&key, OTHER_REGION);
    body["Tags"] = json!(many[..50]);
    let made = world.kms("ReplicateKey", body).await;
    assert_eq!(made["ReplicaTags"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_description_has_its_bounds() {
    let world = world().await;
    let key = primary(&world).await;
    let mut body = to(&key, OTHER_REGION);
    body["Description"] = json!("d".repeat(8193));
    assert_eq!(world.kms_fails("ReplicateKey", body.clone()).await.code, "ValidationException");
    body["Description"] = json!("d".repeat(8192));
    let made = world.kms("ReplicateKey", body.clone()).await;
    assert_eq!(made["ReplicaKeyMetadata"]["Description"], body["Description"]);
}

#[tokio::test]
async fn a_replica_counts_in_its_region() {
    let mut world = World::with_quotas("[resources]\nkeys = 1").await;
    add_region(&mut world);
    let key = primary(&world).await;
    at(&world, OTHER_REGION, "CreateKey", json!({})).await;
    let refused = world.kms_fails("ReplicateKey", to(&key, OTHER_REGION)).await;
    assert_eq!(refused.code, "LimitExceededException");
    replica(&world, &key, THIRD).await;
    let refused = fails_at(&world, THIRD, "CreateKey", json!({})).await;
    assert_eq!(refused.code, "LimitExceededException");
}

#[tokio::test]
async fn requests_are_counted_in_both_regions() {
    let mut world = World::with_quotas("[rates]\nkms.CreateKey = 3").await;
    add_region(&mut world);
    // AWS counts a replica twice; here nothing was created yet.
    let key = primary(&world).await;
    replica(&world, &key, OTHER_REGION).await;
    at(&world, OTHER_REGION, "CreateKey", json!({})).await;
    let refused = fails_at(&world, OTHER_REGION, "CreateKey", json!({})).await;
    assert_eq!(refused.code, "ThrottlingException");
    let mut world = World::with_quotas("[rates]\nkms.UpdatePrimaryRegion = 1").await;
    add_region(&mut world);
    let (one, two) = (three(&world).await, three(&world).await);
    let hand_over = |key: &str, region: &str| json!({"KeyId": key, "PrimaryRegion": region});
    world.kms("UpdatePrimaryRegion", hand_over(&one[0], OTHER_REGION)).await;
    let refused =
        fails_at(&world, OTHER_REGION, "UpdatePrimaryRegion", hand_over(&one[1], THIRD)).await;
    assert_eq!(refused.code, "ThrottlingException");
    let refused = world.kms_fails("UpdatePrimaryRegion", hand_over(&two[0], THIRD)).await;
    assert_eq!(refused.code, "ThrottlingException");
    world.advance(1).await;
    world.kms("UpdatePrimaryRegion", hand_over(&two[0], THIRD)).await;
}
