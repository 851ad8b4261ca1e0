//! A secret of the same name in the region where a replica is to be.
use super::{
    at, at_as, creation, describe, failure, in_sync, replicas, replicate, replicated, status,
    value_in, world,
};
use crate::support::policy;
use crate::world::{OTHER_ACCOUNT, OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

fn taken() -> (String, String) {
    failure(&format!("Secret name a already exists in region {OTHER_REGION}."))
}

fn by_force() -> Value {
    let mut body = replicas("a", &[OTHER_REGION]);
    body["ForceOverwriteReplicaSecret"] = json!(true);
    body
}

/// A secret `a` here, and another there.
async fn two(world: &World) -> String {
    let arn = world.secret("a", "one").await;
    at(world, OTHER_REGION, "CreateSecret", creation("a", "other")).await;
    arn
}

#[tokio::test]
async fn a_name_that_is_taken_fails_and_harms_nothing() {
    let world = world().await;
    let arn = two(&world).await;
    let statuses = replicate(&world, "a", &[OTHER_REGION]).await;
    assert_eq!(statuses[0]["Status"], "Failed");
    assert_eq!(status(&world, OTHER_REGION).await, taken());
    world.put("a", 2, "two").await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "other");
    assert_eq!(world.value("a").await, "two");
    // Once it is gone, the next change makes the replica.
    let body = json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true});
    at(&world, OTHER_REGION, "DeleteSecret", body).await;
    world.put("a", 3, "three").await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    super::assert_same_contents(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn removing_what_never_was_leaves_the_other_secret() {
    let world = world().await;
    two(&world).await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    let body = json!({"SecretId": "a", "RemoveReplicaRegions": [OTHER_REGION]});
    world.sm("RemoveRegionsFromReplication", body).await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "other");
    assert_eq!(describe(&world, REGION, "a").await.get("ReplicationStatus"), None);
}

#[tokio::test]
async fn by_force_the_other_secret_gives_way() {
    for deleted in [false, true] {
        let world = world().await;
        two(&world).await;
        let old = describe(&world, OTHER_REGION, "a").await["ARN"].clone();
        if deleted {
            at(&world, OTHER_REGION, "DeleteSecret", json!({"SecretId": "a"})).await;
        }
        let answer = world.sm("ReplicateSecretToRegions", by_force()).await;
        assert_eq!(answer["ReplicationStatus"][0]["Status"], "InSync");
        assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
        let gone =
            super::fails_at(&world, OTHER_REGION, "GetSecretValue", json!({"SecretId": old}));
        assert_eq!(gone.await, super::super::not_found());
        // Nothing of the old one comes back for its successor, not even its deletion.
        world.advance(40 * 86_400).await;
        assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
    }
}

#[tokio::test]
async fn creation_overwrites_likewise() {
    let world = world().await;
    at(&world, OTHER_REGION, "CreateSecret", creation("a", "other")).await;
    let mut body = creation("a", "one");
    body["AddReplicaRegions"] = json!([{"Region": OTHER_REGION}]);
    body["ForceOverwriteReplicaSecret"] = json!(true);
    let made = world.sm("CreateSecret", body).await;
    assert_eq!(made["ReplicationStatus"][0]["Status"], "InSync");
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
}

#[tokio::test]
async fn neither_a_primary_nor_anothers_replica_gives_way() {
    let world = world().await;
    // There is one that is a primary itself.
    two(&world).await;
    at(&world, OTHER_REGION, "ReplicateSecretToRegions", replicas("a", &[super::THIRD])).await;
    world.sm("ReplicateSecretToRegions", by_force()).await;
    assert_eq!(status(&world, OTHER_REGION).await, taken());
    let mut body = replicas("a", &[super::THIRD]);
    body["ForceOverwriteReplicaSecret"] = json!(true);
    world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(status(&world, super::THIRD).await.0, "Failed");
    for region in [OTHER_REGION, super::THIRD] {
        assert_eq!(value_in(&world, region, "a").await, "other");
    }
}

#[tokio::test]
async fn what_belongs_to_another_accounts_secret_does_not_give_way() {
    let world = world().await;
    world.secret("a", "one").await;
    let primary =
        format!("arn:aws:secretsmanager:{OTHER_REGION}:{OTHER_ACCOUNT}:secret:theirs-a1B2c3");
    let body = json!({"Name": "a", "ClientRequestToken": super::token(1),
        "KmsKeyId": super::key_in(&world, OTHER_REGION).await, "CrossAccountPrimaryARN": primary});
    at(&world, OTHER_REGION, "CreateSecret", body).await;
    // It fails there, and the request itself does not.
    let answer = world.sm("ReplicateSecretToRegions", by_force()).await;
    assert_eq!(answer["ReplicationStatus"][0]["Status"], "Failed");
    assert_eq!(status(&world, OTHER_REGION).await, taken());
    let shown = describe(&world, OTHER_REGION, "a").await;
    assert_eq!(shown["CrossAccountPrimary"]["PrimarySecretARN"], primary);
}

#[tokio::test]
async fn nobody_overwrites_what_they_could_not_delete() {
    let world = world().await;
    two(&world).await;
    let mine = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let deny = json!({"Effect": "Deny", "Action": "secretsmanager:DeleteSecret",
        "Resource": format!("arn:aws:secretsmanager:{OTHER_REGION}:*:secret:*")});
    let ann = world.user("ann", policy(&[mine, deny])).await;
    let from = world.events().len();
    let answer = world.sm_as(&ann, "ReplicateSecretToRegions", by_force()).await;
    assert_eq!(answer["ReplicationStatus"][0]["Status"], "Failed");
    assert_eq!(status(&world, OTHER_REGION).await, taken());
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "other");
    // It was tried, and there is a trace of it where it was.
    let events = world.events().split_off(from);
    let tried = events.iter().find(|event| event.event_name == "DeleteSecret").unwrap();
    assert_eq!(
        (tried.aws_region.as_str(), tried.error_code.as_deref()),
        (OTHER_REGION, Some("AccessDeniedException"))
    );
    // Who may delete it may overwrite it.
    let bob = world.user("bob", allow(&["secretsmanager:*", "kms:*"])).await;
    at_as(&world, &bob, REGION, "ReplicateSecretToRegions", by_force()).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
}

#[tokio::test]
async fn who_may_not_look_there_does_not_learn_what_is_there() {
    let world = world().await;
    two(&world).await;
    let here = json!({"Effect": "Allow", "Action": "*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}});
    let ann = world.user("ann", policy(&[here])).await;
    for body in [replicas("a", &[OTHER_REGION]), by_force()] {
        let answer = world.sm_as(&ann, "ReplicateSecretToRegions", body).await;
        let told = answer["ReplicationStatus"][0]["StatusMessage"].as_str().unwrap().to_owned();
        assert_eq!(
            told,
            format!("Replication failed: The replica can't be created in region {OTHER_REGION}.")
        );
    }
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "other");
}

#[tokio::test]
async fn force_is_for_the_regions_of_the_request() {
    let world = world().await;
    replicated(&world).await;
    at(&world, super::THIRD, "CreateSecret", creation("a", "other")).await;
    replicate(&world, "a", &[super::THIRD]).await;
    assert_eq!(status(&world, super::THIRD).await.0, "Failed");
    world.sm("ReplicateSecretToRegions", by_force()).await;
    assert_eq!(value_in(&world, super::THIRD, "a").await, "other");
    assert_eq!(status(&world, super::THIRD).await.0, "Failed");
}
