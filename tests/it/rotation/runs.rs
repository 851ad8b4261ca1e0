//! A rotation that goes well.
use super::{Fault, Stage};
use crate::support::{failed, token};
use crate::world::{ACCOUNT, OTHER_REGION};
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use serde_json::json;

#[tokio::test]
async fn the_four_steps_are_done_once_and_in_order() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    // The version is announced, and has no value.
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"][token(1)], json!(["AWSPENDING"]));
    assert_eq!(stage.value(&secret, "AWSPENDING").await, None);
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cstf");
    stage.assert_rotated(&secret, 1).await;
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"][token(0)], json!(["AWSPREVIOUS"]));
    assert_eq!(described["LastRotatedDate"], json!(stage.world.server.clock.now()));
    assert_eq!(stage.value(&secret, "AWSPREVIOUS").await.unwrap(), "first");
    assert_ne!(stage.function.password(&secret), "first");
    // Nothing is left to do.
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cstf");
}

/// What a function does elsewhere cannot be undone, and rows that nobody has compared may be put back ones.
#[tokio::test]
async fn nothing_is_begun_before_the_rows_were_verified() {
    let mut world = Stage::world().await;
    world.leave_unverified().await;
    let stage = Stage::over(world).await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "");
    assert!(stage.world.server.store.check_rows().await.unwrap());
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
}

/// What a secret is full of does not keep its rotation from ending.
#[tokio::test]
async fn a_secret_with_all_its_labels_is_rotated() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    for n in 0..19 {
        let label = format!("label{n}");
        let body = json!({"SecretId": secret, "VersionStage": label, "MoveToVersionId": token(0)});
        stage.call("UpdateSecretVersionStage", body).await;
    }
    let more = json!({"SecretId": secret, "VersionStage": "more", "MoveToVersionId": token(0)});
    let refused = stage.world.call("secretsmanager", "UpdateSecretVersionStage", more).await;
    assert_eq!(refused.unwrap_err().code, "LimitExceededException");
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cstf");
    stage.assert_rotated(&secret, 1).await;
}

#[tokio::test]
async fn the_history_says_what_was_done() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    let history = stage.history(&secret).await;
    let [run] = &*history else { panic!("{history:#?}") };
    assert_eq!((run.outcome, run.token.as_str()), (Outcome::Succeeded, &*token(1)));
    let steps: Vec<Step> = run.attempts.iter().map(|attempt| attempt.step).collect();
    assert_eq!(steps, Step::ALL);
    for attempt in &run.attempts {
        let log = format!("{} of {}", attempt.step.name(), token(1));
        assert_eq!((&attempt.error, attempt.log.as_ref()), (&None, Some(&log)));
    }
}

#[tokio::test]
async fn a_secret_keeps_its_last_twenty_runs() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    for n in 1..=25 {
        stage.rotate(&secret, n).await;
        stage.after(1).await;
    }
    let history = stage.history(&secret).await;
    let tokens: Vec<&str> = history.iter().map(|run| run.token.as_str()).collect();
    let wanted: Vec<String> = (6..=25).map(token).collect();
    assert_eq!(tokens, wanted);
    // They go with the secret, and a new one of the name has none.
    let body = json!({"SecretId": secret, "ForceDeleteWithoutRecovery": true});
    stage.call("DeleteSecret", body).await;
    let again = stage.secret("db").await;
    assert!(stage.history(&again).await.is_empty());
    let rows = stage.world.server.store.begin();
    let left = rows.list_all::<claviger::secrets::rotation::Finished>(10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn its_events_are_the_services_own_and_say_no_value() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationSucceeded"]);
    let event = stage.events("RotationSucceeded").remove(0);
    let event = serde_json::to_value(&event).unwrap();
    assert_eq!(event["eventType"], "AwsServiceEvent");
    assert_eq!(event["eventSource"], "secretsmanager.amazonaws.com");
    let who = json!({"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"});
    assert_eq!(event["userIdentity"], who);
    assert_eq!(event["additionalEventData"], json!({"SecretId": secret}));
    let id = event["requestID"].as_str().unwrap();
    assert!(id.starts_with(&format!("Rotation-{secret}-")), "{id}");
    let password = stage.function.password(&secret);
    let all = serde_json::to_string(&stage.world.events()).unwrap();
    assert!(!all.contains(&password) && !all.contains("\"first\""));
}

