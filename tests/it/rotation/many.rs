//! Many secrets at once, and two schedulers on one store.
use super::Stage;
use claviger::clock::Clock;
use claviger::secrets::Secret;
use claviger::secrets::rotation::{Outcome, Step, runs};
use serde_json::json;
use std::collections::BTreeMap;

const SECRETS: usize = 1000;

/// Ends the trials that RotateSecret began, without a thousand calls of the function: what one of those
/// does, [`super::trials`] shows.
async fn conclude_trials(stage: &Stage) {
    let (store, now) = (&stage.world.server.store, stage.world.clock.now());
    let (trials, _) = runs(&store.begin(), None, SECRETS + 1).await.unwrap();
    assert_eq!(trials.len(), SECRETS);
    for trial in trials {
        let mut tx = store.begin();
        let secret = Secret::load(&mut tx, &trial.account, &trial.region, &trial.name).await;
        let secret = secret.unwrap().unwrap();
        trial.conclude(&mut tx, &secret, Outcome::Succeeded, now).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_that_are_due_are_rotated_once_each_by_two_schedulers() {
    let stage = Stage::new().await;
    let mut secrets = Vec::new();
    for n in 0..SECRETS {
        let secret = stage.secret(&format!("db/{n}")).await;
        let rules = json!({"ScheduleExpression": "cron(0 2 * * ? *)"});
        let more = json!({"RotationRules": rules, "RotateImmediately": false});
        stage.rotate_with(&secret, 1, more).await;
        secrets.push(secret);
    }
    conclude_trials(&stage).await;
    let other = stage.node("two");
    tokio::join!(stage.scheduler.sweep(), other.sweep());
    assert_eq!(stage.function.calls(), [], "too soon");
    stage.world.clock.advance(2 * 3600);
    // What one of them left to the other is done at its next look.
    for _ in 0..3 {
        tokio::join!(stage.scheduler.sweep(), other.sweep());
    }
    let mut counts: BTreeMap<(String, Step), usize> = BTreeMap::new();
    for call in stage.function.calls() {
        *counts.entry(call).or_default() += 1;
    }
    assert_eq!(counts.len(), SECRETS * Step::ALL.len());
    assert!(counts.values().all(|count| *count == 1), "{counts:#?}");
    assert_eq!(stage.events("RotationStarted").len(), SECRETS);
    assert_eq!(stage.events("RotationSucceeded").len(), SECRETS);
    for secret in secrets.iter().step_by(37) {
        let current = stage.value(secret, "AWSCURRENT").await.unwrap();
        assert_eq!(stage.function.password(secret), current);
        assert_ne!(current, "first");
    }
}
