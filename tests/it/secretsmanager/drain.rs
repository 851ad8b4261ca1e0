//! Who still reads an old version, and who has moved on.
use super::{creation, token, version};
use crate::world::{ACCOUNT, OTHER_REGION, REGION, Someone, World, allow};
use claviger::control::{self, Command, Drain, Output, WhichSecret};
use claviger::last_use::{LastUses, MOST_READERS, Reads};
use claviger::seal::Table;
use claviger::secrets::readers::{self, Judge, Readers, Standing};
use claviger::secrets::{FoundSecret, find};
use claviger::store::Record;
use claviger::types::{Arn, Principal, PrincipalKind};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

const HOUR: i64 = 3600;

pub async fn drain(world: &World, named: &str, idle_seconds: i64) -> Drain {
    let (account, region) = (Some(ACCOUNT.parse().unwrap()), Some(REGION.parse().unwrap()));
    let which = WhichSecret { named: named.into(), account, region };
    let command = Command::DrainSecret { which, idle_seconds };
    match control::execute(&world.server, Path::new("/"), command, &|_| ()).await.unwrap() {
        Output::Drain(report) => report,
        other => panic!("{other:?}"),
    }
}

/// `2: reader=Behind`, versions by the numbers of their tokens.
fn shown(report: &Drain) -> Vec<String> {
    let mut lines = Vec::new();
    for version in &report.versions {
        for reader in &version.readers {
            let who = reader.arn.as_ref().map_or("others", Arn::as_str);
            let who = who.rsplit('/').next().unwrap();
            let number = version.version_id[24..].trim_start_matches('0');
            lines.push(format!("{number}: {who}={:?}", reader.standing));
        }
    }
    lines
}

async fn reader(world: &World, name: &str) -> Someone {
    world.user(name, allow(&["secretsmanager:*", "kms:*"])).await
}

async fn read(world: &World, who: &Someone) {
    world.sm_as(who, "GetSecretValue", json!({"SecretId": "db"})).await;
}

async fn found(world: &World) -> FoundSecret {
    let mut tx = world.server.store.begin();
    let (account, region) = (ACCOUNT.parse().unwrap(), REGION.parse().unwrap());
    find(&mut tx, &account, &region, "db").await.unwrap()
}

#[tokio::test]
async fn readers_are_behind_until_they_read_the_current_version() {
    let world = World::new().await;
    world.secret("db", "one").await;
    let (app, job) = (reader(&world, "app").await, reader(&world, "job").await);
    assert!(drain(&world, "db", HOUR).await.drained);
    read(&world, &app).await;
    world.clock.advance(60);
    read(&world, &job).await;
    // While it is current, nobody is behind.
    assert_eq!(shown(&drain(&world, "db", HOUR).await), ["1: job=Fine", "1: app=Fine"]);
    world.put("db", 2, "two").await;
    let report = drain(&world, "db", HOUR).await;
    assert!(!report.drained);
    assert_eq!(
        (shown(&report), report.behind()),
        (vec!["1: job=Behind".into(), "1: app=Behind".into()], 2)
    );
    assert_eq!(report.versions[1].version_stages, ["AWSPREVIOUS"]);
    assert_eq!(report.versions[1].readers[0].region, REGION);
    assert_eq!(report.versions[1].readers[0].last_read, "2026-01-01T00:01:00Z");
    assert!(report.to_string().contains("HAS NOT READ"), "{report}");

    world.clock.advance(60);
    read(&world, &app).await;
    let report = drain(&world, "db", HOUR).await;
    assert_eq!(shown(&report), ["2: app=Fine", "1: job=Behind", "1: app=Moved"]);
    // It goes back to the old version.
    world.clock.advance(60);
    let old = json!({"SecretId": "db", "VersionStage": "AWSPREVIOUS"});
    world.sm_as(&app, "GetSecretValue", old).await;
    assert_eq!(drain(&world, "db", HOUR).await.behind(), 2);
    // And is not seen any more.
    world.clock.advance(HOUR + 1);
    let report = drain(&world, "db", HOUR).await;
    assert!(report.drained);
    assert_eq!(shown(&report), ["2: app=Fine", "1: app=Idle", "1: job=Idle"]);
    assert_eq!(drain(&world, "db", 3 * HOUR).await.behind(), 2);
}

