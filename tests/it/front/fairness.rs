//! What one account asks for does not take the others' turn.
use super::{Client, Request, code_of};
use crate::counting::Counting;
use crate::sts::issuer::{claims, token};
use crate::world::{ACCOUNT, Someone, World, allow};
use claviger::quotas::Settings;
use claviger_hsm::SoftwareHsm;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Half of the places for calls whose caller is known.
const SHARE: usize = 448;
const ASKED: usize = SHARE + 152;
/// Half of those for refusals on their way into the log.
const REFUSED: usize = 128;
/// Requests of which it may be found out at once whose they are.
const STRANGERS: usize = 128;

/// A server whose store can be held.
async fn gated() -> (Arc<Counting>, World, Arc<Client>) {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let client = Arc::new(Client::new(&world).await);
    (backend, world, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_too_much_is_told_to_slow_down_and_nobody_else() {
    let (backend, world, client) = gated().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let other = world.other_root();
    let made = client.kms(&other, "CreateKey", json!({})).await;
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let encrypt = json!({"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": "YQ=="});

    // From here on nothing is written, and ann's calls wait.
    let closed = backend.gate.write().await;
    let create = client.json("TrentService.CreateKey", &json!({}));
    let mut calls = JoinSet::new();
    for _ in 0..ASKED {
        let (client, request): (_, Request) =
            (client.clone(), client.sign(create.clone(), &ann, "kms"));
        calls.spawn(async move { client.send(&request).await });
    }
    for _ in SHARE..ASKED {
        let refused = tokio::time::timeout(Duration::from_secs(60), calls.join_next()).await;
        let refused = refused.expect("it is told at once").unwrap().unwrap();
        assert_eq!(code_of(&refused).as_deref(), Some("ThrottlingException"));
        assert_eq!(refused.status, 400);
    }
    // The rest wait, and another account's calls are answered meanwhile.
    for _ in 0..20 {
        assert_eq!(client.kms(&other, "Encrypt", encrypt.clone()).await.status, 200);
    }
    assert_eq!(calls.len(), SHARE);
    drop(closed);
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    // What is free again can be had again, and the refusals are in the log.
    assert_eq!(client.kms(&ann, "Encrypt", encrypt).await.status, 400, "another account's key");
    let throttled = |event: &&claviger::audit::Event| {
        event.error_code.as_deref() == Some("ThrottlingException")
    };
    assert_eq!(world.events().iter().filter(throttled).count(), ASKED - SHARE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_its_share_a_call_waits_a_moment_for_a_place() {
    let (backend, world, client) = gated().await;
    let create = client.sign(client.json("TrentService.CreateKey", &json!({})), &world.root, "kms");
    let ask = |calls: &mut JoinSet<_>| {
        let (client, request) = (client.clone(), create.clone());
        calls.spawn(async move { client.send(&request).await });
    };
    // A busy machine may let the moment pass.
    for attempt in 0..10 {
        let closed = backend.gate.write().await;
        let (mut calls, mut one_more) = (JoinSet::new(), JoinSet::new());
        (0..=SHARE).for_each(|_| ask(&mut calls));
        let refused = tokio::time::timeout(Duration::from_secs(60), calls.join_next()).await;
        let refused = refused.expect("one has no place").unwrap().unwrap();
        assert_eq!(code_of(&refused).as_deref(), Some("ThrottlingException"));
        ask(&mut one_more);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let waits = one_more.try_join_next().is_none();
        drop(closed);
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer.unwrap().status, 200);
        }
        let answer = one_more.join_next().await.map(|answer| answer.unwrap().status);
        if waits && answer == Some(200) {
            return;
        }
        eprintln!("attempt {attempt}: it waits: {waits}, {answer:?}");
    }
    panic!("it is told at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_sign_takes_no_accounts_place() {
    let (backend, world, client) = gated().await;
    let made = client.kms(&world.root, "CreateKey", json!({})).await;
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let encrypt = json!({"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": "YQ=="});
    assert_eq!(client.kms(&world.root, "Encrypt", encrypt.clone()).await.status, 200);

    // Requests that nobody signed wait for a provider that is looked up; half of them name the account of
    // whoever signs, the others one each.
    let token = token(&claims(world.server.clock.now().secs()));
    let closed = backend.reads.write().await;
    let mut calls = JoinSet::new();
    for n in 0..ASKED {
        let account = if n % 2 == 0 { ACCOUNT.to_owned() } else { format!("{n:012}") };
        let request = client.form(&format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=pod&\
             RoleArn=arn:aws:iam::{account}:role/pod&WebIdentityToken={token}"
        ));
        let client = client.clone();
        calls.spawn(async move { client.send(&request).await });
    }
    for _ in SHARE..ASKED {
        let refused = tokio::time::timeout(Duration::from_secs(60), calls.join_next()).await;
        let refused = refused.expect("it is told").unwrap().unwrap();
        let body = String::from_utf8(refused.body).unwrap();
        assert!(body.contains("Throttling"), "{body}");
    }
    assert_eq!(calls.len(), SHARE);
    for _ in 0..20 {
        assert_eq!(client.kms(&world.root, "Encrypt", encrypt.clone()).await.status, 200);
    }
    drop(closed);
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().status, 400, "no such provider");
    }
}

