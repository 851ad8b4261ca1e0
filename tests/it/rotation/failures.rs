//! Rotations that fail: what is tried again, when, how often, and what is left behind.
use super::{Fault, Stage, function_arn};
use crate::support::{failed, token};
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Run, Step};
use serde_json::json;

/// The seconds between the attempts of a run.
const BACK_OFF: [i64; 7] = [10, 30, 60, 300, 600, 1800, 1800];

fn passing() -> Fault {
    Fault::Fails(Failure::passing("the database is not there"))
}

#[tokio::test]
async fn the_whole_is_tried_again_with_the_same_version() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.function.fault(Step::TestSecret, passing());
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cst");
    let pending = stage.value(&secret, "AWSPENDING").await.unwrap();
    stage.after(9).await;
    assert_eq!(stage.function.steps(&secret), "cst", "too soon");
    stage.after(1).await;
    assert_eq!(stage.function.steps(&secret), "cstcstf");
    stage.assert_rotated(&secret, 1).await;
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), pending);
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationSucceeded"]);
    let history = stage.history(&secret).await;
    let errors: Vec<_> = history[0].attempts.iter().map(|a| a.error.as_deref()).collect();
    assert_eq!(errors.iter().flatten().collect::<Vec<_>>(), [&"the database is not there"]);
    assert_eq!((errors.len(), errors[2]), (7, Some("the database is not there")));
}

#[tokio::test]
async fn after_eight_attempts_it_has_failed_and_the_version_stays_pending() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    (0..8).for_each(|_| stage.function.fault(Step::SetSecret, passing()));
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    for (n, wait) in BACK_OFF.into_iter().enumerate() {
        assert_eq!(stage.run(&secret).await.unwrap().failures, u32::try_from(n).unwrap() + 1);
        stage.after(wait - 1).await;
        assert_eq!(stage.function.steps(&secret).len(), 2 * (n + 1));
        stage.after(1).await;
    }
    assert_eq!(stage.function.steps(&secret), "cs".repeat(8));
    assert!(stage.run(&secret).await.is_none());
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationFailed"]);
    let event = stage.events("RotationFailed").remove(0);
    let text = format!("Error when executing lambda {} during setSecret step", function_arn());
    assert_eq!(event.error_message.as_deref(), Some(&*text));
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"][token(1)], json!(["AWSPENDING"]));
    assert_eq!(described["LastRotatedDate"], json!(null));
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), "first");
    assert_eq!(stage.function.password(&secret), "first");
    assert_eq!(stage.history(&secret).await[0].outcome, Outcome::Failed);
    assert!(
        stage.world.server.metrics.text().contains("rotations_ended_total{outcome=\"failed\"} 1")
    );
}

#[tokio::test]
async fn what_no_attempt_would_change_is_not_tried_again() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let lasting = Failure { log: Some("the log".into()), ..Failure::lasting("wrong engine") };
    stage.function.fault(Step::CreateSecret, Fault::Fails(lasting));
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationFailed"]);
    let history = stage.history(&secret).await;
    let attempt = &history[0].attempts[0];
    assert_eq!(attempt.error.as_deref(), Some("wrong engine"));
    assert_eq!(attempt.log.as_deref(), Some("the log"));
}

/// RotateSecret refuses, and the rotation that was not complete is tried again with its version.
#[tokio::test]
async fn a_refused_rotate_secret_has_it_tried_again_at_once() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let refused = async || {
        let body = json!({"SecretId": secret, "ClientRequestToken": token(2)});
        let refused = stage.world.call("secretsmanager", "RotateSecret", body).await;
        let text = "A previous rotation isn't complete. That rotation will be reattempted.";
        assert_eq!(refused, Err(failed("InvalidRequestException", text)));
    };
    // One that waits for its next attempt,
    stage.function.fault(Step::TestSecret, passing());
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    refused().await;
    stage.function.fault(Step::TestSecret, Fault::Fails(Failure::lasting("no")));
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cstcst");
    // and one that has failed.
    assert!(stage.run(&secret).await.is_none());
    refused().await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cstcstcstf");
    stage.assert_rotated(&secret, 1).await;
}

#[tokio::test]
async fn a_function_that_breaks_off_is_a_failure_like_others() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.function.fault(Step::SetSecret, Fault::Panics);
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    let attempt = stage.run(&secret).await.unwrap().attempts.last().cloned().unwrap();
    assert_eq!(attempt.error.as_deref(), Some("the function broke off"));
    stage.after(10).await;
    stage.assert_rotated(&secret, 1).await;
}

/// Its time-out is a second; the scheduler gives it five more.
#[tokio::test]
async fn a_function_that_never_ends_is_cut_off() {
    let stage = Stage::new().await;
    let (hangs, other) = (stage.secret("db").await, stage.secret("other").await);
    stage.function.fault(Step::TestSecret, Fault::HangsBefore);
    stage.rotate(&hangs, 1).await;
    stage.scheduler.sweep().await;
    let attempt = stage.run(&hangs).await.unwrap().attempts.last().cloned().unwrap();
    let text = "the function did not end within 1 seconds";
    assert_eq!(attempt.error.as_deref(), Some(text));
    stage.rotate(&other, 1).await;
    stage.after(10).await;
    stage.assert_rotated(&hangs, 1).await;
    stage.assert_rotated(&other, 1).await;
}

#[tokio::test]
async fn a_function_that_says_it_is_done_must_be() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.function.fault(Step::FinishSecret, Fault::Lies);
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    let attempt = stage.run(&secret).await.unwrap().attempts.last().cloned().unwrap();
    assert!(attempt.error.unwrap().contains("AWSCURRENT is not on the new version"));
    assert!(stage.events("RotationSucceeded").is_empty());
    stage.after(10).await;
    stage.assert_rotated(&secret, 1).await;
}

/// A function may say anything, and much of it.
#[tokio::test]
async fn what_a_function_says_is_kept_in_bounds_and_out_of_the_events() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let said = format!("\u{1b}[2J\n{}", "hush".repeat(100_000));
    for _ in 0..8 {
        let failure = Failure { log: Some(said.clone()), ..Failure::passing(said.clone()) };
        stage.function.fault(Step::CreateSecret, Fault::Fails(failure));
    }
    stage.rotate(&secret, 1).await;
    for _ in 0..8 {
        stage.after(1800).await;
    }
    let history = stage.history(&secret).await;
    let attempts = &history[0].attempts;
    assert_eq!((attempts.len(), history[0].outcome), (8, Outcome::Failed));
    let size: usize = attempts.iter().map(|a| format!("{a:?}").len()).sum();
    assert!(size < 8 * 6000, "{size}");
    assert!(!serde_json::to_string(&stage.world.events()).unwrap().contains("hush"));
}

/// The operator took it out of the configuration while a rotation was under way.
#[tokio::test]
async fn a_function_that_is_no_longer_registered_fails_at_once() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    let run = stage.run(&secret).await.unwrap();
    let gone = format!("{}-gone", function_arn()).parse().unwrap();
    let mut tx = stage.world.server.store.begin();
    Run { function: gone, ..Run::clone(&run) }.put(&mut tx).unwrap();
    tx.commit().await.unwrap();
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "");
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationFailed"]);
    let history = stage.history(&secret).await;
    let error = history[0].attempts[0].error.as_deref();
    assert_eq!(error, Some("the function is not registered"));
}
