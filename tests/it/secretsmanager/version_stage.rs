//! UpdateSecretVersionStage.
use super::{no_version, not_found, scheduled, token, version};
use crate::support::failed;
use crate::world::{World, allow};
use serde_json::{Value, json};

fn request(label: &str, from: Option<usize>, to: Option<usize>) -> Value {
    let mut body = json!({"SecretId": "a", "VersionStage": label});
    if let Some(from) = from {
        body["RemoveFromVersionId"] = json!(token(from));
    }
    if let Some(to) = to {
        body["MoveToVersionId"] = json!(token(to));
    }
    body
}

/// Versions 1 (previous), 2 (current) and 3 (pending).
async fn rotating() -> World {
    let world = World::new().await;
    world.secret("a", "one").await;
    world.put("a", 2, "two").await;
    let mut body = version("a", 3, "three");
    body["VersionStages"] = json!(["AWSPENDING"]);
    world.sm("PutSecretValue", body).await;
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING");
    world
}

#[tokio::test]
async fn a_rotation_ends_and_is_taken_back() {
    let world = rotating().await;
    let arn = world.describe("a").await["ARN"].clone();
    world.clock.advance(60);
    // As AWS's rotation functions do it.
    let done = world.sm("UpdateSecretVersionStage", request("AWSCURRENT", Some(2), Some(3))).await;
    assert_eq!(done, json!({"ARN": arn, "Name": "a"}));
    assert_eq!(world.labels("a").await, "1: 2:AWSPREVIOUS 3:AWSCURRENT,AWSPENDING");
    world.sm("UpdateSecretVersionStage", request("AWSPENDING", Some(3), None)).await;
    assert_eq!(world.labels("a").await, "1: 2:AWSPREVIOUS 3:AWSCURRENT");
    assert_eq!(world.value("a").await, "three");
    assert_eq!(world.describe("a").await["LastChangedDate"], crate::world::NOW_SECS + 60);
    let event = world.events().into_iter().rfind(|e| e.event_name == "UpdateSecretVersionStage");
    let expected = json!({"secretId": "a", "versionStage": "AWSPENDING",
        "removeFromVersionId": token(3)});
    assert_eq!(event.unwrap().request_parameters, Some(expected));
    // Back to the version before, and also to one that had no label any more.
    world.sm("UpdateSecretVersionStage", request("AWSCURRENT", Some(3), Some(2))).await;
    assert_eq!(world.labels("a").await, "1: 2:AWSCURRENT 3:AWSPREVIOUS");
    world.sm("UpdateSecretVersionStage", request("AWSCURRENT", Some(2), Some(1))).await;
    assert_eq!(world.labels("a").await, "1:AWSCURRENT 2:AWSPREVIOUS 3:");
    assert_eq!(world.value("a").await, "one");
}

