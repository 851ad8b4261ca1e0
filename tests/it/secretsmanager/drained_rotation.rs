//! A function with `drain`: its rotations stay open until nobody needs the old version, or for so long.
use super::cross_account::{key_policy, replica_of};
use super::drain::drain;
use super::model::{Turn, function_arn, rotating_world};
use crate::support::{failed, token};
use crate::world::{OTHER_ACCOUNT, Someone, World, allow};
use claviger::audit::Event as Logged;
use claviger::functions::Function;
use claviger::rotation::{Event, Failure, Invoke, Scheduler};
use claviger::types::Arn;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Notes for which versions the one before them was taken away.
#[derive(Debug)]
struct Counting {
    turn: Turn,
    discarded: Mutex<Vec<String>>,
    /// Whether it never comes back from that.
    hangs: AtomicBool,
    stuck: Notify,
}

#[async_trait::async_trait]
impl Invoke for Counting {
    async fn invoke(&self, function: &Function, event: &Event) -> Result<Option<String>, Failure> {
        self.turn.invoke(function, event).await
    }
    async fn discard_old(&self, _: &Function, _: &Arn, token: &str) -> Result<(), Failure> {
        self.discarded.lock().unwrap().push(token.into());
        if self.hangs.load(Ordering::SeqCst) {
            self.stuck.notify_one();
            std::future::pending().await
        }
        Ok(())
    }
}

struct Stage {
    world: World,
    function: Arc<Counting>,
    app: Someone,
}

impl Stage {
    async fn new() -> Self {
        Self::with("drain = 600").await
    }

    async fn with(drain: &str) -> Self {
        let world = rotating_world(drain).await;
        world.secret("db", "one").await;
        let app = world.user("app", allow(&["secretsmanager:*"])).await;
        let turn = Turn(world.server.clone());
        let function = Arc::new(Counting {
            turn,
            discarded: Mutex::default(),
            hangs: AtomicBool::new(false),
            stuck: Notify::new(),
        });
        Self { world, function, app }
    }

    fn scheduler(&self, node: &str) -> Scheduler {
        Scheduler::new(self.world.server.clone(), node.into(), self.function.clone())
    }

    async fn read(&self) {
        let body = json!({"SecretId": "db"});
        self.world.call_as(&self.app, "secretsmanager", "GetSecretValue", body).await.unwrap();
    }

    async fn rotate(&self, n: usize) {
        let body = json!({"SecretId": "db", "ClientRequestToken": token(n),
            "RotationLambdaARN": function_arn()});
        self.world.call("secretsmanager", "RotateSecret", body).await.unwrap();
    }

    /// The same, and from then on daily between two and three in the morning.
    async fn rotate_daily(&self, n: usize) {
        let body = json!({"SecretId": "db", "ClientRequestToken": token(n),
            "RotationLambdaARN": function_arn(),
            "RotationRules": {"ScheduleExpression": "cron(0 2 * * ? *)", "Duration": "1h"}});
        self.world.call("secretsmanager", "RotateSecret", body).await.unwrap();
    }

    async fn after(&self, seconds: i64, scheduler: &Scheduler) {
        self.world.advance(seconds).await;
        scheduler.sweep().await;
    }

    async fn last_rotated(&self) -> Value {
        self.world.describe("db").await["LastRotatedDate"].clone()
    }

    fn discarded(&self) -> usize {
        self.function.discarded.lock().unwrap().len()
    }

    fn events(&self, name: &str) -> Vec<Logged> {
        self.world.events().into_iter().filter(|event| event.event_name == name).collect()
    }
}

#[tokio::test]
async fn a_rotation_ends_when_its_readers_have_moved_on() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.read().await;
    stage.rotate(2).await;
    stage.after(1, &scheduler).await;
    // The new value is the current one, and the rotation is not over.
    assert_eq!(stage.world.value("db").await, "rotated");
    assert_eq!((stage.last_rotated().await, stage.discarded()), (Value::Null, 0));
    let again = json!({"SecretId": "db", "ClientRequestToken": token(3)});
    let text = "A previous rotation isn't complete. That rotation will be reattempted.";
    let refused = stage.world.sm_fails("RotateSecret", again).await;
    assert_eq!(refused, failed("InvalidRequestException", text));
    stage.after(300, &scheduler).await;
    assert_eq!((stage.last_rotated().await, stage.discarded()), (Value::Null, 0));
    // The last reader moves on; a server that starts anew goes on where the other one was.
    stage.read().await;
    let anew = stage.scheduler("two");
    stage.after(20, &anew).await;
    assert!(stage.last_rotated().await.is_number());
    assert_eq!(*stage.function.discarded.lock().unwrap(), [token(2)]);
    assert_eq!(stage.events("RotationSucceeded").len(), 1);
    assert_eq!(stage.events("PreviousVersionInUse").len(), 0);
}

