//! A scheduler that goes away in the middle of a step, and those that take over. The value is in the
//! pending version before the database has it, so that at no moment the database has a password that
//! nobody knows.
use super::{Fault, Stage};
use crate::support::token;
use claviger::rotation::Failure;
use claviger::secrets::rotation::{Outcome, Step};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Notify;

impl Stage {
    /// The password that the database has can be read: it is the current version's, or the pending one's.
    async fn assert_password_known(&self, secret: &str) {
        let password = self.function.password(secret);
        let current = self.value(secret, "AWSCURRENT").await;
        let pending = self.value(secret, "AWSPENDING").await;
        assert!([current, pending].contains(&Some(password)));
    }

    /// Drops the scheduler's work in the middle of a step.
    async fn crash_in(&self, step: Step, fault: Fault) {
        self.function.fault(step, fault);
        tokio::select! {
            () = self.scheduler.sweep() => panic!("it did not get stuck"),
            () = self.function.stuck.notified() => {}
        }
        forgotten().await;
    }
}

/// What was dropped ends when the runtime comes to it.
async fn forgotten() {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}

#[tokio::test]
async fn the_same_node_goes_on_at_once_wherever_it_crashed() {
    for step in Step::ALL {
        for fault in [Fault::HangsBefore, Fault::HangsAfter] {
            let stage = Stage::new().await;
            let secret = stage.secret("db").await;
            stage.rotate(&secret, 1).await;
            stage.crash_in(step, fault.clone()).await;
            stage.assert_password_known(&secret).await;
            assert_eq!(stage.run(&secret).await.unwrap().step, step);
            // What was done before is not done again, and the step that was struck is.
            stage.node("one").sweep().await;
            let struck = step.name().chars().next().unwrap().to_string();
            let wanted = "cstf".replace(&struck, &struck.repeat(2));
            assert_eq!(stage.function.steps(&secret), wanted, "{step:?} {fault:?}");
            stage.assert_rotated(&secret, 1).await;
            assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationSucceeded"]);
        }
    }
}

#[tokio::test]
async fn crashing_in_every_step_loses_nothing() {
    for fault in [Fault::HangsBefore, Fault::HangsAfter] {
        let stage = Stage::new().await;
        let secret = stage.secret("db").await;
        stage.rotate(&secret, 1).await;
        for (n, step) in Step::ALL.into_iter().enumerate() {
            // A run that is struck again waits.
            if n > 1 {
                stage.scheduler.sweep().await;
                stage.world.advance(1800).await;
            }
            stage.crash_in(step, fault.clone()).await;
            stage.assert_password_known(&secret).await;
        }
        stage.scheduler.sweep().await;
        stage.after(1800).await;
        stage.assert_rotated(&secret, 1).await;
    }
}

/// What a function talks to may make the whole server end, again and again.
#[tokio::test]
async fn a_run_that_ends_the_server_each_time_is_given_up() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.crash_in(Step::SetSecret, Fault::HangsBefore).await;
    // At once after the first time,
    stage.crash_in(Step::SetSecret, Fault::HangsBefore).await;
    assert_eq!(stage.function.steps(&secret), "css");
    // and later and later after the others.
    for (n, wait) in (2..).zip([30, 60, 300, 600, 1800, 1800]) {
        stage.node("one").sweep().await;
        let run = stage.run(&secret).await.unwrap();
        assert_eq!((run.failures, run.holder.as_deref()), (n, None));
        let before = stage.function.steps(&secret);
        stage.after(wait - 1).await;
        assert_eq!(stage.function.steps(&secret), before);
        stage.world.advance(1).await;
        stage.crash_in(Step::SetSecret, Fault::HangsBefore).await;
        assert_eq!(stage.function.steps(&secret), before + "cs");
    }
    stage.node("one").sweep().await;
    assert!(stage.run(&secret).await.is_none());
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationFailed"]);
    let run = stage.history(&secret).await.remove(0);
    assert_eq!(run.outcome, Outcome::Failed);
    let struck = run.attempts.iter().filter_map(|attempt| attempt.error.as_deref());
    let text = "the server stopped in this step, or was cut off";
    assert_eq!(struck.collect::<Vec<_>>(), [text; 8]);
    assert_eq!(stage.value(&secret, "AWSCURRENT").await.unwrap(), "first");
    stage.after(3600).await;
    assert_eq!(stage.rotation_events().len(), 2);
}

