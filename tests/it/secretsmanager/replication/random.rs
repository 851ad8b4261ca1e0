//! Random operations on a secret and its replicas: what is in sync is the same.
use super::{THIRD, assert_same, at, describe, key_in, replicas, status, there, token, world};
use crate::world::{OTHER_REGION, REGION, World};
use claviger::random::{Random, SeededRandom};
use serde_json::{Value, json};

/// How many secrets, and how many operations on each.
const SECRETS: u64 = 6;
const OPERATIONS: usize = 60;

/// What is drawn from.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, most: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % most
    }
    fn one<'a>(&self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
    fn token(&self) -> String {
        token(usize::try_from(self.below(30)).unwrap())
    }
}

/// A request on the secret `a`, and where it is made.
fn request(dice: &Dice, n: usize, keys: &[String; 2]) -> (&'static str, &'static str, Value) {
    let region = if dice.below(2) == 0 { OTHER_REGION } else { THIRD };
    let key = if region == OTHER_REGION { &keys[0] } else { &keys[1] };
    let key = if dice.below(2) == 0 { key.as_str() } else { "" };
    let label = dice.one(&["AWSCURRENT", "AWSPENDING", "blue", "green"]);
    let change = |mut body: Value| {
        body["SecretId"] = json!("a");
        body
    };
    match dice.below(14) {
        0..=2 => (
            REGION,
            "PutSecretValue",
            change(json!({
            "ClientRequestToken": dice.token(), "SecretString": format!("value {n}"),
            "VersionStages": [label]})),
        ),
        3 => (
            REGION,
            "PutSecretValue",
            change(json!({
            "ClientRequestToken": dice.token(), "SecretBinary": "/w=="})),
        ),
        4 => (
            REGION,
            "UpdateSecret",
            change(json!({
            "ClientRequestToken": dice.token(), "Description": format!("d{n}")})),
        ),
        5..=6 => (
            REGION,
            "UpdateSecretVersionStage",
            change(json!({
            "VersionStage": label, "MoveToVersionId": dice.token(),
            "RemoveFromVersionId": dice.token()})),
        ),
        7 => (
            REGION,
            "TagResource",
            change(json!({
            "Tags": [{"Key": label, "Value": n.to_string()}]})),
        ),
        8 => (REGION, "UntagResource", change(json!({"TagKeys": [label]}))),
        9 => {
            let mut body = replicas("a", &[region]);
            body["AddReplicaRegions"][0]["KmsKeyId"] = json!(key);
            body["ForceOverwriteReplicaSecret"] = json!(dice.below(2) == 0);
            (REGION, "ReplicateSecretToRegions", body)
        }
        10 => (
            REGION,
            "RemoveRegionsFromReplication",
            change(json!({"RemoveReplicaRegions": [region]})),
        ),
        11 => (region, "StopReplicationToReplica", change(json!({}))),
        12 => (
            region,
            "UpdateSecret",
            change(json!({
            "ClientRequestToken": dice.token(), "KmsKeyId": key})),
        ),
        _ => (region, "DeleteSecret", change(json!({"ForceDeleteWithoutRecovery": true}))),
    }
}

/// Asserts that each replica that is said to be in sync is, and that none is there of which the primary
/// does not know. Answers how many were compared.
async fn check(world: &World, arn: &str) -> usize {
    let shown = describe(world, REGION, "a").await;
    let known = shown["ReplicationStatus"].as_array().cloned().unwrap_or_default();
    let mut compared = 0;
    for region in [OTHER_REGION, THIRD] {
        let body = json!({"SecretId": there(arn, region)});
        let stored =
            world.call_in(&world.root, region, "secretsmanager", "DescribeSecret", body).await;
        let is_replica = stored.is_ok_and(|stored| stored["PrimaryRegion"] == REGION);
        let is_known = known.iter().any(|one| one["Region"] == region);
        assert!(is_known || !is_replica, "a replica in {region} of which nobody knows");
        if is_known && status(world, region).await.0 == "InSync" {
            assert_same(world, arn, region).await;
            compared += 1;
        }
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_sync_is_the_same() {
    let (mut compared, mut done, mut failed) = (0, 0, 0);
    for seed in 0..SECRETS {
        let world = world().await;
        let dice = Dice(SeededRandom::new(seed));
        let keys = [key_in(&world, OTHER_REGION).await, key_in(&world, THIRD).await];
        let arn = world.secret("a", "one").await;
        at(&world, REGION, "ReplicateSecretToRegions", replicas("a", &[OTHER_REGION, THIRD])).await;
        for n in 0..OPERATIONS {
            // Now and then a key is off, or a day or two pass.
            let (key, region) = (&keys[n % 2], [OTHER_REGION, THIRD][n % 2]);
            let switch = dice.one(&["DisableKey", "EnableKey", "EnableKey"]);
            world.call_in(&world.root, region, "kms", switch, json!({"KeyId": key})).await.unwrap();
            world.advance(i64::try_from(dice.below(3)).unwrap() * 40_000).await;
            let (region, name, body) = request(&dice, n, &keys);
            match world.call_in(&world.root, region, "secretsmanager", name, body).await {
                Ok(_) => done += 1,
                Err(_) => failed += 1,
            }
            world
                .call_in(&world.root, region_of(key), "kms", "EnableKey", json!({"KeyId": key}))
                .await
                .unwrap();
            compared += check(&world, &arn).await;
        }
    }
    // Enough of each for the test to mean something.
    assert!(compared > 100 && done > 100 && failed > 50, "{compared} {done} {failed}");
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap()
}
