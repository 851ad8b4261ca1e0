//! The way of every call: no answer without its event, no change without its event, and rivals for
//! the same row.
use crate::counting::Counting;
use crate::front::Client;
use crate::support::{failed, id_of, token};
use crate::world::{World, allow};
use claviger::call::replay;
use claviger::quotas::Settings;
use claviger::store::StoreError;
use claviger_hsm::SoftwareHsm;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn break_audit(world: &World, broken: bool) {
    world.audit.broken.store(broken, Ordering::SeqCst);
}

#[tokio::test]
async fn nothing_leaves_that_could_not_be_recorded() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let key = world.key().await;
    let blob = world.hello(&key).await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    let before = world.events().len();
    break_audit(&world, true);
    for (name, body) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateRandom", json!({"NumberOfBytes": 32})),
        ("CreateKey", json!({})),
        ("DescribeKey", json!({"KeyId": "nope"})),
        ("Nope", json!({})),
    ] {
        let answer = client.kms(&world.root, name, body).await;
        assert_eq!(answer.status, 500, "{name}");
        assert_eq!(answer.text(), r#"{"__type":"InternalFailure"}"#, "{name}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("InternalFailure"));
    }
    let unsigned = client.send(&client.json("TrentService.ListKeys", &json!({}))).await;
    assert_eq!((unsigned.status, unsigned.text()), (500, r#"{"__type":"InternalFailure"}"#));
    let form = "Action=CreateAccessKey&Version=2010-05-08&UserName=ann";
    let answer = client.iam(&world.root, form).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("<Code>InternalFailure</Code>"), "{}", answer.text());
    assert!(answer.text().contains("<Type>Receiver</Type>"));
    assert!(!answer.text().contains("<Message>") && !answer.text().contains("AccessKeyId"));
    break_audit(&world, false);
    assert_eq!(world.events().len(), before);
}

#[tokio::test]
async fn a_change_whose_event_was_not_logged_waits_in_the_outbox() {
    let world = World::new().await;
    let key = world.key().await;
    // What is logged is forgotten by the sweep.
    world.advance(1).await;
    let none = |_| Ok(HashSet::new());
    assert_eq!(replay(&world.server, none).await.unwrap(), 0);
    break_audit(&world, true);
    let refused = world.raw(&world.root, "kms", "DisableKey", body(&key).as_bytes()).await;
    assert_eq!(refused.unwrap_err().status, 500);
    // A read changes nothing, so nothing waits for it.
    let read = world.raw(&world.root, "kms", "DescribeKey", body(&key).as_bytes()).await;
    assert_eq!(read.unwrap_err().status, 500);
    // While the log is broken the event stays where it is.
    assert!(replay(&world.server, none).await.is_err());
    // A start after a crash, when the log works again.
    break_audit(&world, false);
    let before = world.events().len();
    assert_eq!(replay(&world.server, none).await.unwrap(), 1);
    let events = world.events().split_off(before);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].event_name.as_str(), &events[0].error_code), ("DisableKey", &None));
    assert_eq!(events[0].resources[0].arn, key);
    assert_eq!(world.state(&key).await, "Disabled");
    assert_eq!(replay(&world.server, none).await.unwrap(), 0);
}

#[tokio::test]
async fn a_log_that_works_again_gets_what_it_missed() {
    let world = World::new().await;
    let key = world.key().await;
    world.advance(1).await;
    assert!(world.server.outbox.log_works());
    break_audit(&world, true);
    for name in ["DisableKey", "EnableKey"] {
        let refused = world.raw(&world.root, "kms", name, body(&key).as_bytes()).await;
        assert_eq!(refused.unwrap_err().status, 500);
    }
    assert!(!world.server.outbox.log_works());
    world.advance(1).await;
    assert!(!world.server.outbox.log_works());
    let before = world.events().len();
    break_audit(&world, false);
    world.advance(1).await;
    assert!(world.server.outbox.log_works());
    let names: Vec<_> =
        world.events().split_off(before).into_iter().map(|event| event.event_name).collect();
    // Once the log was known to fail, nothing changed any more: there is no EnableKey to tell of.
    assert_eq!(names, ["DisableKey"]);
    assert_eq!(world.state(&key).await, "Disabled");
    let before = world.events().len() - 1;
    assert_eq!(replay(&world.server, |_| Ok(HashSet::new())).await.unwrap(), 0);
    // Once is enough.
    world.advance(1).await;
    assert_eq!(world.events().len(), before + 1);
    // And now it changes again.
    world.kms("EnableKey", json!({"KeyId": key})).await;
}

