//! Who may replicate and move a multi-Region key, and the condition keys that say so.
use super::{THIRD, assert_places, at, primary, refused_at, replica, sealed, there, three, world};
use crate::support::{delegate, denied, failed, id_of, policy, unknown_to, user_arn};
use crate::world::{OTHER_ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use serde_json::{Value, json};

const NO_IDENTITY: &str = "because no identity-based policy allows the";

fn to(key: &str, region: &str) -> Value {
    json!({"KeyId": key, "ReplicaRegion": region})
}

/// A statement that allows actions under a condition.
fn when(actions: &[&str], condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition})
}

fn equals(key: &str, value: &str) -> Value {
    json!({"StringEquals": {key: value}})
}

async fn user(world: &World, name: &str, statements: &[Value]) -> Someone {
    world.user(name, policy(statements)).await
}

fn always(actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": "*"})
}

#[tokio::test]
async fn replicating_needs_a_permission_here_and_one_there() {
    let world = world().await;
    let key = primary(&world).await;
    let tags = json!([{"TagKey": "a", "TagValue": "b"}]);
    for (name, actions, tagged, missing) in [
        ("ann", &["kms:CreateKey", "kms:TagResource"][..], true, "kms:ReplicateKey"),
        ("bob", &["kms:ReplicateKey", "kms:TagResource"], true, "kms:CreateKey"),
        ("cid", &["kms:ReplicateKey", "kms:CreateKey"], true, "kms:TagResource"),
        ("dan", &["kms:ReplicateKey"], false, "kms:CreateKey"),
    ] {
        let who = world.user(name, allow(actions)).await;
        let mut body = to(&key, OTHER_REGION);
        if tagged {
            body["Tags"] = tags.clone();
        }
        let refused = world.kms_fails_as(&who, "ReplicateKey", body).await;
        let what = if missing == "kms:ReplicateKey" { &*key } else { "*" };
        let why = format!("resource: {what} {NO_IDENTITY} {missing} action");
        assert_eq!(refused, denied(&user_arn(name), missing, &why), "{name}");
        let event = world.last_event();
        assert_eq!((&*event.event_name, &*event.aws_region), ("ReplicateKey", REGION));
        assert_eq!(event.error_code.as_deref(), Some("AccessDeniedException"));
        assert_eq!(event.response_elements, None);
    }
    assert_places(&world, &key, REGION, &[]).await;
    let eve = world.user("eve", allow(&["kms:ReplicateKey", "kms:CreateKey"])).await;
    world.kms_as(&eve, "ReplicateKey", to(&key, OTHER_REGION)).await;
    let all = allow(&["kms:ReplicateKey", "kms:CreateKey", "kms:TagResource"]);
    let fay = world.user("fay", all).await;
    let mut body = to(&key, THIRD);
    body["Tags"] = tags.clone();
    assert_eq!(world.kms_as(&fay, "ReplicateKey", body).await["ReplicaTags"], tags);
}

#[tokio::test]
async fn the_primarys_key_policy_must_allow_it() {
    let world = world().await;
    let statement = |who: &str, actions: &[&str]| json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": actions, "Resource": "*"});
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let root = "arn:aws:iam::111122223333:root";
    let key = json!({
        "MultiRegion": true,
        "Policy": policy(&[statement(root, &["kms:PutKeyPolicy", "kms:DescribeKey"])]).to_string(),
    });
    let key = world.kms("CreateKey", key).await["KeyMetadata"]["Arn"].take();
    let key = key.as_str().unwrap();
    let refused = world.kms_fails_as(&ann, "ReplicateKey", to(key, OTHER_REGION)).await;
    let why = format!(
        "resource: {key} because no resource-based policy allows the kms:ReplicateKey action"
    );
    assert_eq!(refused, denied(&user_arn("ann"), "kms:ReplicateKey", &why));
    let text =
        policy(&[statement(root, &["kms:PutKeyPolicy"]), statement(root, &["kms:ReplicateKey"])]);
    world.kms("PutKeyPolicy", json!({"KeyId": key, "Policy": text.to_string()})).await;
    world.kms_as(&ann, "ReplicateKey", to(key, OTHER_REGION)).await;
}

