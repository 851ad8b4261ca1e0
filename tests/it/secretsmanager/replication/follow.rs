//! What changes in the primary's region changes in the others.
use super::{
    THIRD, account_root, assert_same, at, describe, in_sync, replicate, replicated, status, there,
    token, value_in, version, world,
};
use crate::support::policy;
use crate::world::{OTHER_REGION, REGION};
use serde_json::json;

#[tokio::test]
async fn every_change_reaches_every_replica() {
    let world = world().await;
    let arn = replicated(&world).await;
    replicate(&world, "a", &[THIRD]).await;
    let read = json!({"Effect": "Allow", "Principal": {"AWS": account_root()},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
    let stage = |label: &str, from: Option<usize>, to: Option<usize>| {
        let mut body = json!({"SecretId": "a", "VersionStage": label});
        if let Some(n) = from {
            body["RemoveFromVersionId"] = json!(token(n));
        }
        if let Some(n) = to {
            body["MoveToVersionId"] = json!(token(n));
        }
        body
    };
    for (name, body) in [
        ("PutSecretValue", version("a", 2, "two")),
        ("UpdateSecret", version("a", 3, "three")),
        (
            "UpdateSecret",
            json!({"SecretId": "a", "ClientRequestToken": token(9), "Description": "d"}),
        ),
        ("TagResource", json!({"SecretId": "a", "Tags": [{"Key": "k", "Value": "v"}]})),
        ("UntagResource", json!({"SecretId": "a", "TagKeys": ["k"]})),
        ("UpdateSecretVersionStage", stage("blue", None, Some(1))),
        ("UpdateSecretVersionStage", stage("AWSCURRENT", Some(3), Some(2))),
        ("UpdateSecretVersionStage", stage("blue", Some(1), None)),
        (
            "PutResourcePolicy",
            json!({"SecretId": "a", "ResourcePolicy": policy(&[read]).to_string()}),
        ),
        ("DeleteResourcePolicy", json!({"SecretId": "a"})),
    ] {
        let before = describe(&world, OTHER_REGION, "a").await;
        world.advance(60).await;
        world.sm(name, body.clone()).await;
        for region in [OTHER_REGION, THIRD] {
            assert_same(&world, &arn, region).await;
            assert_eq!(status(&world, region).await, in_sync(), "{name} {body}");
        }
        let after = describe(&world, OTHER_REGION, "a").await;
        assert_ne!(before["LastChangedDate"], after["LastChangedDate"], "{name} {body}");
    }
}

#[tokio::test]
async fn a_policy_holds_in_the_replicas_region() {
    let world = world().await;
    replicated(&world).await;
    let ann = world.user("ann", crate::world::allow(&["s3:*"])).await;
    let read = json!({"SecretId": "a"});
    super::fails_at_as(&world, &ann, OTHER_REGION, "GetSecretValue", read.clone()).await;
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": crate::support::user_arn("ann")},
        "Action": "secretsmanager:GetSecretValue", "Resource": "*"});
    let body = json!({"SecretId": "a", "ResourcePolicy": policy(&[statement]).to_string()});
    world.sm("PutResourcePolicy", body).await;
    let value = super::at_as(&world, &ann, OTHER_REGION, "GetSecretValue", read.clone()).await;
    assert_eq!(value["SecretString"], "one");
    world.sm("DeleteResourcePolicy", json!({"SecretId": "a"})).await;
    super::fails_at_as(&world, &ann, OTHER_REGION, "GetSecretValue", read).await;
}

#[tokio::test]
async fn versions_that_go_go_everywhere() {
    let world = world().await;
    let arn = replicated(&world).await;
    for n in 2..=100 {
        world.put("a", n, &n.to_string()).await;
    }
    world.advance(2 * 86_400).await;
    let read = json!({"SecretId": "a", "VersionId": token(1)});
    at(&world, OTHER_REGION, "GetSecretValue", read.clone()).await;
    world.put("a", 101, "last").await;
    for region in [REGION, OTHER_REGION] {
        let gone = super::fails_at(&world, region, "GetSecretValue", read.clone()).await;
        assert_eq!(gone, super::super::no_version(&format!("VersionId: {}", token(1))), "{region}");
    }
    // Its id may be used again, for another value.
    world.put("a", 1, "again").await;
    assert_eq!(value_in(&world, OTHER_REGION, "a").await, "again");
    let body = json!({"SecretId": there(&arn, OTHER_REGION), "VersionId": token(1)});
    let value = at(&world, OTHER_REGION, "GetSecretValue", body).await;
    assert_eq!(value["SecretString"], "again");
}

#[tokio::test]
async fn what_is_repeated_changes_nothing() {
    let world = world().await;
    replicated(&world).await;
    world.put("a", 2, "two").await;
    let before = describe(&world, OTHER_REGION, "a").await;
    world.advance(60).await;
    let from = world.events().len();
    world.put("a", 2, "two").await;
    // The value is compared, in the primary's region only.
    assert_eq!(world.event_names(from), ["Decrypt", "PutSecretValue"]);
    assert_eq!(describe(&world, OTHER_REGION, "a").await, before);
}
