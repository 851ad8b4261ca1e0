//! StopReplicationToReplica: a replica becomes a secret of its own.
use super::{
    THIRD, at, describe, fails_at, in_sync, replicas, replicate, replicated, status, there, token,
    value_in, version, world,
};
use crate::support::failed;
use crate::world::{OTHER_REGION, REGION};
use serde_json::json;

#[tokio::test]
async fn a_promoted_replica_stands_alone() {
    let world = world().await;
    let arn = replicated(&world).await;
    replicate(&world, "a", &[THIRD]).await;
    world.put("a", 2, "two").await;
    let theirs = there(&arn, OTHER_REGION);
    let body = json!({"SecretId": "a"});
    let answer = at(&world, OTHER_REGION, "StopReplicationToReplica", body.clone()).await;
    assert_eq!(answer, json!({"ARN": theirs}));
    // The primary knows one replica less, …
    let statuses = describe(&world, REGION, "a").await["ReplicationStatus"].clone();
    assert_eq!(statuses.as_array().unwrap().len(), 1);
    assert_eq!(statuses[0]["Region"], THIRD);
    // … and the two go their own ways.
    assert_eq!(describe(&world, OTHER_REGION, "a").await.get("PrimaryRegion"), None);
    world.put("a", 3, "here").await;
    at(&world, OTHER_REGION, "PutSecretValue", version("a", 3, "there")).await;
    assert_eq!(value_in(&world, REGION, "a").await, "here");
    assert_eq!(value_in(&world, THIRD, "a").await, "here");
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "there");
    let old = json!({"SecretId": "a", "VersionId": token(1)});
    assert_eq!(at(&world, OTHER_REGION, "GetSecretValue", old).await["SecretString"], "one");
    // It is nobody's replica any more.
    let again = fails_at(&world, OTHER_REGION, "StopReplicationToReplica", body).await;
    assert_eq!(again, not_a_replica());
    // It has replicas of its own.
    at(&world, OTHER_REGION, "ReplicateSecretToRegions", replicas("a", &["ap-southeast-2"])).await;
    let shown = describe(&world, OTHER_REGION, "a").await;
    assert_eq!(shown["ReplicationStatus"][0]["Status"], "Failed", "the third has another primary");
    assert_eq!(value_in(&world, THIRD, "a").await, "here");
    at(
        &world,
        OTHER_REGION,
        "RemoveRegionsFromReplication",
        json!({"SecretId": "a", "RemoveReplicaRegions": [THIRD]}),
    )
    .await;
    assert_eq!(value_in(&world, THIRD, "a").await, "here", "it was never its own");
    at(&world, OTHER_REGION, "DeleteSecret", json!({"SecretId": "a"})).await;
}

#[tokio::test]
async fn a_primary_that_lost_all_its_replicas_is_a_secret_like_any_other() {
    let world = world().await;
    replicated(&world).await;
    at(&world, OTHER_REGION, "StopReplicationToReplica", json!({"SecretId": "a"})).await;
    let shown = describe(&world, REGION, "a").await;
    assert_eq!((shown.get("ReplicationStatus"), shown.get("PrimaryRegion")), (None, None));
    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
}

#[tokio::test]
async fn the_old_replica_is_in_the_way_of_a_new_one() {
    let world = world().await;
    replicated(&world).await;
    at(&world, OTHER_REGION, "StopReplicationToReplica", json!({"SecretId": "a"})).await;
    world.put("a", 2, "two").await;
    replicate(&world, "a", &[OTHER_REGION]).await;
    let text = format!("Secret name a already exists in region {OTHER_REGION}.");
    assert_eq!(status(&world, OTHER_REGION).await, super::failure(&text));
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "one");
    let mut body = replicas("a", &[OTHER_REGION]);
    body["ForceOverwriteReplicaSecret"] = json!(true);
    world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "two");
}

fn not_a_replica() -> crate::world::Failed {
    failed(
        "InvalidParameterException",
        "Operation not permitted on a secret that is not a replica. Call must be made in replica \
         secret's region.",
    )
}

#[tokio::test]
async fn only_a_replica_is_promoted() {
    let world = world().await;
    replicated(&world).await;
    world.secret("b", "two").await;
    for id in ["a", "b"] {
        let refused = world.sm_fails("StopReplicationToReplica", json!({"SecretId": id})).await;
        assert_eq!(refused, not_a_replica());
    }
    let missing = world.sm_fails("StopReplicationToReplica", json!({"SecretId": "c"})).await;
    assert_eq!(missing, super::super::not_found());
    assert_eq!(status(&world, OTHER_REGION).await, in_sync());
}