#[tokio::test]
async fn replica_region_can_be_asked_for() {
    let world = world().await;
    let key = primary(&world).await;
    let condition = equals("kms:ReplicaRegion", OTHER_REGION);
    let statements = [when(&["kms:ReplicateKey"], condition), always(&["kms:CreateKey"])];
    let ann = user(&world, "ann", &statements).await;
    let refused = world.kms_fails_as(&ann, "ReplicateKey", to(&key, THIRD)).await;
    let action = "kms:ReplicateKey";
    let why = format!("resource: {key} {NO_IDENTITY} {action} action");
    assert_eq!(refused, denied(&user_arn("ann"), action, &why));
    world.kms_as(&ann, "ReplicateKey", to(&key, OTHER_REGION)).await;
}

#[tokio::test]
async fn the_key_is_created_in_the_replicas_region() {
    let world = world().await;
    let key = primary(&world).await;
    for (name, condition, works) in [
        ("ann", equals("aws:RequestedRegion", REGION), false),
        ("bob", equals("aws:RequestedRegion", OTHER_REGION), true),
        ("cid", equals("kms:MultiRegionKeyType", "PRIMARY"), false),
        ("dan", equals("kms:MultiRegionKeyType", "REPLICA"), true),
        ("eve", json!({"Bool": {"kms:MultiRegion": "false"}}), false),
        ("fay", json!({"Bool": {"kms:MultiRegion": "true"}}), true),
        ("gus", equals("kms:KeySpec", "RSA_2048"), false),
        ("hal", equals("kms:KeySpec", "SYMMETRIC_DEFAULT"), true),
        ("ida", equals("kms:CallerAccount", OTHER_ACCOUNT), false),
        ("joe", equals("kms:CallerAccount", "111122223333"), true),
        ("kay", json!({"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}}), false),
        ("lea", json!({"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "false"}}), true),
        ("max", equals("aws:RequestTag/dept", "it"), false),
        ("ned", equals("aws:RequestTag/dept", "hr"), true),
    ] {
        let all = always(&["kms:ReplicateKey", "kms:TagResource"]);
        let who = user(&world, name, &[all, when(&["kms:CreateKey"], condition)]).await;
        let mut body = to(&key, OTHER_REGION);
        body["Tags"] = json!([{"TagKey": "dept", "TagValue": "hr"}]);
        if works {
            world.kms_as(&who, "ReplicateKey", body).await;
            super::end(&world, &there(&key, OTHER_REGION)).await;
        } else {
            let refused = world.kms_fails_as(&who, "ReplicateKey", body).await;
            let why = format!("resource: * {NO_IDENTITY} kms:CreateKey action");
            assert_eq!(refused, denied(&user_arn(name), "kms:CreateKey", &why), "{name}");
        }
    }
}

#[tokio::test]
async fn whether_a_new_key_is_of_several_regions_can_be_asked_for() {
    let world = world().await;
    for (name, condition, several, single) in [
        ("ann", json!({"Bool": {"kms:MultiRegion": "true"}}), true, false),
        ("bob", json!({"Bool": {"kms:MultiRegion": "false"}}), false, true),
        ("cid", equals("kms:MultiRegionKeyType", "PRIMARY"), true, false),
        ("dan", equals("kms:MultiRegionKeyType", "REPLICA"), false, false),
    ] {
        let who = user(&world, name, &[when(&["kms:CreateKey"], condition)]).await;
        for (wish, works) in [(true, several), (false, single)] {
            let body = json!({"MultiRegion": wish});
            match world.call_as(&who, "kms", "CreateKey", body).await {
                Ok(made) => assert!(works && made["KeyMetadata"]["MultiRegion"] == wish, "{name}"),
                Err(error) => {
                    assert!(!works, "{name} {wish}: {error:?}");
                    let why = format!("resource: * {NO_IDENTITY} kms:CreateKey action");
                    assert_eq!(error, denied(&user_arn(name), "kms:CreateKey", &why));
                }
            }
        }
    }
}

#[tokio::test]
async fn request_tags_count_for_replicate_key_too() {
    let world = world().await;
    let key = primary(&world).await;
    let condition = equals("aws:RequestTag/dept", "hr");
    let rest = always(&["kms:CreateKey", "kms:TagResource"]);
    let ann = user(&world, "ann", &[when(&["kms:ReplicateKey"], condition), rest]).await;
    let mut body = to(&key, OTHER_REGION);
    let refused = world.kms_fails_as(&ann, "ReplicateKey", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    body["Tags"] = json!([{"TagKey": "dept", "TagValue": "hr"}]);
    world.kms_as(&ann, "ReplicateKey", body).await;
}

#[tokio::test]
async fn the_primary_key_moves_with_a_permission_on_both_keys() {
    let world = world().await;
    let [key, other, _] = three(&world).await;
    let action = "kms:UpdatePrimaryRegion";
    let on = |arn: &str| json!({"Effect": "Allow", "Action": action, "Resource": arn});
    let body = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
    for (name, allowed, missing) in [("ann", &key, &other), ("bob", &other, &key)] {
        let who = user(&world, name, &[on(allowed)]).await;
        let refused = world.kms_fails_as(&who, "UpdatePrimaryRegion", body.clone()).await;
        let why = format!("resource: {missing} {NO_IDENTITY} {action} action");
        assert_eq!(refused, denied(&user_arn(name), action, &why));
        let event = world.last_event();
        assert_eq!((&*event.event_name, &*event.aws_region), ("UpdatePrimaryRegion", REGION));
        assert_eq!(event.error_code.as_deref(), Some("AccessDeniedException"));
    }
    // The replica's own policy has its say.
    let closed = json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"});
    let text = policy(&[delegate(), closed]).to_string();
    at(&world, OTHER_REGION, "PutKeyPolicy", json!({"KeyId": other, "Policy": text})).await;
    let refused = world.kms_fails("UpdatePrimaryRegion", body.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert!(refused.message.contains(&other), "{refused:?}");
    let text = policy(&[delegate()]).to_string();
    at(&world, OTHER_REGION, "PutKeyPolicy", json!({"KeyId": other, "Policy": text})).await;
    assert_places(&world, &key, REGION, &[THIRD, OTHER_REGION]).await;
    let eve = user(&world, "eve", &[on(&key), on(&other)]).await;
    world.kms_as(&eve, "UpdatePrimaryRegion", body).await;
}

#[tokio::test]
async fn primary_region_can_be_asked_for() {
    let world = world().await;
    let [key, ..] = three(&world).await;
    let action = "kms:UpdatePrimaryRegion";
    let condition = equals("kms:PrimaryRegion", OTHER_REGION);
    let ann = user(&world, "ann", &[when(&[action], condition)]).await;
    let body = |region: &str| json!({"KeyId": key, "PrimaryRegion": region});
    let refused = world.kms_fails_as(&ann, "UpdatePrimaryRegion", body(THIRD)).await;
    let why = format!("resource: {key} {NO_IDENTITY} {action} action");
    assert_eq!(refused, denied(&user_arn("ann"), action, &why));
    world.kms_as(&ann, "UpdatePrimaryRegion", body(OTHER_REGION)).await;
    // Each key is asked for in its region.
    let [key, other, _] = three(&world).await;
    let condition = equals("aws:RequestedRegion", REGION);
    let bob = user(&world, "bob", &[when(&[action], condition)]).await;
    let body = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
    let refused = world.kms_fails_as(&bob, "UpdatePrimaryRegion", body).await;
    let why = format!("resource: {other} {NO_IDENTITY} {action} action");
    assert_eq!(refused, denied(&user_arn("bob"), action, &why));
}

#[tokio::test]
async fn the_part_of_a_key_can_be_asked_for() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let single = world.key().await;
    for (name, condition, here, elsewhere, alone) in [
        ("ann", json!({"Bool": {"kms:MultiRegion": "true"}}), true, true, false),
        ("bob", json!({"Bool": {"kms:MultiRegion": "false"}}), false, false, true),
        ("cid", equals("kms:MultiRegionKeyType", "PRIMARY"), true, false, false),
        ("dan", equals("kms:MultiRegionKeyType", "REPLICA"), false, true, false),
    ] {
        let who = user(&world, name, &[when(&["kms:Encrypt"], condition)]).await;
        for (region, arn, works) in
            [(REGION, &key, here), (OTHER_REGION, &other, elsewhere), (REGION, &single, alone)]
        {
            let body = json!({"KeyId": arn, "Plaintext": "aGVsbG8="});
            let outcome = world.call_in(&who, region, "kms", "Encrypt", body).await;
            match outcome {
                Ok(_) => assert!(works, "{name} {arn}"),
                Err(error) => {
                    assert!(!works, "{name} {arn}: {error:?}");
                    let why = format!("resource: {arn} {NO_IDENTITY} kms:Encrypt action");
                    assert_eq!(error, denied(&user_arn(name), "kms:Encrypt", &why));
                }
            }
        }
    }
    // The part changes with the primary key.
    world.kms("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})).await;
    let condition = equals("kms:MultiRegionKeyType", "PRIMARY");
    let eve = user(&world, "eve", &[when(&["kms:Encrypt"], condition)]).await;
    let body = |arn: &str| json!({"KeyId": arn, "Plaintext": "aGVsbG8="});
    world.call_in(&eve, OTHER_REGION, "kms", "Encrypt", body(&other)).await.unwrap();
    refused_at(&world, &eve, REGION, "Encrypt", body(&key)).await;
}

#[tokio::test]
async fn strangers_learn_nothing_anywhere() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let blob = sealed(&world, &key).await;
    let who = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    let what = "the resource associated with this ciphertext";
    // A region with the key and one without answer alike.
    for region in [REGION, OTHER_REGION, THIRD] {
        let body = json!({"CiphertextBlob": blob});
        let refused = refused_at(&world, &world.other_root(), region, "Decrypt", body).await;
        assert_eq!(refused, unknown_to(&who, "kms:Decrypt", what), "{region}");
    }
    for (name, body) in [
        ("ReplicateKey", to(&key, THIRD)),
        ("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})),
    ] {
        let refused = world.kms_fails_as(&world.other_root(), name, body.clone()).await;
        let action = format!("kms:{name}");
        assert_eq!(refused, unknown_to(&who, &action, "this resource"));
        // The same of a key that is not: its id says nothing.
        let mut unknown = body;
        unknown["KeyId"] = json!(there("mrk-00000000000000000000000000000000", REGION));
        let same = world.kms_fails_as(&world.other_root(), name, unknown).await;
        assert_eq!(same, refused);
    }
    // Nor does another account manage what it may use.
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": who}, "Action": "kms:*",
        "Resource": "*"});
    let text = policy(&[delegate(), theirs]).to_string();
    for (region, arn) in [(REGION, &key), (OTHER_REGION, &other)] {
        at(&world, region, "PutKeyPolicy", json!({"KeyId": arn, "Policy": text})).await;
    }
    for (name, body) in [
        ("ReplicateKey", to(&key, THIRD)),
        ("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})),
    ] {
        let refused = world.kms_fails_as(&world.other_root(), name, body).await;
        assert_eq!(refused, failed("NotFoundException", format!("Key '{key}' does not exist")));
    }
    let body = json!({"CiphertextBlob": blob});
    let opened = world.call_in(&world.other_root(), OTHER_REGION, "kms", "Decrypt", body).await;
    assert_eq!(opened.unwrap()["KeyId"], *other);
    assert!(id_of(&other).starts_with("mrk-"));
}