#[tokio::test]
async fn labels_of_the_callers() {
    let world = rotating().await;
    for (label, from, to, expected) in [
        ("blue", None, Some(1), "1:AWSPREVIOUS,blue 2:AWSCURRENT 3:AWSPENDING"),
        ("blue", Some(1), Some(3), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue"),
        // It is there: nothing happens.
        ("blue", None, Some(3), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue"),
        ("AWSCURRENT", None, Some(2), "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING,blue"),
        ("AWSPREVIOUS", Some(1), Some(3), "1: 2:AWSCURRENT 3:AWSPENDING,AWSPREVIOUS,blue"),
        ("AWSPREVIOUS", Some(3), None, "1: 2:AWSCURRENT 3:AWSPENDING,blue"),
        ("blue", Some(3), None, "1: 2:AWSCURRENT 3:AWSPENDING"),
        ("AWSPENDING", Some(3), None, "1: 2:AWSCURRENT 3:"),
    ] {
        world.sm("UpdateSecretVersionStage", request(label, from, to)).await;
        assert_eq!(world.labels("a").await, expected, "{label} {from:?} {to:?}");
    }
    // What has no label is still there by its id.
    assert_eq!(world.value_at("a", 3).await, "three");
}

#[tokio::test]
async fn what_changes_nothing_is_no_change() {
    let world = rotating().await;
    let before = world.describe("a").await;
    world.clock.advance(60);
    world.sm("UpdateSecretVersionStage", request("AWSCURRENT", Some(2), Some(2))).await;
    assert_eq!(world.describe("a").await, before);
}

#[tokio::test]
async fn what_is_refused_moves_nothing() {
    let world = rotating().await;
    let invalid = |text: String| failed("InvalidParameterException", text);
    let empty = |label: &str, n: usize| {
        invalid(format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently \
             attached to version {}, so you must explicitly reference that version in \
             RemoveFromVersionId.",
            token(n)
        ))
    };
    let other = |label: &str| {
        invalid(format!(
            "When you move staging label {label}, if you specify RemoveFromVersionId, it must be \
             set to the version that currently has the staging label {label}."
        ))
    };
    let absent = no_version(&format!("VersionId: {}", token(9)));
    let current = "You can only move staging label AWSCURRENT to a different secret version. It \
        can’t be completely removed.";
    for (label, from, to, expected) in [
        ("AWSCURRENT", None, Some(3), empty("AWSCURRENT", 2)),
        ("AWSPENDING", None, Some(1), empty("AWSPENDING", 3)),
        ("AWSCURRENT", Some(1), Some(3), other("AWSCURRENT")),
        ("blue", Some(1), Some(3), other("blue")),
        ("AWSCURRENT", Some(2), None, invalid(current.into())),
        ("AWSPENDING", Some(9), None, absent.clone()),
        ("AWSCURRENT", Some(2), Some(9), absent),
        (
            "blue",
            Some(3),
            None,
            invalid(format!("Staging label blue is not attached to version {}.", token(3))),
        ),
        (
            "blue",
            None,
            None,
            invalid("You must provide MoveToVersionId or RemoveFromVersionId.".into()),
        ),
    ] {
        let refused = world.sm_fails("UpdateSecretVersionStage", request(label, from, to)).await;
        assert_eq!(refused, expected, "{label} {from:?} {to:?}");
    }
    for body in [
        json!({"SecretId": "a", "VersionStage": "", "MoveToVersionId": token(1)}),
        json!({"SecretId": "a", "VersionStage": "x".repeat(257), "MoveToVersionId": token(1)}),
        json!({"SecretId": "a", "VersionStage": "x", "MoveToVersionId": "short"}),
        json!({"SecretId": "a", "MoveToVersionId": token(1)}),
    ] {
        let refused = world.sm_fails("UpdateSecretVersionStage", body.clone()).await;
        assert_eq!(refused.code, "ValidationException", "{body}");
    }
    assert_eq!(world.labels("a").await, "1:AWSPREVIOUS 2:AWSCURRENT 3:AWSPENDING");
    let body = json!({"SecretId": "b", "VersionStage": "x", "MoveToVersionId": token(1)});
    assert_eq!(world.sm_fails("UpdateSecretVersionStage", body).await, not_found());
    world.sm("DeleteSecret", json!({"SecretId": "a"})).await;
    let refused = world.sm_fails("UpdateSecretVersionStage", request("blue", None, Some(1))).await;
    assert_eq!(refused, scheduled());
}

#[tokio::test]
async fn twenty_labels_and_no_more() {
    let world = World::new().await;
    world.secret("a", "one").await;
    for n in 1..20 {
        world.sm("UpdateSecretVersionStage", request(&format!("l{n}"), None, Some(1))).await;
    }
    let refused = world.sm_fails("UpdateSecretVersionStage", request("l20", None, Some(1))).await;
    let text = "A secret can have at most 20 staging labels.";
    assert_eq!(refused, failed("LimitExceededException", text));
    world.sm("UpdateSecretVersionStage", request("l19", Some(1), None)).await;
    world.sm("UpdateSecretVersionStage", request("l20", None, Some(1))).await;
}

#[tokio::test]
async fn whoever_may_move_one_label_moves_no_other() {
    let world = rotating().await;
    let mut may = allow(&["secretsmanager:UpdateSecretVersionStage"]);
    may["Statement"][0]["Condition"] =
        json!({"StringEquals": {"secretsmanager:VersionStage": "AWSPENDING"}});
    let ann = world.user("ann", may).await;
    let refused = world
        .sm_fails_as(&ann, "UpdateSecretVersionStage", request("AWSCURRENT", Some(2), Some(3)))
        .await;
    assert_eq!(refused.code, "AccessDeniedException");
    assert_eq!(world.value("a").await, "two");
    let body = request("AWSPENDING", Some(3), None);
    world.sm_as(&ann, "UpdateSecretVersionStage", body).await;
}

#[tokio::test]
async fn of_many_who_move_a_label_at_once_one_does() {
    let world = rotating().await;
    let moves = (0..8).map(|n| {
        let to = if n % 2 == 0 { 1 } else { 3 };
        world.call(
            "secretsmanager",
            "UpdateSecretVersionStage",
            request("AWSCURRENT", Some(2), Some(to)),
        )
    });
    let outcomes = futures_util::future::join_all(moves).await;
    // Those that wanted the same as the first find it done, or that it was moved away.
    let moved = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(moved, 1, "{outcomes:?}");
    let labels = world.labels("a").await;
    assert!(
        ["1:AWSCURRENT 2:AWSPREVIOUS 3:AWSPENDING", "1: 2:AWSPREVIOUS 3:AWSCURRENT,AWSPENDING"]
            .contains(&labels.as_str()),
        "{labels}"
    );
}
