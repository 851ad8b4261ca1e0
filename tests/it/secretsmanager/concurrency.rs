//! Many callers at once: one of them wins each version, label and name, and nothing gets lost.
use super::{creation, token, version};
use crate::world::{Failed, NOW_SECS, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const RIVALS: usize = 32;

/// Starts all of these calls at once; answers their outcomes in the same order.
async fn at_once(
    world: &Arc<World>,
    calls: impl IntoIterator<Item = (&'static str, Value)>,
) -> Vec<Result<Value, Failed>> {
    let start = |(name, body)| {
        let world = world.clone();
        tokio::spawn(async move { world.call("secretsmanager", name, body).await })
    };
    let tasks: Vec<_> = calls.into_iter().map(start).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// Whether a call lost so often that it was asked to slow down.
fn throttled(outcome: &Result<Value, Failed>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code == "ThrottlingException")
}

/// The version that each label is on; fails if a label is on two.
async fn holders(world: &World) -> BTreeMap<String, String> {
    let mut holders = BTreeMap::new();
    for version in world.versions("a").await {
        for label in version["VersionStages"].as_array().into_iter().flatten() {
            let label = label.as_str().unwrap().to_owned();
            let id = version["VersionId"].as_str().unwrap().to_owned();
            assert_eq!(holders.insert(label.clone(), id), None, "{label} is on two versions");
        }
    }
    holders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_version_arrives_and_every_label_is_on_one() {
    let world = Arc::new(World::new().await);
    world.secret("a", "value 1").await;
    let calls = (0..RIVALS).map(|n| {
        let mut body = version("a", n + 2, &format!("value {}", n + 2));
        // A quarter moves AWSCURRENT without saying so, the others a label of their own or both.
        match n % 4 {
            0 => {}
            1 => body["VersionStages"] = json!(["blue"]),
            2 => body["VersionStages"] = json!(["blue", "AWSCURRENT"]),
            _ => body["VersionStages"] = json!(["green", "AWSPENDING"]),
        }
        ("PutSecretValue", body)
    });
    let outcomes = at_once(&world, calls).await;
    let mut there = vec![token(1)];
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(answer) => {
                assert_eq!(answer["VersionId"], token(n + 2));
                assert_eq!(world.value_at("a", n + 2).await, format!("value {}", n + 2));
                there.push(token(n + 2));
            }
            Err(error) => assert!(throttled(outcome), "{error:?}"),
        }
    }
    assert!(there.len() > 1);
    let versions = world.versions("a").await;
    let ids: Vec<_> = versions.iter().map(|v| v["VersionId"].as_str().unwrap()).collect();
    assert_eq!(ids, there, "what was acknowledged, and nothing else");
    let holders = holders(&world).await;
    assert_ne!(holders["AWSCURRENT"], holders["AWSPREVIOUS"]);
    assert!(holders.keys().all(|label| {
        ["AWSCURRENT", "AWSPREVIOUS", "AWSPENDING", "blue", "green"].contains(&label.as_str())
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_goes_to_one_value() {
    let world = Arc::new(World::new().await);
    world.secret("a", "one").await;
    let calls = (0..8).map(|n| ("PutSecretValue", version("a", 2, &format!("value {n}"))));
    let outcomes = at_once(&world, calls).await;
    let won: Vec<usize> = (0..8).filter(|n| outcomes[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    for outcome in outcomes.iter().filter(|outcome| outcome.is_err() && !throttled(outcome)) {
        assert_eq!(outcome.as_ref().unwrap_err().code, "ResourceExistsException");
    }
    assert_eq!(world.value("a").await, format!("value {}", won[0]));
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_goes_to_one_secret_and_the_default_key_is_one() {
    let world = Arc::new(World::new().await);
    let calls = (0..8).map(|n| {
        let mut body = creation("a", &format!("value {n}"));
        body["ClientRequestToken"] = json!(token(n + 1));
        ("CreateSecret", body)
    });
    let outcomes = at_once(&world, calls).await;
    let won: Vec<usize> = (0..8).filter(|n| outcomes[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    assert_eq!(world.value("a").await, format!("value {}", won[0]));
    let calls = (0..8).map(|n| ("CreateSecret", creation(&format!("s{n}"), "v")));
    for outcome in at_once(&world, calls).await {
        assert!(outcome.is_ok() || throttled(&outcome), "{outcome:?}");
    }
    let keys = world.kms("ListKeys", json!({})).await;
    assert_eq!(keys["Keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_writers() {
    let world = Arc::new(World::new().await);
    world.secret("a", "value").await;
    // The background writes beside them when the secret was read.
    world.advance(super::DAY).await;
    let behind = world.clone();
    let background = tokio::spawn(async move {
        for _ in 0..RIVALS {
            behind.write_reads().await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    let calls = (0..RIVALS).map(|n| match n % 4 {
        0 => ("PutSecretValue", version("a", n + 2, "value")),
        _ => ("GetSecretValue", json!({"SecretId": "a"})),
    });
    for outcome in at_once(&world, calls).await {
        match &outcome {
            Ok(answer) if answer.get("SecretString").is_some() => {
                assert_eq!(answer["SecretString"], "value");
                let stages = answer["VersionStages"].as_array().unwrap();
                assert!(stages.contains(&json!("AWSCURRENT")));
            }
            _ => assert!(outcome.is_ok() || throttled(&outcome), "{outcome:?}"),
        }
    }
    background.await.unwrap();
    world.write_reads().await;
    let read = NOW_SECS + super::DAY;
    assert_eq!(world.describe("a").await["LastAccessedDate"], read);
    holders(&world).await;
}