#[tokio::test]
async fn who_reads_a_labelled_version_on_purpose_is_not_waited_for() {
    let world = World::new().await;
    world.secret("db", "one").await;
    let mut body = version("db", 2, "two");
    body["VersionStages"] = json!(["blue"]);
    world.sm("PutSecretValue", body).await;
    let app = reader(&world, "app").await;
    let blue = json!({"SecretId": "db", "VersionStage": "blue"});
    world.sm_as(&app, "GetSecretValue", blue).await;
    let report = drain(&world, "db", HOUR).await;
    assert!(report.drained);
    assert_eq!(shown(&report), ["2: app=Fine"]);
    // Without a label it is an old one like any other.
    let off = json!({"SecretId": "db", "VersionStage": "blue", "RemoveFromVersionId": token(2)});
    world.sm("UpdateSecretVersionStage", off).await;
    assert_eq!(shown(&drain(&world, "db", HOUR).await), ["2: app=Behind"]);
}

#[tokio::test]
async fn only_a_value_that_was_answered_is_a_read() {
    let world = World::new().await;
    let key = world.key().await;
    world.secret_under("db", "one", &key).await;
    let without_kms = world.user("no-kms", allow(&["secretsmanager:*"])).await;
    let stranger = world.user("stranger", allow(&["s3:*"])).await;
    for who in [&without_kms, &stranger] {
        world.sm_fails_as(who, "GetSecretValue", json!({"SecretId": "db"})).await;
    }
    world.sm_as(&without_kms, "DescribeSecret", json!({"SecretId": "db"})).await;
    world.sm_fails("GetSecretValue", json!({"SecretId": "db", "VersionStage": "blue"})).await;
    assert_eq!(shown(&drain(&world, "db", HOUR).await), Vec::<String>::new());
    // A batch is as many reads; of what fails in it, none.
    let app = reader(&world, "app").await;
    world.sm("CreateSecret", creation("other", "x")).await;
    let body = json!({"SecretIdList": ["db", "other", "none"]});
    let answer = world.sm_as(&app, "BatchGetSecretValue", body).await;
    assert_eq!(answer["SecretValues"].as_array().unwrap().len(), 2);
    let body = json!({"SecretIdList": ["db", "other"]});
    let answer = world.sm_as(&without_kms, "BatchGetSecretValue", body).await;
    assert_eq!(answer["Errors"][0]["SecretId"], "db");
    assert_eq!(shown(&drain(&world, "db", HOUR).await), ["1: app=Fine"]);
}

#[tokio::test]
async fn what_was_written_outlives_a_restart_and_goes_with_the_version() {
    let world = World::new().await;
    let arn: Arn = world.secret("db", "one").await.parse().unwrap();
    let app = reader(&world, "app").await;
    read(&world, &app).await;
    let stored = async || {
        let mut tx = world.server.store.begin();
        Readers::of(&mut tx, &Reads::default(), &arn, &token(1)).await.unwrap()
    };
    assert_eq!(stored().await, Readers::default());
    // A reading call writes nothing by itself; the background does, a second later.
    world.advance(1).await;
    let [(_, one)] = &stored().await.named.into_iter().collect::<Vec<_>>()[..] else { panic!() };
    assert!(one.arn.as_str().ends_with(":user/app"));
    let first = one.last;
    // In steady use the row is written now and then; before a stop it is.
    world.clock.advance(1);
    read(&world, &app).await;
    world.advance(1).await;
    assert_eq!(stored().await.named.values().next().unwrap().last, first);
    world.server.last_uses.reads.hurry();
    world.advance(0).await;
    assert_eq!(stored().await.named.values().next().unwrap().last, first.plus_secs(2));

    // A pruned version takes its row with it.
    let rows = async || world.server.store.begin().list_all::<Readers>(9).await.unwrap().len();
    for n in 2..=101 {
        world.put("db", n, "more").await;
    }
    assert_eq!(rows().await, 1);
    world.clock.advance(2 * 86_400);
    world.put("db", 102, "last").await;
    assert_eq!(rows().await, 0);
    // What was read of a secret that is gone when it would be written is not written.
    read(&world, &app).await;
    let gone = json!({"SecretId": "db", "ForceDeleteWithoutRecovery": true});
    world.sm("DeleteSecret", gone.clone()).await;
    world.advance(1).await;
    assert_eq!(rows().await, 0);
    // A secret that is deleted takes its rows with it, and its successor begins anew.
    world.secret("db", "again").await;
    read(&world, &app).await;
    world.advance(1).await;
    assert_eq!(rows().await, 1);
    world.sm("DeleteSecret", gone).await;
    world.secret("db", "again").await;
    assert_eq!(rows().await, 0);
    assert_eq!(shown(&drain(&world, "db", HOUR).await), Vec::<String>::new());
}

