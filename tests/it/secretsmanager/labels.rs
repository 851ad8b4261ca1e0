//! Staging labels: each is on one version, and two of them move by themselves.
use super::{token, version};
use crate::world::World;
use serde_json::{Value, json};

/// Adds version `n` with these labels; answers the labels it got.
async fn put(world: &World, n: usize, labels: &[&str]) -> Value {
    let mut body = version("a", n, &format!("value {n}"));
    body["VersionStages"] = json!(labels);
    world.sm("PutSecretValue", body).await["VersionStages"].clone()
}

#[tokio::test]
async fn current_and_previous() {
    let world = World::new().await;
    world.secret("a", "one").await;
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
    world.put("a", 2, "two").await;
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT");
    world.put("a", 3, "three").await;
    assert_eq!(world.labels("a").await, "1: 2:AWSPREVIOUS 3:AWSCURRENT");
    let stages = world.describe("a").await["VersionIdsToStages"].clone();
    let expected = json!({(token(2)): ["AWSPREVIOUS"], (token(3)): ["AWSCURRENT"]});
    assert_eq!(stages, expected);
}

#[tokio::test]
async fn a_label_is_taken_from_the_version_that_had_it() {
    let world = World::new().await;
    world.secret("a", "one").await;
    assert_eq!(put(&world, 2, &["blue", "green"]).await, json!(["blue", "green"]));
    assert_eq!(world.labels("a").await, "1:AWSCURRENT 2:blue,green");
    put(&world, 3, &["blue"]).await;
    assert_eq!(world.labels("a").await, "1:AWSCURRENT 2:green 3:blue");
    put(&world, 4, &["green", "AWSPENDING"]).await;
    assert_eq!(world.labels("a").await, "1:AWSCURRENT 2: 3:blue 4:AWSPENDING,green");
    // Without AWSCURRENT among them the current value stays what it was.
    assert_eq!(world.value("a").await, "one");
    assert_eq!(put(&world, 5, &["blue", "AWSCURRENT"]).await, json!(["AWSCURRENT", "blue"]));
    let expected = "1:AWSPREVIOUS 2: 3: 4:AWSPENDING,green 5:AWSCURRENT,blue";
    assert_eq!(world.labels("a").await, expected);
    // Labels of the caller's stay where they are when AWSCURRENT moves on.
    world.put("a", 6, "six").await;
    let expected = "1: 2: 3: 4:AWSPENDING,green 5:AWSPREVIOUS,blue 6:AWSCURRENT";
    assert_eq!(world.labels("a").await, expected);
    assert_eq!(world.value_at("a", 2).await, "value 2");
}

#[tokio::test]
async fn the_first_version_is_current_whatever_is_asked() {
    let world = World::new().await;
    world.sm("CreateSecret", json!({"Name": "a", "ClientRequestToken": token(1)})).await;
    assert_eq!(put(&world, 2, &["AWSPENDING"]).await, json!(["AWSCURRENT", "AWSPENDING"]));
    assert_eq!(world.value("a").await, "value 2");
}

#[tokio::test]
async fn a_secret_has_twenty_labels() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let many: Vec<String> = (0..20).map(|n| format!("label{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut body = version("a", 2, "x");
    body["VersionStages"] = json!(many);
    let refused = world.sm_fails("PutSecretValue", body).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
    put(&world, 2, &many[..19]).await;
    let mut body = version("a", 3, "x");
    body["VersionStages"] = json!(["one more"]);
    let refused = world.sm_fails("PutSecretValue", body).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert_eq!(world.value("a").await, "one");
    // The labels that the service moves are not counted: there is always a way to a new value.
    put(&world, 3, &["AWSPENDING"]).await;
    world.put("a", 4, "four").await;
    assert_eq!(world.value("a").await, "four");
    assert!(world.labels("a").await.starts_with("1:AWSPREVIOUS 2:label0,"));
}
