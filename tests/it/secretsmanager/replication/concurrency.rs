//! Changes of one secret in several regions at once.
use super::{
    THIRD, assert_same, at, describe, in_sync, replicate, replicated, status, token, value_in,
    version, world,
};
use crate::world::{Failed, OTHER_REGION, REGION, World};
use serde_json::{Value, json};

/// As many as find most ways for two calls to run into each other.
const ROUNDS: usize = 20;

async fn call(world: &World, region: &str, name: &str, body: Value) -> Result<Value, Failed> {
    world.call_in(&world.root, region, "secretsmanager", name, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_writers_leave_one_truth() {
    let world = world().await;
    let arn = replicated(&world).await;
    replicate(&world, "a", &[THIRD]).await;
    for n in 0..ROUNDS {
        let put = |n: usize| {
            let body = version("a", n, &n.to_string());
            call(&world, REGION, "PutSecretValue", body)
        };
        let tag = json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": n.to_string()}]});
        let tag = call(&world, REGION, "TagResource", tag);
        let read = call(&world, OTHER_REGION, "GetSecretValue", json!({"SecretId": "a"}));
        let (one, two, tagged, read) = tokio::join!(put(2 * n + 2), put(2 * n + 3), tag, read);
        for outcome in [one, two, tagged, read] {
            outcome.unwrap();
        }
        for region in [OTHER_REGION, THIRD] {
            assert_same(&world, &arn, region).await;
            assert_eq!(status(&world, region).await, in_sync());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_promoted_gets_all_of_a_write_or_nothing() {
    let world = world().await;
    for n in 0..ROUNDS {
        let name = format!("s{n}");
        world.secret(&name, "one").await;
        replicate(&world, &name, &[OTHER_REGION]).await;
        let put = call(&world, REGION, "PutSecretValue", version(&name, 2, "two"));
        let stop = json!({"SecretId": name});
        let stop = call(&world, OTHER_REGION, "StopReplicationToReplica", stop);
        let (put, stopped) = tokio::join!(put, stop);
        put.unwrap();
        stopped.unwrap();
        let primary = describe(&world, REGION, &name).await;
        assert_eq!(primary.get("ReplicationStatus"), None);
        let promoted = describe(&world, OTHER_REGION, &name).await;
        let labels = promoted["VersionIdsToStages"].clone();
        let current = json!({token(1): ["AWSCURRENT"]});
        let both = json!({token(1): ["AWSPREVIOUS"], token(2): ["AWSCURRENT"]});
        let (expected, value) = if labels == current { (current, "one") } else { (both, "two") };
        assert_eq!(labels, expected);
        assert_eq!(value_in(&world, OTHER_REGION, &name).await, value);
        // Nothing of the primary's reaches it any more.
        world.put(&name, 3, "three").await;
        assert_eq!(value_in(&world, OTHER_REGION, &name).await, value);
        at(&world, OTHER_REGION, "PutSecretValue", version(&name, 3, "own")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_removed_replica_does_not_come_back() {
    let world = world().await;
    for n in 0..ROUNDS {
        let name = format!("s{n}");
        world.secret(&name, "one").await;
        replicate(&world, &name, &[OTHER_REGION, THIRD]).await;
        let put = call(&world, REGION, "PutSecretValue", version(&name, 2, "two"));
        let remove = json!({"SecretId": name, "RemoveReplicaRegions": [OTHER_REGION]});
        let remove = call(&world, REGION, "RemoveRegionsFromReplication", remove);
        let read = call(&world, OTHER_REGION, "GetSecretValue", json!({"SecretId": name}));
        let key = json!({"SecretId": name, "KmsKeyId": "", "ClientRequestToken": token(9)});
        let key = call(&world, OTHER_REGION, "UpdateSecret", key);
        let (put, removed, read, key) = tokio::join!(put, remove, read, key);
        put.unwrap();
        removed.unwrap();
        for maybe in [read, key] {
            assert!(maybe.is_ok() || maybe == Err(super::super::not_found()), "{maybe:?}");
        }
        let gone = call(&world, OTHER_REGION, "DescribeSecret", json!({"SecretId": name})).await;
        assert_eq!(gone, Err(super::super::not_found()));
        assert_eq!(value_in(&world, THIRD, &name).await, "two");
        let statuses = describe(&world, REGION, &name).await["ReplicationStatus"].clone();
        assert_eq!(statuses.as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_replica_and_a_secret_of_its_name_one_comes_to_be() {
    let world = world().await;
    for n in 0..ROUNDS {
        let name = format!("s{n}");
        world.secret(&name, "one").await;
        let create = call(&world, OTHER_REGION, "CreateSecret", super::creation(&name, "other"));
        let replicate = super::replicas(&name, &[OTHER_REGION]);
        let replicate = call(&world, REGION, "ReplicateSecretToRegions", replicate);
        let (created, replicated) = tokio::join!(create, replicate);
        let status = replicated.unwrap()["ReplicationStatus"][0]["Status"].clone();
        let expected = match created {
            Ok(_) => ("Failed", "other"),
            Err(error) => {
                assert_eq!(error.code, "ResourceExistsException");
                ("InSync", "one")
            }
        };
        assert_eq!(status, expected.0);
        assert_eq!(value_in(&world, OTHER_REGION, &name).await, expected.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_secret_is_deleted_while_it_gets_a_replica() {
    let world = world().await;
    for n in 0..ROUNDS {
        let name = format!("s{n}");
        world.secret(&name, "one").await;
        let delete = json!({"SecretId": name, "ForceDeleteWithoutRecovery": true});
        let delete = call(&world, REGION, "DeleteSecret", delete);
        let replicate = super::replicas(&name, &[OTHER_REGION]);
        let replicate = call(&world, REGION, "ReplicateSecretToRegions", replicate);
        let (deleted, replicated) = tokio::join!(delete, replicate);
        let there = call(&world, OTHER_REGION, "DescribeSecret", json!({"SecretId": name})).await;
        match deleted {
            Ok(_) => {
                assert_eq!(replicated, Err(super::super::not_found()));
                assert_eq!(there, Err(super::super::not_found()));
            }
            Err(error) => {
                assert_eq!(error.code, "InvalidParameterException");
                assert!(replicated.is_ok() && there.is_ok());
            }
        }
    }
}
