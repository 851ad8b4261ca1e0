//! How a replica comes to be.
use super::{
    THIRD, assert_same, at, creation, describe, in_sync, replicas, replicate, replicated, status,
    there, token, value_in, version, world,
};
use crate::world::{OTHER_REGION, REGION};
use serde_json::json;

const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

#[tokio::test]
async fn a_replica_is_the_secret_in_another_region() {
    let world = world().await;
    let mut body = creation("a", "one");
    body["Description"] = json!("for the shop");
    body["Tags"] = json!([{"Key": "team", "Value": "shop"}]);
    let arn = world.sm("CreateSecret", body).await["ARN"].as_str().unwrap().to_owned();
    world.put("a", 2, "two").await;
    let binary = json!({"SecretId": "a", "ClientRequestToken": token(3), "SecretBinary": "/w==",
        "VersionStages": ["blue"]});
    world.sm("PutSecretValue", binary).await;
    world.put("a", 4, "four").await;

    let body = replicas("a", &[OTHER_REGION, THIRD]);
    let answer = at(&world, REGION, "ReplicateSecretToRegions", body).await;
    assert_eq!(answer["ARN"], json!(arn));
    let one = |region: &str| {
        json!({"Region": region, "KmsKeyId": DEFAULT_KEY, "Status": "InSync",
            "StatusMessage": "Replication succeeded"})
    };
    assert_eq!(answer["ReplicationStatus"], json!([one(THIRD), one(OTHER_REGION)]));
    for region in [OTHER_REGION, THIRD] {
        assert_same(&world, &arn, region).await;
        // By its name, by its ARN and by its ARN without the end.
        let theirs = there(&arn, region);
        for id in ["a", &theirs, super::super::partial(&theirs)] {
            assert_eq!(value_in(&world, region, id).await, "four");
        }
        let shown = describe(&world, region, "a").await;
        assert_eq!(
            (&shown["PrimaryRegion"], &shown["Description"]),
            (&json!(REGION), &json!("for the shop"))
        );
        assert_eq!(shown.get("ReplicationStatus"), None);
        let listed = at(&world, region, "ListSecrets", json!({})).await;
        assert_eq!(listed["SecretList"][0]["ARN"], json!(theirs));
        assert_eq!(listed["SecretList"][0]["PrimaryRegion"], json!(REGION));
    }
    // The other region's ARN means nothing here.
    let id = json!({"SecretId": there(&arn, THIRD)});
    let missing = super::fails_at(&world, REGION, "GetSecretValue", id).await;
    assert_eq!(missing.code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_secret_is_created_with_its_replicas() {
    let world = world().await;
    let mut body = creation("a", "one");
    body["AddReplicaRegions"] = json!([{"Region": OTHER_REGION}]);
    let made = world.sm("CreateSecret", body.clone()).await;
    assert_eq!(made["ReplicationStatus"][0]["Status"], "InSync");
    let arn = made["ARN"].as_str().unwrap();
    // A client that missed the answer asks again.
    assert_eq!(world.sm("CreateSecret", body).await, made);
    assert_same(&world, arn, OTHER_REGION).await;
    // In the replica's region such a request made nothing.
    let taken = super::fails_at(&world, OTHER_REGION, "CreateSecret", creation("a", "one")).await;
    assert_eq!(taken.code, "ResourceExistsException");
}

#[tokio::test]
async fn a_secret_without_a_value_has_replicas_too() {
    let world = world().await;
    let body = json!({"Name": "a", "ClientRequestToken": token(1),
        "AddReplicaRegions": [{"Region": OTHER_REGION, "KmsKeyId": ""}]});
    let arn = world.sm("CreateSecret", body).await["ARN"].as_str().unwrap().to_owned();
    assert_same(&world, &arn, OTHER_REGION).await;
    world.put("a", 2, "two").await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "two");
    assert_same(&world, &arn, OTHER_REGION).await;
}

#[tokio::test]
async fn one_region_after_the_other() {
    let world = world().await;
    let arn = replicated(&world).await;
    world.put("a", 2, "two").await;
    let statuses = replicate(&world, "a", &[THIRD]).await;
    assert_eq!(statuses.as_array().unwrap().len(), 2);
    // Where it is already, nothing is to be done.
    let from = world.events().len();
    replicate(&world, "a", &[OTHER_REGION, THIRD]).await;
    assert_eq!(world.event_names(from), ["ReplicateSecretToRegions"]);
    for region in [OTHER_REGION, THIRD] {
        assert_same(&world, &arn, region).await;
        assert_eq!(status(&world, region).await, in_sync());
    }
}

#[tokio::test]
async fn each_was_read_when_it_was_read() {
    let world = world().await;
    replicated(&world).await;
    assert_eq!(
        describe(&world, REGION, "a").await["ReplicationStatus"][0].get("LastAccessedDate"),
        None
    );
    world.advance(3 * 86_400).await;
    value_in(&world, OTHER_REGION, "a").await;
    world.advance(0).await;
    let replica = describe(&world, OTHER_REGION, "a").await["LastAccessedDate"].clone();
    assert!(replica.is_number());
    let primary = describe(&world, REGION, "a").await;
    assert_eq!(primary.get("LastAccessedDate"), None);
    assert_eq!(primary["ReplicationStatus"][0]["LastAccessedDate"], replica);
    // And stays so when the primary changes.
    world.advance(86_400).await;
    world.sm("PutSecretValue", version("a", 2, "two")).await;
    assert_eq!(describe(&world, OTHER_REGION, "a").await["LastAccessedDate"], replica);
}