#[tokio::test]
async fn after_its_time_a_rotation_ends_and_names_who_is_behind() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.read().await;
    stage.rotate(2).await;
    stage.after(1, &scheduler).await;
    stage.after(590, &scheduler).await;
    assert_eq!((stage.last_rotated().await, stage.discarded()), (Value::Null, 0));
    stage.after(10, &scheduler).await;
    assert!(stage.last_rotated().await.is_number());
    assert_eq!(stage.discarded(), 1);
    let [event] = &stage.events("PreviousVersionInUse")[..] else { panic!("one event") };
    let data = event.additional_event_data.as_ref().unwrap();
    assert_eq!((&data["PreviousVersionId"], &data["ReaderCount"]), (&json!(token(1)), &json!(1)));
    assert!(data["Readers"][0]["arn"].as_str().unwrap().ends_with(":user/app"), "{data}");
    assert!(!event.to_json().unwrap().is_empty());
    // The function's own role read the old version too, and is not waited for; nobody else did for hours.
    stage.world.advance(3 * 3600).await;
    stage.rotate(3).await;
    stage.after(1, &scheduler).await;
    assert_eq!(stage.events("RotationSucceeded").len(), 2);
    assert_eq!((stage.discarded(), stage.events("PreviousVersionInUse").len()), (2, 1));
}

#[tokio::test]
async fn what_is_put_or_cancelled_meanwhile_ends_it_too() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.read().await;
    stage.rotate(2).await;
    stage.after(1, &scheduler).await;
    // Another value makes readers of the one before it those who are behind: nobody read that.
    stage.world.put("db", 3, "three").await;
    stage.after(20, &scheduler).await;
    assert_eq!(stage.events("RotationAbandoned").len(), 0);
    assert_eq!(stage.events("RotationSucceeded").len(), 1);
    stage.read().await;
    stage.rotate(4).await;
    stage.after(1, &scheduler).await;
    stage.world.sm("CancelRotateSecret", json!({"SecretId": "db"})).await;
    stage.after(700, &scheduler).await;
    assert_eq!(stage.events("RotationSucceeded").len(), 1);
    assert_eq!(stage.world.value("db").await, "rotated");
}

/// Whoever reads the replica in another account needs the old password just as well.
#[tokio::test]
async fn readers_in_another_account_are_waited_for_and_not_named() {
    let stage = Stage::new().await;
    let (world, scheduler) = (&stage.world, stage.scheduler("one"));
    let other = world.other_root();
    let key = world.kms_as(&other, "CreateKey", json!({"Policy": key_policy(true).to_string()}));
    let key = key.await["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let primary = world.describe("db").await["ARN"].as_str().unwrap().to_owned();
    let made = world.sm_as(&other, "CreateSecret", replica_of(&primary, "r", &key)).await;
    let link = json!({"SecretId": "db", "CrossAccountReplicaARN": made["ARN"]});
    world.sm("AssociateCrossAccountReplica", link).await;
    let may = allow(&["secretsmanager:*", "kms:*"]);
    let theirs = world.user_of(OTHER_ACCOUNT, "theirs", may).await;
    let read = || world.sm_as(&theirs, "GetSecretValue", json!({"SecretId": "r"}));
    read().await;
    stage.rotate(2).await;
    stage.after(1, &scheduler).await;
    stage.after(590, &scheduler).await;
    assert_eq!(stage.last_rotated().await, Value::Null);
    let report = drain(world, "db", 3600).await;
    assert_eq!((report.behind(), report.drained), (1, false));
    stage.after(10, &scheduler).await;
    assert!(stage.last_rotated().await.is_number());
    let [event] = &stage.events("PreviousVersionInUse")[..] else { panic!("one event") };
    let data = event.additional_event_data.as_ref().unwrap();
    assert_eq!((&data["Readers"], &data["ReaderCount"]), (&json!([]), &json!(1)));
    let text = event.to_json().unwrap();
    assert!(!String::from_utf8_lossy(&text).contains(OTHER_ACCOUNT));
    // A replica that left is nobody's to wait for.
    let ended = json!({"SecretId": "r"});
    world.sm_as(&other, "StopReplicationToReplica", ended).await;
    assert!(drain(world, "db", 3600).await.drained);
}

/// Who rolls back needs the old password: it is not taken away, however the rotation ends.
#[tokio::test]
async fn what_was_rolled_back_to_is_not_taken_away() {
    // The function may leave its label on the new version, or not.
    for pending in [true, false] {
        let stage = Stage::new().await;
        let scheduler = stage.scheduler("one");
        stage.read().await;
        stage.rotate(2).await;
        stage.after(1, &scheduler).await;
        if !pending {
            let body = json!({"SecretId": "db", "VersionStage": "AWSPENDING",
                "RemoveFromVersionId": token(2)});
            stage.world.sm("UpdateSecretVersionStage", body).await;
        }
        let body = json!({"SecretId": "db", "VersionStage": "AWSCURRENT",
            "MoveToVersionId": token(1), "RemoveFromVersionId": token(2)});
        stage.world.sm("UpdateSecretVersionStage", body).await;
        assert_eq!(stage.world.value("db").await, "one");
        for wait in [20, 600, 600] {
            stage.after(wait, &scheduler).await;
        }
        assert_eq!(stage.discarded(), 0, "{pending}");
        // Its steps were done: there was nothing to abandon.
        let ended = ["RotationSucceeded", "RotationAbandoned"].map(|name| stage.events(name).len());
        assert_eq!(ended, [1, 0], "{pending}");
        assert!(stage.last_rotated().await.is_number());
    }
}

/// What ends the server while an old password is taken away is not done again.
#[tokio::test]
async fn taking_a_password_away_is_tried_once() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.function.hangs.store(true, Ordering::SeqCst);
    stage.rotate(2).await;
    tokio::select! {
        () = scheduler.sweep() => panic!("it did not get stuck"),
        () = stage.function.stuck.notified() => {}
    }
    drop(scheduler);
    assert_eq!(stage.last_rotated().await, Value::Null);
    stage.scheduler("one").sweep().await;
    assert!(stage.last_rotated().await.is_number());
    assert_eq!((stage.discarded(), stage.events("RotationSucceeded").len()), (1, 1));
}