/// So many answers of how the server counts those that it refuses before it knows anything of them.
fn shed(world: &World) -> usize {
    let text = world.server.metrics.text();
    let line = text.lines().find(|line| {
        ["service=\"Unknown\"", "operation=\"Unknown\"", "code=\"ThrottlingException\""]
            .iter()
            .all(|label| line.contains(label))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "it is about elapsed time")]
async fn of_a_crowd_of_strangers_who_finds_no_place_is_told_soon() {
    let (backend, world, client) = gated().await;
    let create = client.json("TrentService.CreateKey", &json!({}));
    let asked = |n: usize| {
        let id = format!("AKIA{n:0>16}");
        let who = Someone { access_key_id: id, secret: "s".repeat(40), ..world.root.clone() };
        client.sign(create.clone(), &who, "kms")
    };
    let before = world.events().len();

    // Their keys are looked up, and the store takes its time.
    let closed = backend.reads.write().await;
    let mut calls = JoinSet::new();
    for n in 0..=STRANGERS {
        let (client, request) = (client.clone(), asked(n));
        calls.spawn(async move { client.send(&request).await });
    }
    let began = Instant::now();
    let told = tokio::time::timeout(Duration::from_secs(30), calls.join_next()).await;
    let told = told.expect("it is told").unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((told.status, code_of(&told).as_deref()), (400, Some("ThrottlingException")));
    assert_eq!(told.header("x-amzn-requestid").map(str::len), Some(36));
    assert_eq!((calls.len(), shed(&world)), (STRANGERS, 1));
    // In the protocol that is spoken.
    let told = client.send(&client.form("Action=ListUsers&Version=2010-05-08")).await;
    assert_eq!(code_of(&told).as_deref(), Some("Throttling"), "{told:?}");

    drop(closed);
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(code_of(&answer).as_deref(), Some("UnrecognizedClientException"));
    }
    assert_eq!(world.events().len() - before, STRANGERS, "what was shed is not in the log");
    let answer = client.kms(&world.root, "CreateKey", json!({})).await;
    assert_eq!(answer.status, 200, "its place is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_wait_for_the_log_keep_nobody_out() {
    let (backend, world, client) = gated().await;
    let ann = world.user("ann", allow(&["kms:*"])).await;
    let other = world.other_root();
    let made = client.kms(&other, "CreateKey", json!({})).await;
    let encrypt = json!({"KeyId": made.json()["KeyMetadata"]["KeyId"], "Plaintext": "YQ=="});
    let encrypt = client.json("TrentService.Encrypt", &encrypt);
    let before = world.events().len();

    // Ann has all that she may have, and what she asks for beyond it waits for the log.
    let closed = backend.gate.write().await;
    let disk = world.audit.gate.write().await;
    let create = client.json("TrentService.CreateKey", &json!({}));
    let create = client.sign(create, &ann, "kms");
    let mut calls = JoinSet::new();
    let ask = |calls: &mut JoinSet<_>, request: &Request| {
        let (client, request) = (client.clone(), request.clone());
        calls.spawn(async move { client.send(&request).await });
    };
    let beyond = STRANGERS + REFUSED;
    (0..SHARE + beyond).for_each(|_| ask(&mut calls, &create));
    // So many of her refusals are to be logged; of the others she is told without that.
    for _ in REFUSED..beyond {
        let told = tokio::time::timeout(Duration::from_secs(60), calls.join_next()).await;
        let told = told.expect("it is told").unwrap().unwrap();
        assert_eq!(code_of(&told).as_deref(), Some("ThrottlingException"));
    }
    assert_eq!((calls.len(), shed(&world)), (SHARE + REFUSED, 0));
    // Meanwhile another account comes in, and its call waits for the log only.
    let mut others = JoinSet::new();
    for _ in 0..20 {
        ask(&mut others, &client.sign(encrypt.clone(), &other, "kms"));
    }
    let soon = tokio::time::timeout(Duration::from_millis(500), others.join_next()).await;
    assert!(soon.is_err(), "one is told before its event is in the log: {soon:?}");
    drop(disk);
    while let Some(answer) = others.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    drop(closed);
    let mut codes = Vec::new();
    while let Some(answer) = calls.join_next().await {
        codes.push(code_of(&answer.unwrap()));
    }
    assert_eq!(codes.iter().filter(|code| code.is_none()).count(), SHARE);
    assert_eq!(world.events().len() - before, SHARE + REFUSED + 20);
}
