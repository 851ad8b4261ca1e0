//! Multi-Region keys: ReplicateKey, UpdatePrimaryRegion, and what several regions mean elsewhere.
mod access;
mod concurrency;
mod deletion;
mod events;
mod imported;
mod own;
mod primary;
mod refusals;
mod replicate;

use crate::support::id_of;
use crate::world::{ACCOUNT, Failed, OTHER_REGION, REGION, Someone, World};
use serde_json::{Value, json};
use std::sync::Arc;

/// The regions are three here.
const THIRD: &str = "ap-southeast-2";

async fn world() -> World {
    let mut world = World::new().await;
    add_region(&mut world);
    world
}

fn add_region(world: &mut World) {
    let server = Arc::get_mut(&mut world.server).expect("nobody else has the server yet");
    server.regions.insert(THIRD.parse().unwrap());
}

/// The ARN of the same key in another region.
fn there(key: &str, region: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{}", id_of(key))
}

/// A call of root in any region that must succeed.
async fn at(world: &World, region: &str, name: &str, body: Value) -> Value {
    let outcome = world.call_in(&world.root, region, "kms", name, body.clone()).await;
    outcome.unwrap_or_else(|error| panic!("{name} {body} in {region}: {error:?}"))
}

/// One that must fail.
async fn fails_at(world: &World, region: &str, name: &str, body: Value) -> Failed {
    refused_at(world, &world.root, region, name, body).await
}

async fn refused_at(world: &World, who: &Someone, region: &str, name: &str, body: Value) -> Failed {
    match world.call_in(who, region, "kms", name, body.clone()).await {
        Ok(answer) => panic!("{name} {body} in {region} succeeded: {answer}"),
        Err(error) => error,
    }
}

/// A new symmetric primary key in [`REGION`]; answers its ARN.
async fn primary(world: &World) -> String {
    let made = world.kms("CreateKey", json!({"MultiRegion": true})).await;
    made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}

/// Makes a replica and answers its ARN.
async fn replica(world: &World, key: &str, region: &str) -> String {
    let body = json!({"KeyId": key, "ReplicaRegion": region});
    let made = at(world, region_of(key), "ReplicateKey", body).await;
    let arn = made["ReplicaKeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    assert_eq!(arn, there(key, region));
    arn
}

/// A primary key in [`REGION`] with replicas in the other two.
async fn three(world: &World) -> [String; 3] {
    let key = primary(world).await;
    let other = replica(world, &key, OTHER_REGION).await;
    let third = replica(world, &key, THIRD).await;
    [key, other, third]
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap()
}

async fn metadata(world: &World, key: &str) -> Value {
    at(world, region_of(key), "DescribeKey", json!({"KeyId": key})).await["KeyMetadata"].take()
}

async fn state(world: &World, key: &str) -> String {
    metadata(world, key).await["KeyState"].as_str().unwrap().to_owned()
}

/// What `MultiRegionConfiguration` says: the key's part, the primary's region, the replicas'.
async fn places(world: &World, key: &str) -> (String, String, Vec<String>) {
    let all = metadata(world, key).await["MultiRegionConfiguration"].take();
    let region = |of: &Value| {
        let (arn, region) = (of["Arn"].as_str().unwrap(), of["Region"].as_str().unwrap());
        assert_eq!(arn, there(key, region));
        region.to_owned()
    };
    let part = all["MultiRegionKeyType"].as_str().unwrap().to_owned();
    let replicas = all["ReplicaKeys"].as_array().unwrap().iter().map(region).collect();
    (part, region(&all["PrimaryKey"]), replicas)
}

/// Asserts what every region says of a key's regions.
async fn assert_places(world: &World, key: &str, primary: &str, replicas: &[&str]) {
    for region in replicas.iter().chain([&primary]) {
        let part = if *region == primary { "PRIMARY" } else { "REPLICA" };
        let expected = (
            part.to_owned(),
            primary.to_owned(),
            replicas.iter().map(|&r| r.to_owned()).collect::<Vec<_>>(),
        );
        assert_eq!(places(world, &there(key, region)).await, expected, "in {region}");
    }
}

/// A ciphertext of `hello` under the key, in base64.
async fn sealed(world: &World, key: &str) -> String {
    let body = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let made = at(world, region_of(key), "Encrypt", body).await;
    made["CiphertextBlob"].as_str().unwrap().to_owned()
}

/// Asserts that a region opens such a ciphertext, without being told the key.
async fn assert_opens(world: &World, key: &str, blob: &str) {
    let body = json!({"CiphertextBlob": blob});
    let opened = at(world, region_of(key), "Decrypt", body).await;
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("aGVsbG8="), &json!(key)));
}

/// Schedules a key's end and waits until it came.
async fn end(world: &World, key: &str) {
    let body = json!({"KeyId": key, "PendingWindowInDays": 7});
    at(world, region_of(key), "ScheduleKeyDeletion", body).await;
    world.advance(7 * 86_400).await;
    let gone = fails_at(world, region_of(key), "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(gone.code, "NotFoundException");
}

#[tokio::test]
async fn a_primary_key_alone() {
    let world = world().await;
    let key = primary(&world).await;
    let id = id_of(&key).strip_prefix("mrk-").unwrap();
    assert!(id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    let shown = metadata(&world, &key).await;
    assert_eq!(shown["MultiRegion"], true);
    let expected = json!({
        "MultiRegionKeyType": "PRIMARY",
        "PrimaryKey": {"Arn": key, "Region": REGION},
        "ReplicaKeys": [],
    });
    assert_eq!(shown["MultiRegionConfiguration"], expected);
    // It goes by its id here and nowhere else.
    assert_opens(&world, &key, &sealed(&world, &key).await).await;
    let gone = fails_at(&world, OTHER_REGION, "DescribeKey", json!({"KeyId": id_of(&key)})).await;
    assert_eq!(gone.code, "NotFoundException");
}
