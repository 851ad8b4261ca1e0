//! A user whose one password is changed: by itself, or by an administrator.
use super::engine::BOTH;
use super::{Engine, Rotating};
use crate::support::failed;
use claviger::rotation::FailureKind;
use claviger::secrets::rotation::Step;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn the_password_is_another_one_and_the_old_one_is_no_good() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        let name = engine.user().await;
        let mut value = engine.value(&name, "first");
        value["team"] = json!("ours");
        let secret = rotating.secret("s", &value).await;
        let mut old = "first".to_owned();
        for _ in 0..3 {
            assert_eq!(rotating.rotate(&secret).await.unwrap(), Step::ALL);
            let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
            assert_eq!(username, name);
            assert_ne!(password, old);
            assert_eq!(password.len(), 32);
            assert!(engine.lets_in(&name, &password).await);
            assert!(!engine.lets_in(&name, &old).await);
            assert_eq!(rotating.login(&secret, "AWSPREVIOUS").await.1, old);
            assert!(!engine.log().contains(&password), "{engine:?} logged a password");
            old = password;
        }
        assert_eq!(rotating.value(&secret, "AWSCURRENT").await["team"], "ours");
    }
}

#[tokio::test]
async fn an_administrator_changes_it() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user-with-administrator").await;
        let name = engine.user().await;
        let mut value = engine.value(&name, "first");
        value["masterarn"] = json!(rotating.administrator(engine).await);
        let secret = rotating.secret("s", &value).await;
        assert_eq!(rotating.rotate(&secret).await.unwrap(), Step::ALL);
        let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
        assert!(engine.lets_in(&name, &password).await);
        assert!(!engine.lets_in(&name, "first").await);
        assert!(!engine.log().contains(&password), "{engine:?} logged a password");
    }
}

#[tokio::test]
async fn each_step_may_be_done_twice() {
    for strategy in ["single-user", "single-user-with-administrator"] {
        for engine in BOTH {
            let rotating = Rotating::with(strategy).await;
            rotating.twice();
            let name = engine.user().await;
            let mut value = engine.value(&name, "first");
            value["masterarn"] = json!(rotating.administrator(engine).await);
            let secret = rotating.secret("s", &value).await;
            assert_eq!(rotating.rotate(&secret).await.unwrap(), Step::ALL);
            let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
            assert!(engine.lets_in(&name, &password).await);
        }
    }
}

#[tokio::test]
async fn a_step_that_was_done_and_whose_answer_was_lost_loses_no_password() {
    for engine in BOTH {
        for done in 1..=Step::ALL.len() {
            let rotating = Rotating::with("single-user").await;
            let name = engine.user().await;
            let secret = rotating.secret("s", &engine.value(&name, "first")).await;
            let token = rotating.begin(&secret).await;
            // The scheduler begins again with the first step, with the same pending version.
            rotating.lose(1);
            for _ in 1..done {
                rotating.work_again().await.unwrap();
                rotating.lose(1);
            }
            rotating.lose(0);
            rotating.work_again().await.unwrap();
            let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
            assert!(engine.lets_in(&name, &password).await, "{engine:?} {done}");
            assert_eq!(rotating.labels(&secret).await[&token], json!(["AWSCURRENT"]));
        }
    }
}

/// A label that was moved by hand, with the database left behind.
#[tokio::test]
async fn the_previous_password_is_tried_too() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        let name = engine.user().await;
        let secret = rotating.secret("s", &engine.value(&name, "first")).await;
        let body = json!({
            "SecretId": secret,
            "SecretString": engine.value(&name, "never set").to_string(),
            "ClientRequestToken": rotating.token(),
        });
        rotating.call("PutSecretValue", body).await;
        rotating.rotate(&secret).await.unwrap();
        let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
        assert!(engine.lets_in(&name, &password).await);
    }
}

