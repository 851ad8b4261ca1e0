//! The keys of replicas: each region's own, and whose permission they take.
use super::{
    assert_same, at, at_as, describe, fails_at, failure, in_sync, key_in, replicas, replicate,
    replicated, status, there, token, value_in, version, world,
};
use crate::support::{delegate, failed, policy};
use crate::world::{OTHER_ACCOUNT, OTHER_REGION, REGION, World};
use serde_json::{Value, json};

fn under(key: &str) -> Value {
    json!({"SecretId": "a", "AddReplicaRegions": [{"Region": OTHER_REGION, "KmsKeyId": key}]})
}

fn new_key(key: &str) -> Value {
    json!({"SecretId": "a", "KmsKeyId": key, "ClientRequestToken": token(99)})
}

/// The KMS keys of a secret's versions in a region.
async fn keys_of(world: &World, region: &str) -> Vec<Value> {
    let listed = at(world, region, "ListSecretVersionIds", json!({"SecretId": "a"})).await;
    let versions = listed["Versions"].as_array().unwrap();
    versions.iter().map(|version| version["KmsKeyIds"].clone()).collect()
}

#[tokio::test]
async fn each_region_has_its_own_key() {
    let world = world().await;
    let here = world.key().await;
    let there_key = key_in(&world, OTHER_REGION).await;
    let arn = world.secret_under("a", "one", &here).await;
    let answer = world.sm("ReplicateSecretToRegions", under(&there_key)).await;
    assert_eq!(answer["ReplicationStatus"][0]["KmsKeyId"], json!(there_key));
    assert_same(&world, &arn, OTHER_REGION).await;
    assert_eq!(describe(&world, OTHER_REGION, "a").await["KmsKeyId"], json!(there_key));
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([there_key])]);
    assert_eq!(keys_of(&world, REGION).await, [json!([here])]);
    world.put("a", 2, "two").await;
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([there_key]), json!([there_key])]);
    // The replica stands and falls with its key, not with the primary's.
    world.kms("DisableKey", json!({"KeyId": here})).await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "two");
    let refused = fails_at(&world, REGION, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(refused.code, "DecryptionFailure");
    // A new key of the primary's is none of the replica's business.
    world.kms("EnableKey", json!({"KeyId": here})).await;
    let from = world.events().len();
    world.sm("UpdateSecret", new_key("")).await;
    let events = world.events().split_off(from);
    assert!(events.iter().all(|event| event.aws_region == REGION), "{:?}", world.event_names(from));
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([there_key]), json!([there_key])]);
}

#[tokio::test]
async fn a_key_of_another_region_is_no_key_there() {
    let world = world().await;
    let here = world.key().await;
    world.secret_under("a", "one", &here).await;
    let text = format!("Secrets Manager can't encrypt the secret value in region {OTHER_REGION}.");
    for key in [here.as_str(), "alias/none", "not a key"] {
        world.sm("ReplicateSecretToRegions", under(key)).await;
        assert_eq!(status(&world, OTHER_REGION).await, failure(&text), "{key}");
        let none = fails_at(&world, OTHER_REGION, "DescribeSecret", json!({"SecretId": "a"})).await;
        assert_eq!(none, super::super::not_found());
    }
    // Asked again with another key, it works.
    let good = key_in(&world, OTHER_REGION).await;
    world.sm("ReplicateSecretToRegions", under(&good)).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    // But one that is in sync keeps its key.
    let refused = world.sm_fails("ReplicateSecretToRegions", replicas("a", &[OTHER_REGION])).await;
    let text =
        format!("The secret is already replicated to region {OTHER_REGION} under another key.");
    assert_eq!(refused, failed("InvalidParameterException", text));
}