const HOUR: i64 = 3600;

#[tokio::test]
async fn a_window_that_comes_while_readers_are_waited_for_is_used_after_it() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.world.advance(2 * HOUR - 60).await;
    stage.read().await;
    stage.rotate_daily(2).await;
    stage.after(0, &scheduler).await;
    // The window is open, and a reader is behind still.
    stage.after(120, &scheduler).await;
    assert_eq!((stage.events("RotationStarted").len(), stage.discarded()), (1, 0));
    stage.after(600, &scheduler).await;
    assert_eq!((stage.events("RotationSucceeded").len(), stage.discarded()), (1, 1));
    stage.after(1, &scheduler).await;
    assert_eq!((stage.events("RotationStarted").len(), stage.discarded()), (2, 2));
    let last = stage.last_rotated().await.as_f64().unwrap() as i64;
    assert_eq!(last, stage.world.server.clock.now().secs());
    for _ in 0..20 {
        stage.after(HOUR, &scheduler).await;
    }
    assert_eq!(stage.events("RotationStarted").len(), 2);
    assert_eq!(stage.events("RotationMissed").len(), 0);
}

#[tokio::test]
async fn a_window_that_passes_while_readers_are_waited_for_is_missed() {
    let stage = Stage::with("drain = 5400").await;
    let scheduler = stage.scheduler("one");
    stage.world.advance(2 * HOUR - 60).await;
    stage.read().await;
    stage.rotate_daily(2).await;
    stage.after(0, &scheduler).await;
    stage.after(HOUR + 120, &scheduler).await;
    assert_eq!(stage.events("RotationMissed").len(), 0);
    stage.after(HOUR, &scheduler).await;
    stage.after(1, &scheduler).await;
    assert_eq!(stage.events("RotationSucceeded").len(), 1);
    assert_eq!(
        (stage.events("RotationMissed").len(), stage.events("RotationStarted").len()),
        (1, 1)
    );
    // The next one is used.
    stage.after(22 * HOUR, &scheduler).await;
    assert_eq!(stage.events("RotationStarted").len(), 2);
    assert_eq!(stage.events("RotationMissed").len(), 1);
}

/// A rotation that was made in its window is not missed because its readers are waited for longer.
#[tokio::test]
async fn who_waits_for_readers_beyond_its_window_has_not_missed_it() {
    let stage = Stage::new().await;
    let scheduler = stage.scheduler("one");
    stage.rotate_daily(2).await;
    stage.after(0, &scheduler).await;
    stage.world.advance(2 * HOUR + 1800).await;
    stage.read().await;
    stage.after(29 * 60, &scheduler).await;
    assert_eq!((stage.events("RotationStarted").len(), stage.discarded()), (2, 1));
    stage.after(120, &scheduler).await;
    assert_eq!((stage.events("RotationSucceeded").len(), stage.discarded()), (1, 1));
    stage.after(600, &scheduler).await;
    assert_eq!((stage.events("RotationSucceeded").len(), stage.discarded()), (2, 2));
    assert_eq!(stage.events("RotationMissed").len(), 0);
    let overdue = |line: &str| line == "claviger_rotation_overdue 0";
    assert!(stage.world.server.metrics.text().lines().any(overdue));
}