#[tokio::test]
async fn with_no_good_password_it_fails_for_good_and_changes_nothing() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        let name = engine.user().await;
        let secret = rotating.secret("s", &engine.value(&name, "wrong")).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Lasting);
        let text = "Unable to log into database with previous, current, or pending secret";
        assert_eq!(failure.message, text);
        assert_eq!(rotating.login(&secret, "AWSCURRENT").await.1, "wrong");
        assert!(engine.lets_in(&name, "first").await);
        // AWS: it is tried again, with the pending version that there is.
        let again = json!({
            "SecretId": secret, "ClientRequestToken": rotating.token(),
        });
        let error = rotating.world.call("secretsmanager", "RotateSecret", again).await.unwrap_err();
        let text = "A previous rotation isn't complete. That rotation will be reattempted.";
        assert_eq!(error, failed("InvalidRequestException", text));
    }
}

/// What single-user costs, and alternating-users does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_is_refused_now_and_then() {
    for engine in BOTH {
        let rotating = Arc::new(Rotating::with("single-user").await);
        let name = engine.user().await;
        let secret = rotating.secret("s", &engine.value(&name, "first")).await;
        let client = Client::start(&rotating, engine, &secret);
        // Between the database and the label there is a moment. It takes the client's luck to meet it.
        let mut rotations = 0;
        while rotations < 5 || (client.refused() == 0 && rotations < 100) {
            let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
            client.read_anew().await;
            rotating.rotate(&secret).await.unwrap();
            rotations += 1;
            assert!(!engine.lets_in(&username, &password).await);
        }
        let (logins, refused) = client.stop().await;
        assert!(refused > 0, "{engine:?}: {refused} of {logins}");
    }
}

/// Connects again and again with what it last read as the current value.
pub(super) struct Client {
    stop: Arc<AtomicBool>,
    /// Values read, logins, refused ones.
    counts: Arc<[AtomicUsize; 3]>,
    task: tokio::task::JoinHandle<()>,
}

/// How often one value is used before it is read anew: as a pool of connections does.
const USES: usize = 3;

impl Client {
    pub(super) fn start(rotating: &Arc<Rotating>, engine: Engine, secret: &str) -> Self {
        let (stop, counts) = (Arc::<AtomicBool>::default(), Arc::<[AtomicUsize; 3]>::default());
        let task = tokio::spawn({
            let (stop, counts) = (stop.clone(), counts.clone());
            let (rotating, secret) = (rotating.clone(), secret.to_owned());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
                    counts[0].fetch_add(1, Ordering::Relaxed);
                    for _ in 0..USES {
                        let refused = !engine.lets_in(&username, &password).await;
                        counts[1].fetch_add(1, Ordering::Relaxed);
                        counts[2].fetch_add(usize::from(refused), Ordering::Relaxed);
                    }
                }
            }
        });
        Self { stop, counts, task }
    }

    /// Waits until nothing is in use that was read before: a value is good for two rotations, no more.
    pub(super) async fn read_anew(&self) {
        let before = self.counts[0].load(Ordering::Relaxed);
        while self.counts[0].load(Ordering::Relaxed) < before + 2 {
            assert!(!self.task.is_finished(), "the client failed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) fn refused(&self) -> usize {
        self.counts[2].load(Ordering::Relaxed)
    }

    /// How many logins there were, and how many of them were refused.
    pub(super) async fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        (self.counts[1].load(Ordering::Relaxed), self.counts[2].load(Ordering::Relaxed))
    }
}

/// Ten rotations under a client that reconnects, and is never refused; nor is who read the value just
/// before a rotation.
pub(super) async fn nobody_is_refused(rotating: &Arc<Rotating>, engine: Engine, secret: &str) {
    let client = Client::start(rotating, engine, secret);
    for _ in 0..10 {
        client.read_anew().await;
        let (username, password) = rotating.login(secret, "AWSCURRENT").await;
        rotating.rotate(secret).await.unwrap();
        assert_ne!(rotating.login(secret, "AWSCURRENT").await.1, password);
        assert!(engine.lets_in(&username, &password).await, "{engine:?}");
    }
    let (logins, refused) = client.stop().await;
    assert!(logins >= 60, "{engine:?}: {logins}");
    assert_eq!(refused, 0, "{engine:?}: of {logins}");
}
