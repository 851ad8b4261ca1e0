//! GetSecretValue: every way to name a secret and a version, and what is not found.
use super::{DAY, NOW_SECS, no_version, not_found, partial, token};
use crate::support::{failed, unknown_to};
use crate::world::{OTHER_ACCOUNT, OTHER_REGION, World, allow};
use claviger::secrets::Secret;
use claviger::store::StoreError;
use serde_json::json;

#[tokio::test]
async fn by_name_by_arn_and_by_part_of_it() {
    let world = World::new().await;
    let arn = world.secret("prod/db", "one").await;
    for id in ["prod/db", &arn, partial(&arn)] {
        assert_eq!(world.value(id).await, "one", "{id}");
    }
    // A partial ARN that ends like a suffix is taken for a whole one.
    let odd = world.secret("db-abcdef", "two").await;
    assert_eq!(world.value(&odd).await, "two");
    assert_eq!(world.value("db-abcdef").await, "two");
    let body = json!({"SecretId": partial(&odd)});
    assert_eq!(world.sm_fails("GetSecretValue", body).await, not_found());
}

#[tokio::test]
async fn what_is_not_there() {
    let world = World::new().await;
    let arn = world.secret("prod/db", "one").await;
    let wrong = format!("{}-AAAAAA", partial(&arn));
    let elsewhere = arn.replace("eu-west-1", OTHER_REGION);
    for id in ["prod", "prod/db2", "Prod/db", "prod/db/", &wrong, &elsewhere] {
        let refused = world.sm_fails("GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(refused, not_found(), "{id}");
    }
    for (id, code) in [
        ("a b", "ValidationException"),
        ("a\0", "ValidationException"),
        ("", "ValidationException"),
        ("arn:aws:secretsmanager:eu-west-1:111122223333:prod", "InvalidParameterException"),
        ("arn:aws:kms:eu-west-1:111122223333:secret:prod/db", "InvalidParameterException"),
    ] {
        let refused = world.sm_fails("GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(refused.code, code, "{id:?}");
    }
}

#[tokio::test]
async fn a_recreated_secret_is_another_one() {
    let world = World::new().await;
    let old = world.secret("a", "one").await;
    world.sm("DeleteSecret", json!({"SecretId": "a", "ForceDeleteWithoutRecovery": true})).await;
    let new = world.secret("a", "two").await;
    assert_ne!(old, new);
    assert_eq!(partial(&old), partial(&new));
    for name in ["GetSecretValue", "DescribeSecret", "ListSecretVersionIds", "RestoreSecret"] {
        assert_eq!(world.sm_fails(name, json!({"SecretId": old})).await, not_found(), "{name}");
    }
    for id in ["a", &new, partial(&old)] {
        assert_eq!(world.value(id).await, "two");
    }
}

#[tokio::test]
async fn by_version_and_label() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.clock.advance(60);
    world.put("a", 2, "two").await;
    let mut body = super::version("a", 3, "three");
    body["VersionStages"] = json!(["blue", "green"]);
    world.sm("PutSecretValue", body).await;
    world.put("a", 4, "four").await;
    for (id, label, n, value, stages) in [
        (None, None, 4, "four", json!(["AWSCURRENT"])),
        (None, Some("AWSCURRENT"), 4, "four", json!(["AWSCURRENT"])),
        (None, Some("AWSPREVIOUS"), 2, "two", json!(["AWSPREVIOUS"])),
        (None, Some("green"), 3, "three", json!(["blue", "green"])),
        (Some(3), None, 3, "three", json!(["blue", "green"])),
        (Some(3), Some("blue"), 3, "three", json!(["blue", "green"])),
        (Some(1), None, 1, "one", json!(null)),
    ] {
        let mut body = json!({"SecretId": arn});
        if let Some(id) = id {
            body["VersionId"] = json!(token(id));
        }
        if let Some(label) = label {
            body["VersionStage"] = json!(label);
        }
        let got = world.sm("GetSecretValue", body.clone()).await;
        assert_eq!((&got["VersionId"], &got["SecretString"]), (&json!(token(n)), &json!(value)));
        assert_eq!(got["VersionStages"], stages, "{body}");
        assert_eq!(got["CreatedDate"], if n == 1 { NOW_SECS } else { NOW_SECS + 60 });
    }
    let disagree = failed(
        "InvalidRequestException",
        "You provided a VersionStage that is not associated to the provided VersionId.",
    );
    for (id, label, expected) in [
        (Some(2), Some("AWSCURRENT"), disagree.clone()),
        (Some(1), Some("none"), disagree),
        (Some(9), None, no_version(&format!("VersionId: {}", token(9)))),
        (Some(9), Some("AWSCURRENT"), no_version(&format!("VersionId: {}", token(9)))),
        (None, Some("AWSPENDING"), no_version("staging label: AWSPENDING")),
        (None, Some("awscurrent"), no_version("staging label: awscurrent")),
    ] {
        let body = json!({"SecretId": "a", "VersionId": id.map(token), "VersionStage": label});
        assert_eq!(world.sm_fails("GetSecretValue", body.clone()).await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let world = World::new().await;
    let arn = world.secret("prod/db", "one").await;
    let missing = arn.replace("prod/db", "prod/no");
    let able = world.user_of(OTHER_ACCOUNT, "able", allow(&["secretsmanager:*", "kms:*"])).await;
    for (who, name) in [(world.other_root(), "root"), (able, "user/able")] {
        let user = format!("arn:aws:iam::{OTHER_ACCOUNT}:{name}");
        let wrong = format!("{}-AAAAAA", partial(&arn));
        for id in [&arn, partial(&arn), &missing, partial(&missing), &wrong] {
            for (operation, more) in [
                ("GetSecretValue", json!({})),
                ("GetSecretValue", json!({"VersionId": token(9)})),
                ("DescribeSecret", json!({})),
                ("ListSecretVersionIds", json!({})),
                ("DeleteSecret", json!({"ForceDeleteWithoutRecovery": true})),
                ("PutSecretValue", json!({"SecretString": "x"})),
            ] {
                let mut body = more;
                body["SecretId"] = json!(id);
                let refused = world.sm_fails_as(&who, operation, body).await;
                let action = format!("secretsmanager:{operation}");
                assert_eq!(refused, unknown_to(&user, &action, &format!("resource: {id}")));
            }
        }
        // By name it is their own secret that they mean, and there is none.
        let refused = world.sm_fails_as(&who, "GetSecretValue", json!({"SecretId": "prod/db"}));
        assert_eq!(refused.await, not_found());
    }
}

#[tokio::test]
async fn regions_know_nothing_of_each_other() {
    let world = World::new().await;
    let here = world.secret("a", "here").await;
    let there = async |name: &str, body| {
        world.call_in(&world.root, OTHER_REGION, "secretsmanager", name, body).await
    };
    let read = |id: &str| json!({"SecretId": id});
    assert_eq!(there("GetSecretValue", read("a")).await, Err(not_found()));
    assert_eq!(there("GetSecretValue", read(&here)).await, Err(not_found()));
    let made = there("CreateSecret", super::creation("a", "there")).await.unwrap();
    let arn = made["ARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:us-east-1:"), "{arn}");
    assert_eq!(there("GetSecretValue", read("a")).await.unwrap()["SecretString"], "there");
    assert_eq!(world.value("a").await, "here");
    assert_eq!(world.sm_fails("GetSecretValue", read(arn)).await, not_found());
}

/// Whether a read of `a` wrote anything to the secret: a rival's transaction tells.
async fn read_writes(world: &World, n: usize) -> bool {
    let (account, region) = (world.root.account.parse().unwrap(), "eu-west-1".parse().unwrap());
    let mut rival = world.server.store.begin();
    let secret = Secret::load(&mut rival, &account, &region, "a").await.unwrap().unwrap();
    world.value_at("a", n).await;
    // The background writes it: no read waits for that.
    world.advance(10).await;
    rival.put(&[account.as_str(), region.as_str(), "a"], Secret::clone(&secret)).unwrap();
    match rival.commit().await {
        Ok(()) => false,
        Err(StoreError::Conflict) => true,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_day_of_the_last_read_is_written_once() {
    let world = World::new().await;
    world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    world.clock.advance(5 * 3600);
    assert_eq!(world.describe("a").await.get("LastAccessedDate"), None);
    assert!(read_writes(&world, 2).await);
    assert!(!read_writes(&world, 2).await);
    world.clock.advance(19 * 3600 - 100);
    assert!(!read_writes(&world, 2).await);
    // The other version's first read today.
    assert!(read_writes(&world, 1).await);
    assert!(!read_writes(&world, 1).await);
    assert_eq!(world.describe("a").await["LastAccessedDate"], NOW_SECS);
    world.clock.advance(50);
    assert!(read_writes(&world, 2).await);
    let described = world.describe("a").await;
    assert_eq!(described["LastAccessedDate"], NOW_SECS + DAY);
    assert_eq!(described["LastChangedDate"], NOW_SECS);
    let versions = world.versions("a").await;
    let dates: Vec<_> = versions.iter().map(|v| v["LastAccessedDate"].clone()).collect();
    assert_eq!(dates, [json!(NOW_SECS), json!(NOW_SECS + DAY)]);
}
