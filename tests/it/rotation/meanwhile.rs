//! What happens to a rotation when its secret is changed under its hands: it ends, and never says that
//! it succeeded.
use super::{Fault, Stage};
use crate::support::token;
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

/// Begins a rotation and stops it in its second step, does `meanwhile`, and lets it go on.
async fn during(name: &str, meanwhile: impl AsyncFn(&Stage, &str)) -> (Stage, String) {
    let stage = Stage::new().await;
    let secret = stage.secret(name).await;
    let go = Arc::new(Notify::new());
    stage.function.fault(Step::SetSecret, Fault::Waits(go.clone()));
    stage.rotate(&secret, 1).await;
    let changes = async {
        stage.function.stuck.notified().await;
        meanwhile(&stage, &secret).await;
        go.notify_one();
    };
    tokio::join!(stage.scheduler.sweep(), changes);
    assert_eq!(stage.function.steps(&secret), "cs");
    stage.after(60).await;
    assert!(stage.events("RotationSucceeded").is_empty());
    (stage, secret)
}

async fn ended(stage: &Stage, secret: &str, outcome: Outcome) {
    assert_eq!(stage.function.steps(secret), "cs");
    assert!(stage.run(secret).await.is_none());
    let history = stage.history(secret).await;
    assert_eq!((history.len(), history[0].outcome), (1, outcome));
    assert_eq!(stage.describe(secret).await["LastRotatedDate"], Value::Null);
}

#[tokio::test]
async fn cancelled() {
    let (stage, secret) = during("db", async |stage, secret| {
        let answer = stage.call("CancelRotateSecret", json!({"SecretId": secret})).await;
        assert_eq!(answer["VersionId"], token(1));
    })
    .await;
    ended(&stage, &secret, Outcome::Cancelled).await;
    // The labels stay.
    let described = stage.describe(&secret).await;
    assert_eq!(described["VersionIdsToStages"][token(1)], json!(["AWSPENDING"]));
}

#[tokio::test]
async fn deleted_later() {
    let (stage, secret) = during("db", async |stage, secret| {
        stage.call("DeleteSecret", json!({"SecretId": secret})).await;
    })
    .await;
    assert_eq!(stage.function.steps(&secret), "cs");
    assert!(stage.run(&secret).await.is_none());
    assert_eq!(stage.history(&secret).await[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn deleted_now_and_made_anew() {
    let (stage, secret) = during("db", async |stage, secret| {
        let body = json!({"SecretId": secret, "ForceDeleteWithoutRecovery": true});
        stage.call("DeleteSecret", body).await;
        stage.secret("db").await;
    })
    .await;
    assert_eq!(stage.function.steps(&secret), "cs");
    let again = stage.call("DescribeSecret", json!({"SecretId": "db"})).await;
    assert_eq!(again["VersionIdsToStages"], json!({token(0): ["AWSCURRENT"]}));
    let rows = stage.world.server.store.begin();
    let left = rows.list_all::<claviger::secrets::rotation::Run>(10).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn another_value_put() {
    let (stage, secret) = during("db", async |stage, secret| {
        let body = json!({
            "SecretId": secret, "SecretString": "by hand", "ClientRequestToken": token(7),
        });
        stage.call("PutSecretValue", body).await;
    })
    .await;
    ended(&stage, &secret, Outcome::Abandoned).await;
    assert_eq!(stage.events("RotationAbandoned").len(), 1);
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), "by hand");
    let described = stage.describe(&secret).await;
    assert!(!described["VersionIdsToStages"].to_string().contains("AWSPENDING"), "{described}");
}

#[tokio::test]
async fn the_pending_label_taken_away() {
    let (stage, secret) = during("db", async |stage, secret| {
        let body = json!({
            "SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": token(1),
        });
        stage.call("UpdateSecretVersionStage", body).await;
    })
    .await;
    ended(&stage, &secret, Outcome::Abandoned).await;
    assert_eq!(stage.events("RotationAbandoned").len(), 1);
}

/// Of a secret that was deleted while its rotation waited for the next attempt, nothing is asked.
#[tokio::test]
async fn deleted_between_two_attempts() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    let passing = Failure::passing("the database is not there");
    stage.function.fault(Step::SetSecret, Fault::Fails(passing));
    stage.rotate(&secret, 1).await;
    stage.scheduler.sweep().await;
    stage.call("DeleteSecret", json!({"SecretId": secret})).await;
    stage.after(10).await;
    ended(&stage, &secret, Outcome::Cancelled).await;
}
