//! Rotations by schedule: begun when their window comes, noticed when it passes without one.
use super::{Fault, Stage};
use crate::support::token;
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use serde_json::{Value, json};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A secret that is rotated daily between two and four in the morning, tried once; it is midnight.
async fn daily(stage: &Stage) -> String {
    let secret = stage.secret("db").await;
    let rules = json!({"ScheduleExpression": "cron(0 2 * * ? *)", "Duration": "2h"});
    let more = json!({"RotationRules": rules, "RotateImmediately": false});
    stage.rotate_with(&secret, 1, more).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "t");
    secret
}

fn steps_of(stage: &Stage, secret: &str) -> String {
    stage.function.steps(secret)[1..].to_owned()
}

fn last_rotated(described: &Value) -> Option<i64> {
    described["LastRotatedDate"].as_f64().map(|at| at as i64)
}

#[tokio::test]
async fn it_begins_with_its_window_and_once() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.after(2 * HOUR - 1).await;
    assert_eq!(steps_of(&stage, &secret), "");
    stage.after(1).await;
    assert_eq!(steps_of(&stage, &secret), "cstf");
    let now = stage.world.server.clock.now().secs();
    let described = stage.describe(&secret).await;
    assert_eq!(last_rotated(&described), Some(now));
    // The end of tomorrow's window.
    let next = described["NextRotationDate"].as_f64().unwrap() as i64;
    assert!((now + DAY + 2 * HOUR - 1..=now + DAY + 2 * HOUR).contains(&next), "{described}");
    for _ in 0..4 {
        stage.after(HOUR).await;
    }
    assert_eq!(steps_of(&stage, &secret), "cstf");
    stage.after(DAY - 4 * HOUR).await;
    assert_eq!(steps_of(&stage, &secret), "cstfcstf");
    assert!(stage.events("RotationMissed").is_empty());
    let current = stage.value(&secret, "AWSCURRENT").await.unwrap();
    assert_eq!(stage.function.password(&secret), current);
}

#[tokio::test]
async fn a_server_that_was_down_begins_late_if_the_window_is_still_open() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.after(2 * HOUR + 5000).await;
    assert_eq!(steps_of(&stage, &secret), "cstf");
    assert!(stage.events("RotationMissed").is_empty());
}

#[tokio::test]
async fn a_window_that_passed_is_missed_once_and_the_next_one_is_used() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.after(5 * HOUR).await;
    stage.after(1).await;
    assert_eq!(steps_of(&stage, &secret), "");
    let missed = stage.events("RotationMissed");
    assert_eq!(missed.len(), 1);
    assert_eq!(missed[0].additional_event_data, Some(json!({"SecretId": secret})));
    let overdue = |n| {
        let text = stage.world.server.metrics.text();
        text.lines().any(|line| line == format!("claviger_rotation_overdue {n}"))
    };
    assert!(overdue(1));
    stage.after(21 * HOUR + 1).await;
    assert_eq!(steps_of(&stage, &secret), "cstf");
    stage.scheduler.sweep().await;
    assert!(overdue(0));
    assert_eq!(stage.events("RotationMissed").len(), 1);
}

/// A month without the server is one gap, and the window that is open at its end is used.
#[tokio::test]
async fn many_windows_that_passed_are_one_event() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.after(30 * DAY + 3 * HOUR).await;
    assert_eq!(stage.events("RotationMissed").len(), 1);
    stage.scheduler.sweep().await;
    assert_eq!(steps_of(&stage, &secret), "cstf");
}