#[tokio::test]
async fn it_is_counted() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    shows(
        &stage,
        &[
            "claviger_rotations_started_total 1",
            "claviger_rotations_ended_total{outcome=\"succeeded\"} 1",
            "claviger_rotation_duration_seconds_count 1",
            "claviger_rotation_overdue 0",
        ],
    );
}

fn shows(stage: &Stage, lines: &[&str]) {
    let text = stage.world.server.metrics.text();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} is missing in\n{text}");
    }
}

/// Also what a call puts an end to, by itself or so that the scheduler sees it later.
#[tokio::test]
async fn every_end_is_counted() {
    let stage = Stage::new().await;
    let begun = async |name: &str, failure: Failure| {
        let secret = stage.secret(name).await;
        stage.function.fault(Step::SetSecret, Fault::Fails(failure));
        stage.rotate(&secret, 1).await;
        stage.scheduler.sweep().await;
        secret
    };
    begun("failed", Failure::lasting("never")).await;
    for (n, (name, more)) in [
        ("PutSecretValue", json!({"SecretString": "by hand", "ClientRequestToken": token(7)})),
        (
            "UpdateSecretVersionStage",
            json!({"VersionStage": "AWSPENDING", "RemoveFromVersionId": token(1)}),
        ),
        ("CancelRotateSecret", json!({})),
        ("DeleteSecret", json!({})),
        ("DeleteSecret", json!({"ForceDeleteWithoutRecovery": true})),
    ]
    .into_iter()
    .enumerate()
    {
        let secret = begun(&format!("s{n}"), Failure::passing("later")).await;
        let mut body = json!({ "SecretId": secret });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        stage.call(name, body).await;
    }
    // Nobody took this one.
    let secret = stage.secret("soon-over").await;
    stage.rotate(&secret, 1).await;
    stage.call("CancelRotateSecret", json!({"SecretId": secret})).await;
    stage.after(10).await;
    shows(
        &stage,
        &[
            "claviger_rotations_started_total 6",
            "claviger_rotations_ended_total{outcome=\"failed\"} 1",
            "claviger_rotations_ended_total{outcome=\"abandoned\"} 2",
            "claviger_rotations_ended_total{outcome=\"cancelled\"} 3",
            "claviger_rotation_duration_seconds_count 6",
        ],
    );
    // Whoever ends it, the event is the same.
    let events = stage.events("RotationAbandoned");
    assert_eq!(events.len(), 2);
    for event in events {
        let id = format!("Rotation-{}-", event.resources[0].arn);
        assert!(event.request_id.starts_with(&id), "{event:?}");
        assert!(event.additional_event_data.is_some());
    }
}

/// A function whose role may not do a step's calls fails: the scheduler lends it nothing.
#[tokio::test]
async fn the_functions_role_is_what_counts() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    let body = json!({"RoleName": "rotation", "PolicyName": "p"});
    stage.world.iam("DeleteRolePolicy", body).await;
    stage.scheduler.sweep().await;
    let error = stage.history(&secret).await[0].attempts[0].error.clone().unwrap();
    assert!(error.contains("AccessDenied"), "{error}");
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), "first");
    let again = json!({"SecretId": secret, "ClientRequestToken": token(2)});
    let refused = stage.world.call("secretsmanager", "RotateSecret", again).await;
    let text = "A previous rotation isn't complete. That rotation will be reattempted.";
    assert_eq!(refused, Err(failed("InvalidRequestException", text)));
}

/// Its value and its labels; also what the scheduler does to them by itself.
#[tokio::test]
async fn replicas_have_what_the_rotation_made() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let body = json!({"SecretId": secret, "AddReplicaRegions": [{"Region": OTHER_REGION}]});
    stage.call("ReplicateSecretToRegions", body).await;
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 1).await;
    let there = async |name: &str| {
        let body = json!({"SecretId": "db"});
        let root = &stage.world.root;
        stage.world.call_in(root, OTHER_REGION, "secretsmanager", name, body).await.unwrap()
    };
    let value = there("GetSecretValue").await;
    assert_eq!(value["SecretString"], stage.function.password(&secret));
    let (here, there) = (stage.describe(&secret).await, there("DescribeSecret").await);
    assert_eq!(here["VersionIdsToStages"], there["VersionIdsToStages"]);
}
