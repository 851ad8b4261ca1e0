//! A replica that cannot follow, and how it catches up.
use super::{
    THIRD, assert_same, at, describe, fails_at, failure, in_sync, key_in, replicate, status, token,
    value_in, version, world,
};
use crate::support::{policy, user_arn};
use crate::world::{OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

/// A secret with a replica under a customer key; answers the two.
async fn under_a_key(world: &World) -> (String, String) {
    let arn = world.secret("a", "one").await;
    let key = key_in(world, OTHER_REGION).await;
    let body = json!({"SecretId": "a",
        "AddReplicaRegions": [{"Region": OTHER_REGION, "KmsKeyId": key}, {"Region": THIRD}]});
    world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(status(world, OTHER_REGION).await, in_sync());
    (arn, key)
}

async fn key(world: &World, name: &str, key: &str) {
    world.call_in(&world.root, OTHER_REGION, "kms", name, json!({"KeyId": key})).await.unwrap();
}

fn cannot_encrypt() -> (String, String) {
    failure(&format!("Secrets Manager can't encrypt the secret value in region {OTHER_REGION}."))
}

#[tokio::test]
async fn the_primarys_write_stands_and_the_next_one_brings_all_along() {
    let world = world().await;
    let (arn, key_id) = under_a_key(&world).await;
    key(&world, "DisableKey", &key_id).await;
    world.put("a", 2, "two").await;
    assert_eq!(world.value("a").await, "two");
    assert_eq!(status(&world, OTHER_REGION).await, cannot_encrypt());
    // One that fails keeps no other from it.
    assert_eq!(status(&world, THIRD).await, in_sync());
    assert_same(&world, &arn, THIRD).await;
    world.put("a", 3, "three").await;
    let tags = json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": "v"}]});
    world.sm("TagResource", tags).await;
    // Until then the replica has the versions that it had. What takes no key it gets all the same.
    let shown = describe(&world, OTHER_REGION, "a").await;
    assert_eq!(shown["VersionIdsToStages"], json!({token(1): ["AWSCURRENT"]}));
    assert_eq!(shown["Tags"], json!([{"Key": "k", "Value": "v"}]));
    key(&world, "EnableKey", &key_id).await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
    world.sm("UntagResource", json!({"SecretId": "a", "TagKeys": ["other"]})).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    assert_same(&world, &arn, OTHER_REGION).await;
    assert_same(&world, &arn, THIRD).await;
}

/// Whoever is shut out is shut out everywhere, whatever is wrong with the replica.
#[tokio::test]
async fn a_policy_that_is_taken_back_holds_nowhere() {
    let world = world().await;
    let (_, key_id) = under_a_key(&world).await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
    let body = json!({"SecretId": "a", "ResourcePolicy": policy(&[statement]).to_string()});
    world.sm("PutResourcePolicy", body).await;
    let read = json!({"SecretId": "a"});
    super::at_as(&world, &ann, OTHER_REGION, "GetSecretValue", read.clone()).await;
    key(&world, "DisableKey", &key_id).await;
    world.put("a", 2, "two").await;
    world.sm("DeleteResourcePolicy", read.clone()).await;
    assert_eq!(status(&world, OTHER_REGION).await, cannot_encrypt());
    key(&world, "EnableKey", &key_id).await;
    // Nothing else is written: the old value is there, and not for them.
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
    let refused =
        super::fails_at_as(&world, &ann, OTHER_REGION, "GetSecretValue", read.clone()).await;
    assert_eq!(refused.code, "AccessDeniedException");
    let shown = at(&world, OTHER_REGION, "GetResourcePolicy", read).await;
    assert_eq!(shown.get("ResourcePolicy"), None);
}

/// An old version under a key that is gone.
#[tokio::test]
async fn a_version_without_a_label_keeps_nobody_from_following() {
    let world = world().await;
    let lost = world.key().await;
    let arn = world.secret_under("a", "one", &lost).await;
    world.put("a", 2, "two").await;
    world.put("a", 3, "three").await;
    // Only what is in use is sealed anew.
    let body =
        json!({"SecretId": "a", "KmsKeyId": world.key().await, "ClientRequestToken": token(9)});
    world.sm("UpdateSecret", body).await;
    world.kms("DisableKey", json!({"KeyId": lost})).await;
    let from = world.events().len();
    replicate(&world, "a", &[OTHER_REGION]).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    let opened = world.event_names(from).iter().filter(|name| *name == "Decrypt").count();
    assert_eq!(opened, 2, "those with a label");
    let first = json!({"SecretId": "a", "VersionId": token(1)});
    let missing = fails_at(&world, OTHER_REGION, "GetSecretValue", first.clone()).await;
    assert_eq!(missing, super::super::no_version(&format!("VersionId: {}", token(1))));
    // With a label it is one like any other.
    let label = json!({"SecretId": "a", "VersionStage": "blue", "MoveToVersionId": token(1)});
    world.sm("UpdateSecretVersionStage", label).await;
    let text = "Secrets Manager can't decrypt the secret value.";
    assert_eq!(status(&world, OTHER_REGION).await, failure(text));
    world.kms("EnableKey", json!({"KeyId": lost})).await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    assert_same(&world, &arn, OTHER_REGION).await;
    // It stays when it loses the label again, and does so everywhere.
    let off = json!({"SecretId": "a", "VersionStage": "blue", "RemoveFromVersionId": token(1)});
    world.sm("UpdateSecretVersionStage", off).await;
    assert_same(&world, &arn, OTHER_REGION).await;
    let kept = at(&world, OTHER_REGION, "GetSecretValue", first).await;
    assert_eq!(kept["SecretString"], "one");
}

#[tokio::test]
async fn it_is_tried_again_on_request() {
    let world = world().await;
    let (arn, key_id) = under_a_key(&world).await;
    key(&world, "DisableKey", &key_id).await;
    world.put("a", 2, "two").await;
    let mut body = super::replicas("a", &[OTHER_REGION]);
    body["AddReplicaRegions"][0]["KmsKeyId"] = json!(key_id);
    let again = world.sm("ReplicateSecretToRegions", body.clone()).await;
    assert_eq!(again["ReplicationStatus"][1]["Status"], "Failed");
    key(&world, "EnableKey", &key_id).await;
    let again = world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(again["ReplicationStatus"][1]["Status"], "InSync");
    assert_same(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn under_another_key_everything_is_sealed_anew() {
    let world = world().await;
    let (arn, key_id) = under_a_key(&world).await;
    key(&world, "DisableKey", &key_id).await;
    world.put("a", 2, "two").await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    // What had been sealed under the old key too, which is not needed for it.
    assert_same(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn an_id_that_came_again_has_its_new_value_everywhere() {
    let world = world().await;
    let (_, key_id) = under_a_key(&world).await;
    for n in 2..=100 {
        world.put("a", n, &n.to_string()).await;
    }
    world.advance(2 * 86_400).await;
    key(&world, "DisableKey", &key_id).await;
    // The primary loses its first version, and gets another one of that id.
    world.put("a", 101, "x").await;
    let gone = json!({"SecretId": "a", "VersionId": token(1)});
    fails_at(&world, REGION, "GetSecretValue", gone.clone()).await;
    world.put("a", 1, "another").await;
    key(&world, "EnableKey", &key_id).await;
    assert_eq!(
        at(&world, OTHER_REGION, "GetSecretValue", gone.clone()).await["SecretString"],
        "one"
    );
    world.put("a", 102, "y").await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    let value = at(&world, OTHER_REGION, "GetSecretValue", gone).await["SecretString"].take();
    assert_eq!(value, "another");
    let body = json!({"SecretId": "a", "IncludeDeprecated": true, "MaxResults": 100});
    let ids = |listed: Value| {
        let versions = listed["Versions"].as_array().unwrap().clone();
        versions
            .into_iter()
            .map(|v| (v["VersionId"].clone(), v["VersionStages"].clone()))
            .collect::<Vec<_>>()
    };
    // One that came and went while it could not follow never gets there.
    let mut own = ids(at(&world, REGION, "ListSecretVersionIds", body.clone()).await);
    own.retain(|(id, _)| *id != json!(token(101)));
    assert_eq!(own, ids(at(&world, OTHER_REGION, "ListSecretVersionIds", body).await));
}

#[tokio::test]
async fn what_cannot_be_opened_cannot_be_replicated() {
    let world = world().await;
    let here = world.key().await;
    world.secret_under("a", "one", &here).await;
    world.kms("DisableKey", json!({"KeyId": here})).await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    let text = "Secrets Manager can't decrypt the secret value.";
    assert_eq!(status(&world, OTHER_REGION).await, failure(text));
    // Labels and tags need no key: they go on.
    world.kms("EnableKey", json!({"KeyId": here})).await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    world.put("a", 2, "two").await;
    world.kms("DisableKey", json!({"KeyId": here})).await;
    let from = world.events().len();
    let back = json!({"SecretId": "a", "VersionStage": "AWSCURRENT", "RemoveFromVersionId": token(2),
        "MoveToVersionId": token(1)});
    world.sm("UpdateSecretVersionStage", back).await;
    assert_eq!(world.event_names(from), ["ReplicationSucceeded", "UpdateSecretVersionStage"]);
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
}

#[tokio::test]
async fn a_write_that_is_refused_touches_no_replica() {
    let world = world().await;
    let arn = super::replicated(&world).await;
    let from = world.events().len();
    let other = world.sm_fails("PutSecretValue", version("a", 1, "another")).await;
    assert_eq!(other, super::super::token_in_use(&token(1), &arn));
    assert!(world.event_names(from).iter().all(|name| !name.starts_with("Replication")));
    assert_same(&world, &arn, OTHER_REGION).await;
}
