//! What DescribeSecret and ListSecrets say of a secret that rotates, or that is replicated; and of the
//! version that a rotation has announced.
use super::{creation, no_version, token};
use crate::support::failed;
use crate::world::{NOW_SECS, OTHER_REGION, REGION, World};
use serde_json::{Value, json};

pub const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:rotator";

/// A world with a rotation function, which is never called.
pub async fn with_function() -> World {
    let function = format!(
        "[[function]]\narn = \"{FUNCTION}\"\nrole = \"arn:aws:iam::111122223333:role/rotator\"\n\
         url = \"https://rotator.example.com/\""
    );
    let world = World::with_functions(&function).await;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let role = json!({"RoleName": "rotator", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", role).await;
    world
}

/// A secret `a` is being rotated.
async fn rotating() -> World {
    let world = with_function().await;
    world.secret("a", "one").await;
    let body = json!({"SecretId": "a", "ClientRequestToken": token(2),
        "RotationLambdaARN": FUNCTION, "RotationRules": {"AutomaticallyAfterDays": 30}});
    world.sm("RotateSecret", body).await;
    world
}

async fn listed(world: &World, region: &str, filters: Value) -> Vec<Value> {
    let body = json!({"Filters": filters});
    let list = world.call_in(&world.root, region, "secretsmanager", "ListSecrets", body).await;
    list.unwrap()["SecretList"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_secret_that_rotates() {
    let world = rotating().await;
    let described = world.describe("a").await;
    assert_eq!(described["RotationEnabled"], true);
    assert_eq!(described["RotationLambdaARN"], FUNCTION);
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 30}));
    assert!(described["NextRotationDate"].as_i64().unwrap() > NOW_SECS, "{described}");
    assert_eq!(described.get("LastRotatedDate"), None);
    let entry = listed(&world, REGION, json!([])).await.remove(0);
    let members = ["RotationEnabled", "RotationLambdaARN", "RotationRules", "NextRotationDate"];
    for member in members {
        assert_eq!(entry[member], described[member], "{member}");
    }
    // Turned off, it says what it was, and no date.
    world.sm("CancelRotateSecret", json!({"SecretId": "a"})).await;
    let described = world.describe("a").await;
    assert_eq!(described["RotationEnabled"], false);
    assert_eq!(described["RotationRules"], json!({"AutomaticallyAfterDays": 30}));
    assert_eq!(described.get("NextRotationDate"), None);
    // One that was never asked to rotate says nothing of it.
    world.secret("b", "two").await;
    let described = world.describe("b").await;
    assert!(members.iter().all(|member| described.get(*member).is_none()), "{described}");
}

#[tokio::test]
async fn an_announced_version_is_shown_and_not_read() {
    let world = rotating().await;
    let stages = json!({(token(1)): ["AWSCURRENT"], (token(2)): ["AWSPENDING"]});
    assert_eq!(world.describe("a").await["VersionIdsToStages"], stages);
    let entry = listed(&world, REGION, json!([])).await.remove(0);
    assert_eq!(entry["SecretVersionsToStages"], stages);
    assert_eq!(
        world.labels("a").await,
        "1:AWSCURRENT",
        "ListSecretVersionIds has those with a value"
    );
    let id = no_version(&format!("VersionId: {}", token(2)));
    for (more, expected) in [
        (json!({"VersionId": token(2)}), id.clone()),
        (json!({"VersionId": token(2), "VersionStage": "AWSPENDING"}), id),
        (json!({"VersionStage": "AWSPENDING"}), no_version("staging label: AWSPENDING")),
    ] {
        let mut body = more;
        body["SecretId"] = json!("a");
        assert_eq!(world.sm_fails("GetSecretValue", body).await, expected);
    }
    let current = json!({"SecretId": "a", "VersionStage": "AWSCURRENT",
        "RemoveFromVersionId": token(1), "MoveToVersionId": token(2)});
    let refused = world.sm_fails("UpdateSecretVersionStage", current).await;
    let text = "You can't make a secret version current that has no value.";
    assert_eq!(refused, failed("InvalidRequestException", text));
    assert_eq!(world.value("a").await, "one");
    // Nor is it in the way of another key.
    let key = world.key().await;
    let body = json!({"SecretId": "a", "ClientRequestToken": token(9), "KmsKeyId": key});
    world.sm("UpdateSecret", body).await;
    assert_eq!(world.value("a").await, "one");
}

#[tokio::test]
async fn a_secret_in_two_regions() {
    let world = World::new().await;
    for name in ["a", "b"] {
        world.sm("CreateSecret", creation(name, "v")).await;
    }
    let body = json!({"SecretId": "a", "AddReplicaRegions": [{"Region": OTHER_REGION}]});
    world.sm("ReplicateSecretToRegions", body).await;
    let described = world.describe("a").await;
    assert_eq!(described["PrimaryRegion"], REGION);
    let replica = json!([{"Region": OTHER_REGION, "KmsKeyId": "alias/aws/secretsmanager",
        "Status": "InSync", "StatusMessage": "Replication succeeded"}]);
    assert_eq!(described["ReplicationStatus"], replica);
    let alone = world.describe("b").await;
    assert_eq!((alone.get("PrimaryRegion"), alone.get("ReplicationStatus")), (None, None));
    for region in [REGION, OTHER_REGION] {
        for (value, expected) in [("eu-west", 1), ("eu-west-1", 1), ("EU", 0), ("us-east-1", 0)] {
            let filters = json!([{"Key": "primary-region", "Values": [value]}]);
            let found = listed(&world, region, filters).await;
            assert_eq!(found.len(), expected, "{region} {value}");
            assert!(found.iter().all(|entry| entry["PrimaryRegion"] == REGION));
        }
        let all = json!([{"Key": "all", "Values": ["eu WEST"]}]);
        assert_eq!(listed(&world, region, all).await.len(), 1);
    }
    let not = json!([{"Key": "primary-region", "Values": ["!eu"]}]);
    let found = listed(&world, REGION, not).await;
    assert_eq!((found.len(), &found[0]["Name"]), (1, &json!("b")));
}