/// A row of readers that cannot be read.
#[derive(Debug, Serialize, Deserialize)]
struct Damaged(String);

impl Record for Damaged {
    const TABLE: Table = Readers::TABLE;
    const CACHED: bool = false;
}

#[tokio::test]
async fn a_damaged_row_keeps_no_other_from_being_written() {
    let world = World::new().await;
    let mut arns: Vec<Arn> = Vec::new();
    for name in ["a", "b", "c"] {
        arns.push(world.secret(name, "v").await.parse().unwrap());
    }
    let row = |arn: &Arn| {
        let id = arn.resource().strip_prefix("secret:").unwrap().to_owned();
        [ACCOUNT.to_owned(), REGION.to_owned(), id, token(1)]
    };
    let damaged = row(&arns[1]);
    let damaged = damaged.each_ref().map(String::as_str);
    let mut tx = world.server.store.begin();
    tx.put(&damaged, Damaged("x".into())).unwrap();
    tx.commit().await.unwrap();
    let app = reader(&world, "app").await;
    let read = async |name: &str| {
        world.sm_as(&app, "GetSecretValue", json!({"SecretId": name})).await;
    };
    for name in ["a", "b", "c"] {
        read(name).await;
    }
    world.advance(1).await;
    let stored = async |arn: &Arn| {
        let mut tx = world.server.store.begin();
        Readers::of(&mut tx, &Reads::default(), arn, &token(1)).await
    };
    for arn in [&arns[0], &arns[2]] {
        assert_eq!(stored(arn).await.unwrap().named.len(), 1, "{arn}");
    }
    // Nobody is told that the damaged one is read by nobody.
    assert!(stored(&arns[1]).await.is_err());
    // It is tried again, though not at each look, and what was noted is not lost.
    let noted = || world.server.last_uses.reads.of(&arns[1], &token(1)).readers.len();
    assert_eq!(noted(), 1);
    let due = || world.server.last_uses.reads.due(world.server.clock.now()).len();
    assert_eq!(due(), 0);
    let mut tx = world.server.store.begin();
    tx.delete::<Damaged>(&damaged).unwrap();
    tx.commit().await.unwrap();
    world.advance(10).await;
    assert_eq!(noted(), 0);
    assert_eq!(stored(&arns[1]).await.unwrap().named.len(), 1);
}

