//! `RotateImmediately=false`: the function is tested, and nothing is changed.
use super::{Fault, Stage};
use crate::support::token;
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use serde_json::json;

#[tokio::test]
async fn only_the_test_is_done_and_its_version_goes() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate_with(&secret, 1, json!({"RotateImmediately": false})).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.function.steps(&secret), "t");
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"], json!({token(0): ["AWSCURRENT"]}));
    assert_eq!(
        (&described["RotationEnabled"], &described["LastRotatedDate"]),
        (&json!(true), &json!(null))
    );
    assert!(described["NextRotationDate"].is_number(), "{described}");
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), "first");
    assert_eq!(stage.rotation_events(), ["TestRotationStarted", "TestRotationSucceeded"]);
    let history = stage.history(&secret).await;
    assert_eq!((history.len(), history[0].outcome), (1, Outcome::Succeeded));
    assert!(stage.run(&secret).await.is_none());
}

#[tokio::test]
async fn a_test_that_fails_leaves_nothing_behind() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.function.fault(Step::TestSecret, Fault::Fails(Failure::lasting("no such user")));
    stage.rotate_with(&secret, 1, json!({"RotateImmediately": false})).await;
    stage.scheduler.sweep().await;
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"], json!({token(0): ["AWSCURRENT"]}));
    assert_eq!(stage.rotation_events(), ["TestRotationStarted", "TestRotationFailed"]);
    // A rotation can begin at once.
    stage.rotate(&secret, 2).await;
    stage.scheduler.sweep().await;
    stage.assert_rotated(&secret, 2).await;
}

#[tokio::test]
async fn a_test_in_which_the_answer_is_lost_is_done_again() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.function.fault(Step::TestSecret, Fault::Lost);
    stage.rotate_with(&secret, 1, json!({"RotateImmediately": false})).await;
    stage.scheduler.sweep().await;
    assert_eq!(stage.rotation_events(), ["TestRotationStarted"]);
    stage.after(10).await;
    assert_eq!(stage.function.steps(&secret), "tt");
    assert_eq!(stage.rotation_events(), ["TestRotationStarted", "TestRotationSucceeded"]);
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"], json!({token(0): ["AWSCURRENT"]}));
}
