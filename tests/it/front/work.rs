//! A refused request costs the same, whatever it is refused for: what is looked up in the store does not
//! depend on whether there is such an access key, nor on how wrong the signature is. (That the times
//! cannot be told apart either is measured by `cargo bench --bench micro -- timing`.)
use super::{Client, Request, code_of};
use crate::counting::Counting;
use crate::world::{Someone, World};
use claviger::quotas::Settings;
use claviger_hsm::SoftwareHsm;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The same request with another digit at this place of its signature.
fn changed(request: &Request, at: usize) -> Request {
    let value = request.header("authorization").to_owned();
    let at = value.find("Signature=").unwrap() + "Signature=".len() + at;
    let other = if &value[at..=at] == "0" { "1" } else { "0" };
    let mut request = request.clone();
    request.set("authorization", &format!("{}{other}{}", &value[..at], &value[at + 1..]));
    request
}

#[tokio::test]
async fn a_refusal_reads_as_much_whatever_it_is_for() {
    let backend = Arc::new(Counting::default());
    let hsm = Arc::new(SoftwareHsm::seeded([1; 32]));
    let world = World::on(hsm, backend.clone(), 1, Settings::default()).await;
    // In three groups with as many policies: what there is to load behind the key.
    let ann = world.user("ann", crate::world::allow(&["kms:*"])).await;
    for group in ["one", "two", "three"] {
        world.iam("CreateGroup", json!({"GroupName": group})).await;
        let body = json!({"GroupName": group, "UserName": "ann"});
        world.iam("AddUserToGroup", body).await;
    }
    let client = Client::new(&world).await;
    let sign =
        |who: &Someone| client.sign(client.json("TrentService.ListKeys", &json!({})), who, "kms");
    let good = sign(&ann);
    let unknown = Someone { access_key_id: "AKIAQQQQQQQQQQQQQQQQ".into(), ..ann.clone() };
    let wrong = Someone { secret: "x".repeat(40), ..ann.clone() };
    let classes = [
        (sign(&unknown), "UnrecognizedClientException"),
        (changed(&good, 0), "InvalidSignatureException"),
        (changed(&good, 63), "InvalidSignatureException"),
        (sign(&wrong), "InvalidSignatureException"),
    ];
    for again in 0..3 {
        for (request, code) in &classes {
            let before = backend.read.load(Ordering::SeqCst);
            let answer = client.send(request).await;
            assert_eq!(code_of(&answer).as_deref(), Some(*code));
            let read = backend.read.load(Ordering::SeqCst) - before;
            // What is known is remembered after the first time.
            let first = usize::from(again == 0 && read == 2);
            assert_eq!(read - first, 1, "{code}, time {again}");
        }
        // And who has the secret still comes in.
        assert_eq!(client.send(&good).await.status, 200);
    }
}

/// Where the answer is one and the same, so must be what it cost: a key that was disabled, and one that
/// never was.
#[tokio::test]
async fn a_disabled_key_is_as_good_as_none() {
    let world = World::new().await;
    let ann = world.user("ann", crate::world::allow(&["kms:*"])).await;
    let client = Client::new(&world).await;
    let sign =
        |who: &Someone| client.sign(client.json("TrentService.ListKeys", &json!({})), who, "kms");
    let body = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": "Inactive"});
    world.iam("UpdateAccessKey", body).await;
    let unknown = Someone { access_key_id: "AKIAQQQQQQQQQQQQQQQQ".into(), ..ann.clone() };
    let wrong = Someone { secret: "x".repeat(40), ..ann.clone() };
    let mut answers = Vec::new();
    for who in [&unknown, &ann, &wrong] {
        let answer = client.send(&sign(who)).await;
        answers.push((answer.status, answer.text().to_owned()));
    }
    assert!(answers[0].1.contains("UnrecognizedClientException"), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}
