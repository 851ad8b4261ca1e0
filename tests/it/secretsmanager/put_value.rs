//! PutSecretValue: tokens, values that never change, refusals.
use super::{DAY, NOW_SECS, not_found, token, token_in_use, version};
use crate::support::failed;
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn a_new_version_becomes_the_current_one() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    world.clock.advance(60);
    let put = world.put(&arn, 2, "two").await;
    let expected = json!({
        "ARN": arn, "Name": "a", "VersionId": token(2), "VersionStages": ["AWSCURRENT"],
    });
    assert_eq!(put, expected);
    assert_eq!(world.value("a").await, "two");
    assert_eq!(world.value_at("a", 1).await, "one");
    assert_eq!(world.describe("a").await["LastChangedDate"], NOW_SECS + 60);
    let body = json!({"SecretId": "a", "ClientRequestToken": token(3), "SecretBinary": "AAEC"});
    world.sm("PutSecretValue", body).await;
    let got = world.sm("GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!((&got["SecretBinary"], got.get("SecretString")), (&json!("AAEC"), None));
}

#[tokio::test]
async fn a_token_names_one_value_for_ever() {
    let world = World::new().await;
    let arn = world.secret("a", "one").await;
    let put = world.put("a", 2, "two").await;
    world.clock.advance(60);
    assert_eq!(world.put("a", 2, "two").await, put);
    assert_eq!(world.describe("a").await["LastChangedDate"], NOW_SECS);
    let bytes = json!({"SecretId": "a", "ClientRequestToken": token(2), "SecretBinary": "dHdv"});
    for body in [version("a", 2, "other"), version("a", 2, "two "), bytes] {
        let refused = world.sm_fails("PutSecretValue", body).await;
        assert_eq!(refused, token_in_use(&token(2), &arn));
    }
    assert_eq!(world.value("a").await, "two");
    // A repeated request moves no label, neither back nor to where it asks for.
    world.put("a", 3, "three").await;
    let mut body = version("a", 2, "two");
    body["VersionStages"] = json!(["AWSCURRENT", "blue"]);
    world.sm("PutSecretValue", body).await;
    world.put("a", 1, "one").await;
    assert_eq!(world.labels("a").await, "1: 2:AWSPREVIOUS 3:AWSCURRENT");
}

#[tokio::test]
async fn requests_that_make_no_sense() {
    let world = World::new().await;
    world.secret("a", "one").await;
    let refused = world.sm_fails("PutSecretValue", version("b", 2, "x")).await;
    assert_eq!(refused, not_found());
    let with = |member: &str, value| {
        let mut body = version("a", 2, "x");
        body[member] = value;
        body
    };
    for (body, code, text) in [
        (
            json!({"SecretId": "a", "SecretString": "x"}),
            "InvalidRequestException",
            "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        ),
        (
            json!({"SecretId": "a", "ClientRequestToken": token(2)}),
            "InvalidRequestException",
            "You must provide either SecretString or SecretBinary.",
        ),
        (
            with("SecretBinary", json!("AAEC")),
            "InvalidParameterException",
            "You can't specify both a binary secret value and a string secret value in the same \
             secret.",
        ),
        (
            with("RotationToken", json!(token(1))),
            "InvalidParameterException",
            "The RotationToken is invalid.",
        ),
        (
            with("ClientRequestToken", json!(format!("{}\u{1}", token(1)))),
            "InvalidParameterException",
            "ClientRequestToken must not contain control characters.",
        ),
    ] {
        let refused = world.sm_fails("PutSecretValue", body.clone()).await;
        assert_eq!(refused, failed(code, text), "{body}");
    }
    for body in [
        with("SecretString", json!("x".repeat(65_537))),
        with("SecretString", json!("")),
        with("VersionStages", json!([])),
        with("VersionStages", json!([""])),
        with("VersionStages", json!(vec!["x"; 21])),
    ] {
        let refused = world.sm_fails("PutSecretValue", body).await;
        assert_eq!(refused.code, "ValidationException");
    }
    assert_eq!(world.labels("a").await, "1:AWSCURRENT");
}

#[tokio::test]
async fn old_versions_make_room_after_a_day() {
    let world = World::new().await;
    world.secret("a", "one").await;
    for n in 2..=150 {
        world.put("a", n, "x").await;
    }
    let refused = world.sm_fails("PutSecretValue", version("a", 151, "x")).await;
    assert_eq!(refused.code, "LimitExceededException");
    assert_eq!(world.versions("a").await.len(), 150);
    world.advance(DAY + 1).await;
    world.put("a", 151, "y").await;
    let versions = world.versions("a").await;
    assert_eq!(versions.len(), 100);
    assert_eq!(versions[0]["VersionId"], json!(token(52)), "the oldest went");
    assert_eq!(world.value("a").await, "y");
    assert_eq!(world.value_at("a", 150).await, "x");
    let body = json!({"SecretId": "a", "VersionId": token(1)});
    let gone = world.sm_fails("GetSecretValue", body).await;
    assert_eq!(gone, super::no_version(&format!("VersionId: {}", token(1))));
}