#[tokio::test]
async fn of_the_events_of_a_call_the_log_gets_each_once() {
    let world = World::new().await;
    world.advance(1).await;
    let count = || {
        let events = world.events();
        ["GenerateDataKey", "CreateSecret"]
            .map(|name| events.iter().filter(|event| event.event_name == name).count())
    };
    // As where they are of two batches, of which the disk has space for the first.
    *world.audit.refused_name.lock().unwrap() = Some("CreateSecret");
    let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": "t".repeat(32)});
    let body = body.to_string();
    let told = world.raw(&world.root, "secretsmanager", "CreateSecret", body.as_bytes()).await;
    assert_eq!(told.unwrap_err().status, 500);
    assert_eq!(count(), [1, 0]);
    world.advance(1).await;
    assert_eq!(count(), [1, 0], "a try in vain logs nothing anew");
    *world.audit.refused_name.lock().unwrap() = None;
    world.advance(1).await;
    assert_eq!(count(), [1, 1]);
    world.advance(1).await;
    assert_eq!(replay(&world.server, |_| Ok(HashSet::new())).await.unwrap(), 0);
    assert_eq!(count(), [1, 1]);
}

fn body(key: &str) -> String {
    json!({"KeyId": key}).to_string()
}

#[tokio::test]
async fn what_the_log_has_already_is_not_logged_twice() {
    let world = World::new().await;
    let keys = [world.key().await, world.key().await];
    world.advance(1).await;
    let before = world.events().len() as u64;
    // A crash now: both events are logged and still in the outbox. They can only stand behind what the log had
    // then, so a start need not read more of it.
    for key in &keys {
        world.kms("DisableKey", json!({"KeyId": key})).await;
    }
    let mut asked = Vec::new();
    let known = |after: u64| {
        asked.push(after);
        let later = world.events().split_off(after as usize);
        Ok(later.into_iter().map(|event| event.event_id.to_string()).collect())
    };
    assert_eq!(replay(&world.server, known).await.unwrap(), 0);
    assert_eq!(asked, [before]);
    assert_eq!(world.events().len() as u64, before + 2);
    assert_eq!(replay(&world.server, |_| panic!("nothing waits")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_deletion_by_itself_waits_too() {
    let world = World::new().await;
    let key = world.key().await;
    world.kms("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await;
    world.advance(1).await;
    break_audit(&world, true);
    world.advance(8 * 86_400).await;
    break_audit(&world, false);
    let before = world.events().len();
    assert_eq!(replay(&world.server, |_| Ok(HashSet::new())).await.unwrap(), 1);
    let event = &world.events()[before];
    assert_eq!((event.event_name.as_str(), event.resources[0].arn.as_str()), ("DeleteKey", &*key));
    let gone = world.kms_fails("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(gone, failed("NotFoundException", format!("Key '{key}' does not exist")));
}

/// Runs calls at the same time; answers which succeeded. The others were throttled.
async fn rivals(world: &Arc<World>, calls: Vec<(&'static str, Value)>) -> Vec<bool> {
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(name, body)| {
            let world = world.clone();
            tokio::spawn(async move { world.call("kms", name, body).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        let outcome = task.await.unwrap();
        if let Err(error) = &outcome {
            assert_eq!(error.code, "ThrottlingException", "{error:?}");
        }
        outcomes.push(outcome.is_ok());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn rival_tags_are_none_of_them_lost() {
    let world = Arc::new(World::new().await);
    let key = world.key().await;
    let tag = |at: usize| json!([{"TagKey": format!("k{at}"), "TagValue": "v"}]);
    let calls = (0..32).map(|at| ("TagResource", json!({"KeyId": key, "Tags": tag(at)})));
    let done = rivals(&world, calls.collect()).await;
    let tags = world.kms("ListResourceTags", json!({"KeyId": key})).await;
    let there: BTreeSet<&str> =
        tags["Tags"].as_array().unwrap().iter().map(|t| t["TagKey"].as_str().unwrap()).collect();
    for (at, done) in done.iter().enumerate() {
        assert_eq!(there.contains(format!("k{at}").as_str()), *done, "k{at}");
    }
    assert!(done.iter().any(|done| *done));
    let logged = world.events().iter().filter(|e| e.event_name == "TagResource").count();
    assert_eq!(logged, 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn rival_aliases_leave_keys_and_names_in_step() {
    let world = Arc::new(World::new().await);
    let (one, two) = (world.key().await, world.key().await);
    for at in 0..8 {
        let body = json!({"AliasName": format!("alias/a{at}"), "TargetKeyId": one});
        world.kms("CreateAlias", body).await;
    }
    let calls = (0..32).map(|at| {
        let target = if at % 2 == 0 { &two } else { &one };
        let body = json!({"AliasName": format!("alias/a{}", at % 8), "TargetKeyId": target});
        ("UpdateAlias", body)
    });
    assert!(rivals(&world, calls.collect()).await.iter().any(|done| *done));
    // Every alias is listed with the key it names, and with no other.
    let all = world.kms("ListAliases", json!({})).await;
    let all: Vec<&Value> = all["Aliases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|alias| alias["AliasName"] != "alias/aws/secretsmanager")
        .collect();
    assert_eq!(all.len(), 8);
    for key in [&one, &two] {
        let of_key = world.kms("ListAliases", json!({"KeyId": key})).await;
        let expected: Vec<&Value> =
            all.iter().copied().filter(|alias| alias["TargetKeyId"] == id_of(key)).collect();
        assert_eq!(of_key["Aliases"].as_array().unwrap().iter().collect::<Vec<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_rivals_for_one_name_one_wins() {
    let world = Arc::new(World::new().await);
    let key = world.key().await;
    let calls = (0..16).map(|_| {
        let world = world.clone();
        let body = json!({"AliasName": "alias/app", "TargetKeyId": key});
        tokio::spawn(async move { world.call("kms", "CreateAlias", body).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut won = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(
                ["AlreadyExistsException", "ThrottlingException"].contains(&error.code.as_str()),
                "{error:?}"
            ),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = World::seeded(42).await;
        let mut said = Vec::new();
        let key = world.key().await;
        for (name, body) in [
            ("Encrypt", json!({"KeyId": key, "Plaintext": "aGVsbG8="})),
            ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("GenerateRandom", json!({"NumberOfBytes": 64})),
            ("CreateKey", json!({"Description": "d"})),
            ("ListKeys", json!({"Limit": 1})),
            ("DescribeKey", json!({"KeyId": "alias/aws/secretsmanager"})),
        ] {
            said.push(world.kms(name, body).await.to_string());
        }
        let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token(1)});
        let made = world.call("secretsmanager", "CreateSecret", body).await.unwrap();
        said.push(made.to_string());
        let user = world.user("ann", allow(&["s3:*"])).await;
        said.push(user.access_key_id + &user.secret);
        said.push(serde_json::to_string(&world.events()).unwrap());
        runs.push(said);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn what_took_effect_without_anybody_being_told_is_logged_while_the_server_runs() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let key = world.key().await;
    for (name, took_effect) in [("DisableKey", true), ("EnableKey", false)] {
        let lost = StoreError::Unavailable("no answer came".into());
        *backend.commits.lock().unwrap() = Some((lost, took_effect));
        let told = world.raw(&world.root, "kms", name, body(&key).as_bytes()).await;
        assert_eq!(told.unwrap_err().status, 500);
        world.advance(1).await;
        *backend.commits.lock().unwrap() = None;
        // However often it is looked for.
        for _ in 0..3 {
            world.advance(1).await;
        }
        let events = world.events();
        let errors: Vec<bool> = events
            .iter()
            .filter(|event| event.event_name == name)
            .map(|event| event.error_code.is_some())
            .collect();
        let wanted: &[bool] = if took_effect { &[true, false] } else { &[true] };
        assert_eq!(errors, wanted, "{name}");
        let ids: HashSet<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids.len(), events.len());
    }
    let state = world.call("kms", "DescribeKey", json!({"KeyId": key})).await.unwrap();
    assert_eq!(state["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(replay(&world.server, |_| Ok(HashSet::new())).await.unwrap(), 0);
}

/// Also if it is looked for while the log is still being told of the failed call, and then refuses a part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_took_effect_is_logged_whole_though_the_log_refuses_a_part_of_it() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = Arc::new(World::on(hsm, backend.clone(), 1, Settings::default()).await);
    world.advance(1).await;
    let disk = world.audit.gate.write().await;
    *world.audit.refused_name.lock().unwrap() = Some("GenerateDataKey");
    *backend.commits.lock().unwrap() =
        Some((StoreError::Unavailable("no answer came".into()), true));
    let call = tokio::spawn({
        let world = world.clone();
        async move {
            let body = json!({"Name": "s", "SecretString": "v", "ClientRequestToken": token(1)});
            let body = body.to_string();
            world.raw(&world.root, "secretsmanager", "CreateSecret", body.as_bytes()).await
        }
    });
    let wait = || tokio::time::sleep(std::time::Duration::from_millis(200));
    wait().await;
    assert!(!call.is_finished(), "its events wait for the disk");
    *backend.commits.lock().unwrap() = None;
    let settles = tokio::spawn({
        let world = world.clone();
        async move { world.advance(1).await }
    });
    wait().await;
    drop(disk);
    assert_eq!(call.await.unwrap().unwrap_err().status, 500);
    settles.await.unwrap();
    *world.audit.refused_name.lock().unwrap() = None;
    for _ in 0..3 {
        world.advance(1).await;
    }
    let events = world.events();
    let errors = |name| {
        let of_name = events.iter().filter(move |event| event.event_name == name);
        of_name.map(|event| event.error_code.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(errors("GenerateDataKey"), [false], "{events:?}");
    assert_eq!(errors("CreateSecret"), [true, false]);
}

/// What a call was about is known also if it came to nothing.
#[tokio::test]
async fn the_event_of_a_commit_that_failed_names_the_resource() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let key = world.key().await;
    for (error, code) in [
        (StoreError::Conflict, "ThrottlingException"),
        (StoreError::Unavailable("no answer came".into()), "KMSInternalException"),
    ] {
        *backend.commits.lock().unwrap() = Some((error, false));
        let told = world.raw(&world.root, "kms", "DisableKey", body(&key).as_bytes()).await;
        assert_eq!(told.unwrap_err().code, code);
        *backend.commits.lock().unwrap() = None;
        let event = world.events().pop().unwrap();
        assert_eq!(event.error_code.as_deref(), Some(code));
        let named: Vec<&str> = event.resources.iter().map(|one| one.arn.as_str()).collect();
        assert_eq!(named, [key.as_str()], "{event:?}");
        assert_eq!(event.user_identity.account_id.as_deref(), Some(crate::world::ACCOUNT));
    }
}

/// The state of a call lies on the heap while it runs, and is wiped with it: what few calls need stays
/// in a box of its own.
#[tokio::test]
async fn calls_are_small() {
    let world = World::new().await;
    let (caller, arrival) = (world.caller(&world.root).await, world.arrival(crate::world::REGION));
    for (service, name) in [
        ("kms", "Encrypt"),
        ("kms", "Decrypt"),
        ("kms", "GenerateDataKey"),
        ("secretsmanager", "GetSecretValue"),
    ] {
        let entry = crate::world::table(service).find(name).unwrap();
        let size = size_of_val(&*entry.begin(&world.server, &caller, &arrival, b"{}"));
        assert!(size <= 4096, "{name}: {size} bytes");
    }
}
