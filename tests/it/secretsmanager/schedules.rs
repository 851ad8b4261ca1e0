//! When a secret's next rotation is, and that the scheduler finds it then and only then.
use super::rotate::{rotation, world};
use super::{DAY, NOW_SECS, token};
use crate::world::{OTHER_REGION, World};
use claviger::secrets::rotation::{Rules, due};
use claviger::types::Timestamp;
use serde_json::{Value, json};

const HOUR: i64 = 3600;

impl World {
    /// Names of the secrets whose window has come by then, the earliest first.
    async fn due_by(&self, secs: i64) -> Vec<String> {
        let tx = self.server.store.begin();
        let found = due(&tx, Timestamp::from_secs(secs), None, 1000).await.unwrap();
        found.iter().map(|due| due.name.clone()).collect()
    }

    /// Sets rules, and leaves nothing pending behind: the test of the function is cancelled by a value.
    async fn put_rules(&self, name: &str, rules: Value) {
        let more = json!({"RotationRules": rules, "RotateImmediately": false});
        self.sm("RotateSecret", rotation(name, 90, more)).await;
    }

    async fn next_rotation(&self, name: &str) -> Value {
        self.describe(name).await["NextRotationDate"].clone()
    }
}

#[tokio::test]
async fn the_next_rotation_is_at_the_end_of_the_window() {
    // 2026-01-01, a Thursday, at midnight.
    for (rules, begin, end) in [
        (json!({"AutomaticallyAfterDays": 30}), 30 * DAY, 31 * DAY - 1),
        (
            json!({"AutomaticallyAfterDays": 30, "Duration": "2h"}),
            30 * DAY,
            30 * DAY + 2 * HOUR - 1,
        ),
        (json!({"ScheduleExpression": "rate(10 days)"}), 10 * DAY, 11 * DAY - 1),
        (json!({"ScheduleExpression": "rate(4 hours)"}), 4 * HOUR, 5 * HOUR - 1),
        (json!({"ScheduleExpression": "rate(4 hours)", "Duration": "4h"}), 4 * HOUR, 8 * HOUR - 1),
        (json!({"ScheduleExpression": "cron(0 8 * * ? *)"}), 8 * HOUR, DAY - 1),
        (
            json!({"ScheduleExpression": "cron(0 18 ? * SAT *)", "Duration": "3h"}),
            2 * DAY + 18 * HOUR,
            2 * DAY + 21 * HOUR - 1,
        ),
    ] {
        let world = world().await;
        world.secret("s", "one").await;
        world.put_rules("s", rules.clone()).await;
        assert_eq!(world.next_rotation("s").await, NOW_SECS + end, "{rules}");
        assert!(world.due_by(NOW_SECS + begin - 1).await.is_empty(), "{rules}");
        assert_eq!(world.due_by(NOW_SECS + begin).await, ["s"], "{rules}");
        let listed = world.sm("ListSecrets", json!({})).await;
        assert_eq!(listed["SecretList"][0]["NextRotationDate"], NOW_SECS + end, "{rules}");
    }
}

#[tokio::test]
async fn a_value_that_somebody_puts_counts_for_the_days() {
    let world = world().await;
    for (name, rules) in [
        ("days", json!({"AutomaticallyAfterDays": 10})),
        ("rate", json!({"ScheduleExpression": "rate(10 days)"})),
        ("cron", json!({"ScheduleExpression": "cron(0 0 11 * ? *)"})),
    ] {
        world.secret(name, "one").await;
        world.put_rules(name, rules).await;
    }
    world.clock.advance(3 * DAY + HOUR);
    for name in ["days", "rate", "cron"] {
        world.put(name, 3, "three").await;
    }
    let tenth = NOW_SECS + 11 * DAY - 1;
    assert_eq!(world.next_rotation("days").await, tenth + 3 * DAY);
    assert_eq!(world.next_rotation("rate").await, tenth);
    assert_eq!(world.next_rotation("cron").await, tenth);
    // One that is not made current is none.
    world.clock.advance(DAY);
    let mut body = super::version("days", 4, "four");
    body["VersionStages"] = json!(["blue"]);
    world.sm("PutSecretValue", body).await;
    assert_eq!(world.next_rotation("days").await, tenth + 3 * DAY);
    let body = super::version("days", 5, "five");
    world.sm("UpdateSecret", body).await;
    assert_eq!(world.next_rotation("days").await, tenth + 4 * DAY);
    assert_eq!(world.due_by(NOW_SECS + 100 * DAY).await, ["cron", "rate", "days"]);
}

