//! That whoever comes first in the order of rows keeps no other waiting.
use super::{Fault, Stage, function_arn};
use claviger::rotation::Failure;
use claviger::secrets::Secret;
use claviger::secrets::rotation::{Purpose, Run, Step, runs_round};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// More windows than are read at a time have come, and all of those wait for something.
#[tokio::test]
async fn windows_that_wait_keep_no_other_from_beginning() {
    const WAITING: usize = 120;
    let stage = Stage::new().await;
    stage.world.clock.advance(2 * 3600 - 5);
    let test = json!({
        "RotationRules": {"ScheduleExpression": "cron(0 2 * * ? *)"}, "RotateImmediately": false,
    });
    let mut waiting = Vec::new();
    for n in 0..WAITING {
        let secret = stage.secret(&format!("a/{n}")).await;
        stage.rotate_with(&secret, 1, test.clone()).await;
        let passing = Failure::passing("the database is not there");
        stage.function.fault(Step::TestSecret, Fault::Fails(passing));
        waiting.push(secret);
    }
    stage.scheduler.sweep().await;
    let last = stage.secret("z").await;
    stage.rotate_with(&last, 1, test).await;
    stage.scheduler.sweep().await;
    stage.after(5).await;
    assert!(waiting.iter().all(|secret| stage.function.steps(secret) == "t"));
    assert_eq!(stage.function.steps(&last), "tcstf");
}

/// The first ones are ready again and again; whoever searches goes on where it was, and round.
#[tokio::test]
async fn a_search_for_runs_comes_to_all_of_them() {
    const RUNS: usize = 1200;
    let stage = Stage::new().await;
    let arn = stage.secret("db").await;
    let stored = stage.stored(&arn).await;
    let (server, function) = (&stage.world.server, function_arn().parse().unwrap());
    for n in 0..RUNS {
        let mut tx = server.store.begin();
        let mut secret = Secret::clone(&stored);
        secret.name = format!("db{n:04}");
        secret.arn = arn.replace("secret:db", &format!("secret:{}", secret.name)).parse().unwrap();
        let (random, now) = (&*server.random, server.clock.now());
        Run::begin(&mut tx, &secret, &function, Purpose::Rotate, "t", random, now).unwrap();
        tx.commit().await.unwrap();
    }
    let names = |runs: &[Arc<Run>]| runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>();
    let tx = server.store.begin();
    let (mut from, mut seen) = (None, BTreeSet::new());
    for _ in 0..3 {
        let (found, next) = runs_round(&tx, from, 100, |_| true).await.unwrap();
        assert!(found.len() >= 100);
        seen.extend(names(&found));
        from = next;
    }
    assert_eq!(seen.len(), RUNS);
    // From the middle to the end, then from the beginning to the middle; each of them once.
    let (_, middle) = runs_round(&tx, None, 100, |_| true).await.unwrap();
    let middle = middle.unwrap();
    let (found, next) = runs_round(&tx, Some(middle.clone()), RUNS + 1, |_| true).await.unwrap();
    let found = names(&found);
    assert_eq!((found.len(), found.iter().collect::<BTreeSet<_>>().len()), (RUNS, RUNS));
    assert!(found[0] > middle.name && found.last() == Some(&middle.name) && next.is_none());
    let only = |run: &Run| run.name == "db0003";
    let (found, _) = runs_round(&tx, Some(middle), 100, only).await.unwrap();
    assert_eq!(names(&found), ["db0003"]);
}