/// Labels may be any text: a terminal must not obey it.
#[tokio::test]
async fn labels_are_shown_without_control_characters() {
    let world = World::new().await;
    world.secret("db", "one").await;
    let label = "\u{1b}]0;owned\u{7}\r\u{9b}2J";
    let body = json!({"SecretId": "db", "VersionStage": label, "MoveToVersionId": token(1)});
    world.sm("UpdateSecretVersionStage", body).await;
    let report = drain(&world, "db", HOUR).await;
    assert!(report.versions[0].version_stages.iter().any(|stage| stage == label));
    let text = report.to_string();
    assert!(text.contains("]0;owned") && text.contains("2J"), "{text:?}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

fn principal(n: usize, arn: &str) -> Principal {
    Principal {
        account: ACCOUNT.parse().unwrap(),
        arn: arn.parse().unwrap(),
        unique_id: format!("AROAEXAMPLE:{n}"),
        user_name: None,
        kind: PrincipalKind::User,
    }
}

#[tokio::test]
async fn more_readers_than_have_a_place_are_others() {
    let world = World::new().await;
    let arn: Arn = world.secret("db", "one").await.parse().unwrap();
    let (reads, start) = (Reads::default(), world.server.clock.now());
    // Sessions come and go; the last ones are known by name.
    let sessions = MOST_READERS + MOST_READERS / 2;
    for n in 0..sessions {
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/app/{n}");
        let at = start.plus_secs(i64::try_from(n).unwrap());
        reads.note(&arn, &token(1), &principal(n, &session), at);
        if n % 100 == 99 {
            reads.hurry();
            readers::write(&world.server.store, &reads, at).await.unwrap();
        }
    }
    let mut tx = world.server.store.begin();
    let all = Readers::of(&mut tx, &Reads::default(), &arn, &token(1)).await.unwrap();
    assert_eq!(all.named.len(), MOST_READERS);
    assert!(all.named.contains_key(&format!("AROAEXAMPLE:{}", sessions - 1)));
    assert!(!all.named.contains_key("AROAEXAMPLE:0"));
    let last_unnamed = i64::try_from(sessions - MOST_READERS - 1).unwrap();
    assert_eq!(all.others, Some(start.plus_secs(last_unnamed)));
    // Nobody can say that they have moved on: their time has to pass.
    world.put("db", 2, "two").await;
    let secret = found(&world).await;
    let judge = Judge { reads: &reads, since: start, rotator: None };
    let behind = judge.undrained(&mut tx, &secret, &token(1)).await.unwrap();
    assert_eq!(behind.len(), MOST_READERS + 1);
    let judge = Judge { since: start.plus_secs(last_unnamed + 1), ..judge };
    let behind = judge.undrained(&mut tx, &secret, &token(1)).await.unwrap();
    assert_eq!(behind.len(), MOST_READERS);
}

#[tokio::test]
async fn the_rotation_itself_is_no_reader() {
    let world = World::new().await;
    let arn: Arn = world.secret("db", "one").await.parse().unwrap();
    let (reads, now) = (Reads::default(), world.server.clock.now());
    let roles = ["rotator/session", "rotator-of-others/session", "app/rotator"];
    for (n, session) in roles.into_iter().enumerate() {
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{session}");
        reads.note(&arn, &token(1), &principal(n, &session), now);
    }
    world.put("db", 2, "two").await;
    let role: Arn = format!("arn:aws:iam::{ACCOUNT}:role/path/rotator").parse().unwrap();
    let judge = Judge { reads: &reads, since: now, rotator: Some(&role) };
    let (secret, mut tx) = (found(&world).await, world.server.store.begin());
    let all = judge.readers(&mut tx, &secret, &token(1)).await.unwrap();
    let standing = |part: &str| {
        let is = |arn: &Option<Arn>| arn.as_ref().unwrap().as_str().ends_with(part);
        all.iter().find(|reader| is(&reader.arn)).unwrap().standing
    };
    assert_eq!(standing("/rotator/session"), Standing::Rotation);
    assert_eq!(standing("/rotator-of-others/session"), Standing::Behind);
    assert_eq!(standing("/app/rotator"), Standing::Behind);
}

#[tokio::test]
async fn readers_of_replicas_count() {
    let world = World::new().await;
    world.secret("db", "one").await;
    let body = json!({"SecretId": "db", "AddReplicaRegions": [{"Region": OTHER_REGION}]});
    world.sm("ReplicateSecretToRegions", body).await;
    let app = reader(&world, "app").await;
    let there = async || {
        let body = json!({"SecretId": "db"});
        world.call_in(&app, OTHER_REGION, "secretsmanager", "GetSecretValue", body).await.unwrap()
    };
    assert_eq!(there().await["SecretString"], "one");
    world.put("db", 2, "two").await;
    world.advance(1).await;
    let report = drain(&world, "db", HOUR).await;
    assert_eq!(shown(&report), ["1: app=Behind"]);
    assert_eq!(report.versions[1].readers[0].region, OTHER_REGION);
    assert_eq!(there().await["SecretString"], "two");
    assert!(drain(&world, "db", HOUR).await.drained);
    // What was written is there for a server that starts anew.
    world.server.last_uses.reads.hurry();
    world.advance(0).await;
    let anew = LastUses::default();
    let (secret, mut tx) = (found(&world).await, world.server.store.begin());
    let judge = Judge { reads: &anew.reads, since: world.server.clock.now(), rotator: None };
    let all = judge.readers(&mut tx, &secret, &token(1)).await.unwrap();
    assert_eq!(all[0].standing, Standing::Moved);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_said_not_to_be() {
    let world = World::new().await;
    let arn = world.secret("db", "one").await;
    let ask = async |named: &str, region: Option<&str>| {
        let which = WhichSecret {
            named: named.into(),
            account: None,
            region: region.map(|region| region.parse().unwrap()),
        };
        let command = Command::DrainSecret { which, idle_seconds: 1 };
        control::execute(&world.server, Path::new("/"), command, &|_| ()).await
    };
    // An ARN says where it is; a name does not, where there are two accounts and two regions.
    assert!(matches!(ask(&arn, None).await, Ok(Output::Drain(_))));
    for (named, region, text) in [
        ("db", None, "there are several accounts"),
        (
            "arn:aws:secretsmanager:eu-west-1:111122223333:secret:no-Ab12Cd",
            None,
            "there is no secret",
        ),
        (arn.as_str(), Some(OTHER_REGION), "there is no secret"),
        ("arn:aws:kms:eu-west-1:111122223333:key/1", None, "not the ARN of a secret"),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:db-Ab12Cd", None, "not a secret's ARN"),
    ] {
        let error = ask(named, region).await.unwrap_err().to_string();
        assert!(error.contains(text), "{named}: {error}");
    }
}