#[tokio::test]
async fn a_lost_answer_loses_no_password() {
    for step in Step::ALL {
        let stage = Stage::new().await;
        let secret = stage.secret("db").await;
        stage.function.fault(step, Fault::Lost);
        stage.rotate(&secret, 1).await;
        stage.scheduler.sweep().await;
        stage.assert_password_known(&secret).await;
        stage.after(10).await;
        stage.assert_rotated(&secret, 1).await;
    }
}

#[tokio::test]
async fn another_node_waits_until_the_lease_is_over() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    stage.crash_in(Step::SetSecret, Fault::HangsAfter).await;
    let other = stage.node("two");
    other.sweep().await;
    // A second of time-out, five of grace, thirty of margin.
    stage.world.advance(35).await;
    other.sweep().await;
    assert_eq!(stage.function.steps(&secret), "cs");
    stage.world.advance(1).await;
    other.sweep().await;
    assert_eq!(stage.function.steps(&secret), "csstf");
    stage.assert_rotated(&secret, 1).await;
}

/// Of two who hold a lease one after the other, the first one, when it wakes up, writes nothing.
#[tokio::test]
async fn who_comes_late_writes_nothing() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    let go = Arc::new(Notify::new());
    stage.function.fault(Step::SetSecret, Fault::Waits(go.clone()));
    stage.function.fault(Step::SetSecret, Fault::HangsAfter);
    let other = stage.node("two");
    let takes_over = async {
        stage.function.stuck.notified().await;
        stage.world.advance(60).await;
        tokio::select! {
            () = other.sweep() => panic!("it did not get stuck"),
            () = async {
                stage.function.stuck.notified().await;
                let before = stage.run(&secret).await.unwrap();
                go.notify_one();
                // The first one's answer is there; it finds the other's number in the row.
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                let after = stage.run(&secret).await.unwrap();
                assert_eq!((before.fence, before.holder.as_deref()), (2, Some("two")));
                assert_eq!((after.fence, after.step, after.attempts.len()), (2, Step::SetSecret, 2));
            } => {}
        }
    };
    tokio::join!(stage.scheduler.sweep(), takes_over);
    forgotten().await;
    other.sweep().await;
    stage.world.advance(30).await;
    other.sweep().await;
    stage.assert_rotated(&secret, 1).await;
    let history = stage.history(&secret).await;
    let broken = history[0].attempts.iter().filter(|attempt| attempt.error.is_some()).count();
    assert_eq!((history[0].attempts.len(), broken), (7, 2));
    assert_eq!(stage.rotation_events(), ["RotationStarted", "RotationSucceeded"]);
}

/// Nor does one whose run has ended, where the next run makes the same version and counts its leases anew.
#[tokio::test]
async fn who_comes_from_an_earlier_run_writes_nothing_into_the_next() {
    let stage = Stage::new().await;
    let secret = stage.secret("db").await;
    stage.rotate(&secret, 1).await;
    let go = Arc::new(Notify::new());
    stage.function.fault(Step::SetSecret, Fault::Waits(go.clone()));
    let other = stage.node("two");
    let replaces = async {
        stage.function.stuck.notified().await;
        let held = stage.run(&secret).await.unwrap();
        stage.world.advance(60).await;
        stage.function.fault(Step::SetSecret, Fault::Fails(Failure::lasting("no such user")));
        other.sweep().await;
        assert!(stage.run(&secret).await.is_none());
        // It is refused, and has the rotation tried again.
        let body = json!({"SecretId": secret, "ClientRequestToken": token(2)});
        assert!(stage.world.call("secretsmanager", "RotateSecret", body).await.is_err());
        stage.function.fault(Step::CreateSecret, Fault::HangsBefore);
        tokio::select! {
            () = other.sweep() => panic!("it did not get stuck"),
            () = stage.function.stuck.notified() => {}
        }
        let next = stage.run(&secret).await.unwrap();
        assert_eq!((&next.token, next.fence), (&held.token, held.fence));
        go.notify_one();
        next
    };
    let ((), next) = tokio::join!(stage.scheduler.sweep(), replaces);
    let now = stage.run(&secret).await.unwrap();
    assert_eq!((now.step, now.attempts.len()), (Step::CreateSecret, 0));
    assert_eq!((now.holder.as_deref(), now.until), (Some("two"), next.until));
    other.sweep().await;
    stage.assert_rotated(&secret, 1).await;
}