#[tokio::test]
async fn the_scheduler_finds_what_rotates_and_nothing_else() {
    let world = world().await;
    let (late, early) = (NOW_SECS + 1000 * DAY, NOW_SECS + 2 * DAY);
    for (name, days) in [("a", 30), ("b", 1), ("c", 20)] {
        world.secret(name, "one").await;
        assert!(!world.due_by(late).await.contains(&name.to_owned()));
        world.put_rules(name, json!({"AutomaticallyAfterDays": days})).await;
    }
    assert_eq!(world.due_by(late).await, ["b", "c", "a"]);
    assert_eq!(world.due_by(early).await, ["b"]);
    // Other rules are another row, and the old one is gone.
    world.put("a", 2, "two").await;
    world.put_rules("a", json!({"ScheduleExpression": "rate(1 day)"})).await;
    assert_eq!(world.due_by(late).await, ["a", "b", "c"]);
    // A secret that is to be deleted does not rotate; one that is restored does again.
    world.sm("DeleteSecret", json!({"SecretId": "b"})).await;
    assert_eq!(world.due_by(late).await, ["a", "c"]);
    world.sm("RestoreSecret", json!({"SecretId": "b"})).await;
    assert_eq!(world.due_by(late).await, ["a", "b", "c"]);
    world.sm("CancelRotateSecret", json!({"SecretId": "a"})).await;
    assert_eq!(world.due_by(late).await, ["b", "c"]);
    let body = json!({"SecretId": "b", "ForceDeleteWithoutRecovery": true});
    world.sm("DeleteSecret", body).await;
    assert_eq!(world.due_by(late).await, ["c"]);
    // A replica is rotated by its primary.
    let body = json!({"SecretId": "c", "AddReplicaRegions": [{"Region": OTHER_REGION}]});
    world.sm("ReplicateSecretToRegions", body).await;
    assert_eq!(world.due_by(late).await, ["c"]);
    let body = json!({"SecretId": "c", "RemoveReplicaRegions": [OTHER_REGION]});
    world.sm("RemoveRegionsFromReplication", body).await;
    let body = json!({"SecretId": "c"});
    world.sm("DeleteSecret", body).await;
    world.advance(31 * DAY).await;
    assert!(world.due_by(late).await.is_empty());
}

#[tokio::test]
async fn rules_stay_until_there_are_others() {
    let world = world().await;
    world.secret("s", "one").await;
    world.put_rules("s", json!({"AutomaticallyAfterDays": 10})).await;
    world.put("s", 2, "two").await;
    world.clock.advance(DAY);
    // No rules: those of before, counted from when they were given or the value was put.
    let body = json!({"SecretId": "s", "ClientRequestToken": token(3)});
    world.sm("RotateSecret", body).await;
    assert_eq!(world.describe("s").await["RotationRules"], json!({"AutomaticallyAfterDays": 10}));
    assert_eq!(world.next_rotation("s").await, NOW_SECS + 11 * DAY - 1);
    let stored = world.stored_secret("s").await;
    let rules = stored.rotation.as_ref().unwrap().rules.clone().unwrap();
    assert_eq!(rules, Rules { after_days: Some(10), ..Rules::default() });
    // Without any rules a secret rotates when it is asked to.
    world.secret("t", "one").await;
    world.sm("RotateSecret", rotation("t", 2, json!({}))).await;
    let described = world.describe("t").await;
    assert_eq!((described.get("RotationRules"), described.get("NextRotationDate")), (None, None));
    assert_eq!(described["RotationEnabled"], true);
}
