//! Secrets in several regions: ReplicateSecretToRegions, RemoveRegionsFromReplication,
//! StopReplicationToReplica, and what replicas mean elsewhere.
mod concurrency;
mod events;
mod failures;
mod follow;
mod keys;
mod overwrite;
mod promote;
mod random;
mod refusals;
mod replicate;

use super::{creation, token, version};
use crate::world::{ACCOUNT, Failed, OTHER_REGION, REGION, Someone, World};
use serde_json::{Value, json};
use std::sync::Arc;

/// The regions are three here.
const THIRD: &str = "ap-southeast-2";

async fn world() -> World {
    let mut world = World::new().await;
    let server = Arc::get_mut(&mut world.server).expect("nobody else has the server yet");
    server.regions.insert(THIRD.parse().unwrap());
    world
}

/// The ARN of the same secret in another region.
fn there(arn: &str, region: &str) -> String {
    arn.replacen(&format!(":{REGION}:"), &format!(":{region}:"), 1)
}

/// A call of root in any region that must succeed.
async fn at(world: &World, region: &str, name: &str, body: Value) -> Value {
    at_as(world, &world.root, region, name, body).await
}

async fn at_as(world: &World, who: &Someone, region: &str, name: &str, body: Value) -> Value {
    let outcome = world.call_in(who, region, "secretsmanager", name, body.clone()).await;
    outcome.unwrap_or_else(|error| panic!("{name} {body} in {region}: {error:?}"))
}

/// One that must fail.
async fn fails_at(world: &World, region: &str, name: &str, body: Value) -> Failed {
    fails_at_as(world, &world.root, region, name, body).await
}

async fn fails_at_as(
    world: &World,
    who: &Someone,
    region: &str,
    name: &str,
    body: Value,
) -> Failed {
    match world.call_in(who, region, "secretsmanager", name, body.clone()).await {
        Ok(answer) => panic!("{name} {body} in {region} succeeded: {answer}"),
        Err(error) => error,
    }
}

fn replicas(id: &str, regions: &[&str]) -> Value {
    let regions: Vec<Value> = regions.iter().map(|region| json!({"Region": region})).collect();
    json!({"SecretId": id, "AddReplicaRegions": regions})
}

/// Replicates to these regions and answers their statuses.
async fn replicate(world: &World, id: &str, regions: &[&str]) -> Value {
    at(world, REGION, "ReplicateSecretToRegions", replicas(id, regions)).await["ReplicationStatus"]
        .take()
}

/// A secret `a` with value `one` and a replica in [`OTHER_REGION`]; answers the primary's ARN.
async fn replicated(world: &World) -> String {
    let arn = world.secret("a", "one").await;
    let statuses = replicate(world, "a", &[OTHER_REGION]).await;
    assert_eq!(statuses[0]["Status"], "InSync", "{statuses}");
    arn
}

async fn describe(world: &World, region: &str, id: &str) -> Value {
    at(world, region, "DescribeSecret", json!({"SecretId": id})).await
}

/// The status and the message of the replica in a region, as the primary knows it.
async fn status(world: &World, region: &str) -> (String, String) {
    let shown = describe(world, REGION, "a").await;
    let all = shown["ReplicationStatus"].as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["Region"] == region);
    let one = one.unwrap_or_else(|| panic!("no replica in {region}: {shown}"));
    let text = |name: &str| one[name].as_str().unwrap().to_owned();
    (text("Status"), text("StatusMessage"))
}

fn in_sync() -> (String, String) {
    ("InSync".into(), "Replication succeeded".into())
}

fn failure(text: &str) -> (String, String) {
    ("Failed".into(), format!("Replication failed: {text}"))
}

async fn value_in(world: &World, region: &str, id: &str) -> Value {
    at(world, region, "GetSecretValue", json!({"SecretId": id})).await["SecretString"].take()
}

/// Every version of a secret that has a value, with its labels and its value.
async fn contents(world: &World, region: &str, id: &str) -> Vec<(String, Value, Value)> {
    let body = json!({"SecretId": id, "IncludeDeprecated": true});
    let listed = at(world, region, "ListSecretVersionIds", body).await;
    assert!(listed.get("NextToken").is_none());
    let mut contents = Vec::new();
    for version in listed["Versions"].as_array().unwrap() {
        let version_id = version["VersionId"].as_str().unwrap();
        let body = json!({"SecretId": id, "VersionId": version_id});
        let value = at(world, region, "GetSecretValue", body).await;
        let value = json!([value["SecretString"], value["SecretBinary"], value["CreatedDate"]]);
        contents.push((version_id.to_owned(), version["VersionStages"].clone(), value));
    }
    contents
}

/// Asserts that a replica has every version of the primary that has a label, and others as they are there.
async fn assert_same_contents(world: &World, arn: &str, region: &str) {
    let theirs = contents(world, region, &there(arn, region)).await;
    let mut own = contents(world, REGION, arn).await;
    own.retain(|(id, stages, _)| {
        stages.as_array().is_some_and(|stages| !stages.is_empty())
            || theirs.iter().any(|(theirs, ..)| theirs == id)
    });
    assert_eq!(own, theirs);
}

/// Asserts that a replica says of the secret what the primary says.
async fn assert_same(world: &World, arn: &str, region: &str) {
    let theirs = there(arn, region);
    assert_same_contents(world, arn, region).await;
    let (mut own, mut other) =
        (describe(world, REGION, arn).await, describe(world, region, &theirs).await);
    assert_eq!((&own["ARN"], &other["ARN"]), (&json!(arn), &json!(theirs)));
    // What each has of its own.
    for described in [&mut own, &mut other] {
        for member in [
            "ARN",
            "CreatedDate",
            "KmsKeyId",
            "LastAccessedDate",
            "LastChangedDate",
            "ReplicationStatus",
        ] {
            described.as_object_mut().unwrap().remove(member);
        }
    }
    assert_eq!(own, other);
    assert_eq!(own["PrimaryRegion"], REGION);
    let policy = |region: &'static str, id: String| async move {
        at(world, region, "GetResourcePolicy", json!({"SecretId": id})).await["ResourcePolicy"]
            .take()
    };
    let region = [OTHER_REGION, THIRD].into_iter().find(|known| *known == region).unwrap();
    assert_eq!(policy(REGION, arn.to_owned()).await, policy(region, theirs).await);
}

/// A new symmetric key in a region; answers its ARN.
async fn key_in(world: &World, region: &str) -> String {
    let made = world.call_in(&world.root, region, "kms", "CreateKey", json!({})).await.unwrap();
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

fn read_only() -> Failed {
    crate::support::failed(
        "InvalidParameterException",
        "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
    )
}

fn invalid_region() -> Failed {
    crate::support::failed("InvalidParameterException", "Invalid replica region.")
}

fn account_root() -> String {
    format!("arn:aws:iam::{ACCOUNT}:root")
}