#[tokio::test]
async fn a_failed_window_is_missed_at_its_end_and_the_next_goes_on_with_the_version() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.function.fault(Step::SetSecret, Fault::Fails(Failure::lasting("no such user")));
    stage.after(2 * HOUR).await;
    assert_eq!(stage.rotation_events()[2..], ["RotationStarted", "RotationFailed"]);
    let pending = stage.value(&secret, "AWSPENDING").await.unwrap();
    stage.after(2 * HOUR - 1).await;
    assert!(stage.events("RotationMissed").is_empty(), "the window is still open");
    stage.after(1).await;
    assert_eq!(stage.events("RotationMissed").len(), 1);
    stage.after(DAY - 2 * HOUR).await;
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), pending);
    assert_eq!(stage.function.password(&secret), pending);
    let history = stage.history(&secret).await;
    let outcomes: Vec<Outcome> = history.iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, [Outcome::Succeeded, Outcome::Failed, Outcome::Succeeded]);
    assert_eq!(history[1].token, history[2].token);
}

#[tokio::test]
async fn nothing_is_tried_again_after_the_windows_end() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    let passing = || Fault::Fails(Failure::passing("the database is not there"));
    (0..9).for_each(|_| stage.function.fault(Step::CreateSecret, passing()));
    stage.after(4 * HOUR - 15).await;
    assert_eq!(steps_of(&stage, &secret), "c");
    stage.after(10).await;
    // The third attempt would come half a minute later.
    assert_eq!(steps_of(&stage, &secret), "cc");
    assert_eq!(stage.history(&secret).await.pop().unwrap().outcome, Outcome::Failed);
    stage.after(HOUR).await;
    assert_eq!(steps_of(&stage, &secret), "cc");
    assert_eq!(stage.events("RotationMissed").len(), 1);
}

/// What was asked for in the meantime counts for the window.
#[tokio::test]
async fn a_rotation_by_hand_after_a_failure_makes_it_not_missed() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.function.fault(Step::SetSecret, Fault::Fails(Failure::lasting("no such user")));
    stage.after(2 * HOUR).await;
    let body = json!({"SecretId": secret, "ClientRequestToken": token(9)});
    assert!(stage.world.call("secretsmanager", "RotateSecret", body).await.is_err());
    stage.after(60).await;
    assert_eq!(steps_of(&stage, &secret), "cscstf");
    stage.after(3 * HOUR).await;
    assert!(stage.events("RotationMissed").is_empty());
}

#[tokio::test]
async fn what_is_cancelled_or_deleted_is_neither_begun_nor_missed() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.call("CancelRotateSecret", json!({"SecretId": secret})).await;
    stage.after(3 * HOUR).await;
    assert_eq!(steps_of(&stage, &secret), "");
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    let body = json!({"SecretId": secret, "RecoveryWindowInDays": 7});
    stage.call("DeleteSecret", body).await;
    stage.after(5 * HOUR).await;
    assert_eq!(steps_of(&stage, &secret), "");
    assert!(stage.events("RotationMissed").is_empty());
    // Restored, it is rotated again when it is time.
    stage.call("RestoreSecret", json!({"SecretId": secret})).await;
    for _ in 0..24 {
        stage.after(HOUR).await;
    }
    assert_eq!(steps_of(&stage, &secret), "cstf");
}

#[tokio::test]
async fn a_window_that_comes_during_a_test_waits_for_its_end() {
    let stage = Stage::new().await;
    let secret = daily(&stage).await;
    stage.world.clock.advance(2 * HOUR - 5);
    let passing = Fault::Fails(Failure::passing("the database is not there"));
    stage.function.fault(Step::TestSecret, passing);
    let rules = json!({"ScheduleExpression": "cron(0 2 * * ? *)", "Duration": "2h"});
    let more = json!({"RotationRules": rules, "RotateImmediately": false});
    stage.rotate_with(&secret, 2, more).await;
    stage.scheduler.sweep().await;
    stage.after(5).await;
    assert_eq!(steps_of(&stage, &secret), "t", "the window is open");
    stage.after(5).await;
    assert_eq!(steps_of(&stage, &secret), "tt");
    stage.after(1).await;
    assert_eq!(steps_of(&stage, &secret), "ttcstf");
}
