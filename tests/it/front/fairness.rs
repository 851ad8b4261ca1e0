//! What one account asks for does not take the others' turn.
use super::{Client, Request, code_of};
use crate::counting::Counting;
use crate::sts::issuer::{claims, token};
use crate::world::{ACCOUNT, World, allow};
use claviger::quotas::Settings;
use claviger_hsm::SoftwareHsm;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Half of the places for calls whose caller is known.
const SHARE: usize = 448;
const ASKED: usize = SHARE + 152;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_too_much_is_told_to_slow_down_and_nobody_else() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let client = Arc::new(Client::new(&world).await);
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
async fn whoever_does_not_sign_takes_no_accounts_place() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    let client = Arc::new(Client::new(&world).await);
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