#[tokio::test]
async fn a_replicas_key_is_changed_in_its_region() {
    let world = world().await;
    let arn = replicated(&world).await;
    world.put("a", 2, "two").await;
    let key = key_in(&world, OTHER_REGION).await;
    at(&world, OTHER_REGION, "UpdateSecret", new_key(&key)).await;
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([key]), json!([key])]);
    assert_same(&world, &arn, OTHER_REGION).await;
    let shown = describe(&world, REGION, "a").await;
    assert_eq!(shown["ReplicationStatus"][0]["KmsKeyId"], json!(key));
    world.put("a", 3, "three").await;
    assert_same(&world, &arn, OTHER_REGION).await;
    // The one that was current before is not in use any more, and its value is where it was.
    at(&world, OTHER_REGION, "UpdateSecret", new_key("")).await;
    assert_eq!(describe(&world, OTHER_REGION, "a").await.get("KmsKeyId"), None);
    let shown = describe(&world, REGION, "a").await;
    assert_eq!(shown["ReplicationStatus"][0]["KmsKeyId"], "alias/aws/secretsmanager");
    assert_same(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn it_takes_the_writers_permission_on_every_key() {
    let world = world().await;
    let (here, other) = (world.key().await, key_in(&world, OTHER_REGION).await);
    let arn = world.secret_under("a", "one", &here).await;
    world.sm("ReplicateSecretToRegions", under(&other)).await;
    let via = |region: &str| json!({"StringEquals": {"kms:ViaService": format!("secretsmanager.{region}.amazonaws.com")}});
    let secrets = json!({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"});
    let key = |actions: &[&str], key: &str, region: &str| json!({"Effect": "Allow", "Action": actions, "Resource": key, "Condition": via(region)});
    let both = ["kms:GenerateDataKey", "kms:Decrypt"];
    let denied =
        failure(&format!("Access to KMS is not allowed for replicating to region {OTHER_REGION}."));
    for (n, (name, statements, expected)) in [
        ("here", vec![key(&both, &here, REGION)], denied.clone()),
        (
            "blind",
            vec![key(&both[..1], &here, REGION), key(&both, &other, OTHER_REGION)],
            denied.clone(),
        ),
        ("wrong", vec![key(&both, &here, REGION), key(&both, &other, REGION)], denied),
        ("all", vec![key(&both, &here, REGION), key(&both[..1], &other, OTHER_REGION)], in_sync()),
    ]
    .into_iter()
    .enumerate()
    {
        let statements: Vec<Value> = statements.into_iter().chain([secrets.clone()]).collect();
        let who = world.user(name, policy(&statements)).await;
        let value = format!("value {n}");
        at_as(&world, &who, REGION, "PutSecretValue", version("a", n + 10, &value)).await;
        // The primary's write stands whatever became of the replica.
        assert_eq!(world.value("a").await, json!(value));
        assert_eq!(status(&world, OTHER_REGION).await, expected, "{name}");
    }
    // Who could do it brought along what the others could not.
    assert_same(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn the_key_policy_sees_the_replica() {
    let world = world().await;
    let context = format!("arn:aws:secretsmanager:{OTHER_REGION}:*:secret:a-??????");
    let only = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:GenerateDataKey",
        "Resource": "*",
        "Condition": {"StringNotLike": {"kms:EncryptionContext:SecretARN": context}}});
    let document = policy(&[delegate(), only]).to_string();
    let body = json!({"Policy": document, "BypassPolicyLockoutSafetyCheck": true});
    let made = world.call_in(&world.root, OTHER_REGION, "kms", "CreateKey", body).await.unwrap();
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let arn = world.secret("a", "one").await;
    world.sm("ReplicateSecretToRegions", under(key)).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    world.secret("b", "two").await;
    let mut body = under(key);
    body["SecretId"] = json!("b");
    let answer = world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(answer["ReplicationStatus"][0]["Status"], "Failed");
    assert_eq!(value_in(&world, OTHER_REGION, &there(&arn, OTHER_REGION)).await, "one");
}

#[tokio::test]
async fn the_default_key_is_made_where_it_is_needed() {
    let world = world().await;
    replicated(&world).await;
    for region in [REGION, OTHER_REGION] {
        let body = json!({"KeyId": super::super::ALIAS});
        let key = world.call_in(&world.root, region, "kms", "DescribeKey", body).await.unwrap();
        assert_eq!(key["KeyMetadata"]["KeyManager"], "AWS");
    }
    replicate(&world, "a", &[super::THIRD]).await;
    assert_eq!(value_in(&world, super::THIRD, "a").await, "one");
}

#[tokio::test]
async fn a_key_has_the_names_that_its_region_gives_it() {
    let world = world().await;
    let key = key_in(&world, OTHER_REGION).await;
    let body = json!({"AliasName": "alias/there", "TargetKeyId": key});
    world.call_in(&world.root, OTHER_REGION, "kms", "CreateAlias", body).await.unwrap();
    let arn = world.secret("a", "one").await;
    world.sm("ReplicateSecretToRegions", under("alias/there")).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    assert_eq!(describe(&world, OTHER_REGION, "a").await["KmsKeyId"], "alias/there");
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([key])]);
    // Another key behind the alias seals what comes from then on.
    let next = key_in(&world, OTHER_REGION).await;
    let body = json!({"AliasName": "alias/there", "TargetKeyId": next});
    world.call_in(&world.root, OTHER_REGION, "kms", "UpdateAlias", body).await.unwrap();
    world.put("a", 2, "two").await;
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([key]), json!([next])]);
    assert_same(&world, &arn, OTHER_REGION).await;
}

/// A key of root's in a region under this alias, which the other account may use.
async fn shared_key(world: &World, region: &str, alias: &str) -> String {
    let theirs = json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT}, "Action": "kms:*",
        "Resource": "*"});
    let document = policy(&[delegate(), theirs]).to_string();
    let body = json!({"Policy": document, "BypassPolicyLockoutSafetyCheck": true});
    let made = world.call_in(&world.root, region, "kms", "CreateKey", body).await.unwrap();
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let body = json!({"AliasName": alias, "TargetKeyId": key});
    world.call_in(&world.root, region, "kms", "CreateAlias", body).await.unwrap();
    key
}

#[tokio::test]
async fn whoever_writes_the_keys_are_the_secrets() {
    let world = world().await;
    let theirs = world.other_root();
    let here = shared_key(&world, REGION, "alias/k").await;
    let other = shared_key(&world, OTHER_REGION, "alias/k").await;
    // The writer has keys of that name too.
    for region in [REGION, OTHER_REGION] {
        let made = world.call_in(&theirs, region, "kms", "CreateKey", json!({})).await.unwrap();
        let body = json!({"AliasName": "alias/k", "TargetKeyId": made["KeyMetadata"]["KeyId"]});
        world.call_in(&theirs, region, "kms", "CreateAlias", body).await.unwrap();
    }
    let arn = world.secret_under("a", "one", "alias/k").await;
    world.sm("ReplicateSecretToRegions", under("alias/k")).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": OTHER_ACCOUNT},
        "Action": "secretsmanager:*", "Resource": "*"});
    let body = json!({"SecretId": "a", "ResourcePolicy": policy(&[statement]).to_string()});
    world.sm("PutResourcePolicy", body).await;
    world.sm_as(&theirs, "PutSecretValue", version(&arn, 2, "two")).await;
    assert_eq!(keys_of(&world, REGION).await, [json!([here]), json!([here])]);
    assert_eq!(keys_of(&world, OTHER_REGION).await, [json!([other]), json!([other])]);
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    assert_same(&world, &arn, OTHER_REGION).await;
}
