//! What somebody must do is done once, and what a node leaves behind another one takes care of.
use super::support::{Nodes, each, ids, nodes_command};
use crate::client::{Client, Failed};
use crate::events;
use crate::harness::{machine, wait_until};
use crate::setup::Deployment;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use claviger::clock::{Clock, SystemClock};
use claviger::failpoints::{Plan, Point};
use serde_json::{Value, json};
use std::time::Duration;

fn logged(node: &Deployment) -> Vec<Value> {
    events::read(&node.data().join("audit"))
}

/// Makes a key whose material ends then, in seconds since 1970.
fn make_expiring(client: &mut Client, end: i64) {
    let made = client.kms("CreateKey", json!({ "Origin": "EXTERNAL" })).unwrap();
    let key = &made["KeyMetadata"]["KeyId"];
    let how = json!({
        "KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
    });
    let given = client.kms("GetParametersForImport", how).unwrap();
    let public = BASE64.decode(given["PublicKey"].as_str().unwrap()).unwrap();
    let public = PublicEncryptingKey::from_der(&public).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut wrapped, None).unwrap();
    let material = json!({
        "KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": BASE64.encode(wrapped),
        "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": end,
    });
    client.kms("ImportKeyMaterial", material).unwrap();
}

fn events(node: &Deployment, name: &str) -> Vec<Value> {
    logged(node).into_iter().filter(|event| event["eventName"] == name).collect()
}

/// Also when the node that has the turn is killed in the middle of it.
pub fn what_is_due_is_done_once() {
    const KEYS: usize = 12;
    const DONE: &str = "DeleteExpiredKeyMaterial";
    let _machine = machine(false);
    let nodes = Nodes::new(3);
    // The first has every turn, and its commits take long enough to be killed between two of them.
    let slow = Plan { slow: Some((Point::StoreCommitted, 400)), ..Plan::default() };
    let mut first = nodes.all[0].serve_with(&slow);
    std::thread::sleep(Duration::from_secs(3));
    let others = &nodes.all[1..];
    let served = each(others, Deployment::serve);
    // All at once, when all are there.
    let end = SystemClock.now().secs() + 40;
    each([0, 1], |node| {
        let mut client = others[node].client(&served[node]);
        (0..KEYS / 2).for_each(|_| make_expiring(&mut client, end));
    });
    let done = |node: &Deployment| events(node, DONE).len();
    wait_until(Duration::from_secs(60), "the first is at it", || done(&nodes.all[0]) >= 3);
    first.kill();
    let (by_first, by_others) = (done(&nodes.all[0]), others.iter().map(done).sum::<usize>());
    assert!(by_first < KEYS && by_others == 0, "{by_first} by the first, {by_others} by others");
    // One of the others has the turn once that of the first is over.
    let taken_over = || others.iter().map(done).sum::<usize>() > 0;
    wait_until(Duration::from_secs(60), "another one goes on", taken_over);
    let _back = nodes.all[0].serve();
    let all = || nodes.all.iter().flat_map(|node| events(node, DONE)).collect::<Vec<_>>();
    wait_until(Duration::from_secs(60), "all are ended", || all().len() >= KEYS);
    std::thread::sleep(Duration::from_secs(3));
    let key = |event: Value| event["serviceEventDetails"]["keyId"].as_str().unwrap().to_owned();
    let mut ended: Vec<String> = all().into_iter().map(key).collect();
    let count = ended.len();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!((ended.len(), count), (KEYS, KEYS), "none twice, none never");
}

/// A node that dies once a change is durable and before its event is logged: what the change was made to, and
/// the node's id.
fn die_before_the_event(lost: &Deployment) -> (Value, String) {
    let mut server = lost.serve_with(&Plan::default());
    let id = ids(&nodes_command(lost, &["list"]).stdout).into_iter().find(|(_, own)| *own);
    let mut client = lost.client(&server);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].clone();
    // The outbox is emptied first: that commit must not be the one.
    std::thread::sleep(Duration::from_millis(2500));
    lost.plan(&Plan { kill: Some((Point::StoreCommitted, 1)), ..Plan::default() });
    std::thread::sleep(Duration::from_millis(50));
    let outcome = client.kms("TagResource", tagged(&key));
    assert!(matches!(outcome, Err(Failed::Lost(_))), "{outcome:?}");
    wait_until(Duration::from_secs(5), "it is dead", || !server.is_alive());
    (key, id.unwrap().0)
}

fn tagged(key: &Value) -> Value {
    json!({ "KeyId": key, "Tags": [{ "TagKey": "lost", "TagValue": "x" }] })
}

/// How many there are in the node's log.
fn tags(node: &Deployment) -> usize {
    events(node, "TagResource").len()
}

fn assert_tagged(client: &mut Client, key: &Value) {
    let kept = client.kms("ListResourceTags", json!({ "KeyId": key })).unwrap();
    assert_eq!(kept["Tags"].as_array().unwrap().len(), 1, "the change is durable: {kept}");
}

pub fn what_a_lost_node_did_is_logged_by_another() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let lost = &nodes.all[1];
    let (key, id) = die_before_the_event(lost);
    assert_tagged(&mut nodes.all[0].client(&first), &key);
    // Not yet: it may come back.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((tags(&nodes.all[0]), tags(lost)), (0, 0));
    nodes.execute(&format!(
        "UPDATE nodes SET last_seen = now() - interval '11 minutes' WHERE id = '{id}'"
    ));
    wait_until(Duration::from_secs(60), "its event is logged", || tags(&nodes.all[0]) == 1);
    // Once: also when the lost one is back.
    let back = lost.serve();
    std::thread::sleep(Duration::from_secs(2));
    back.stop();
    first.stop();
    assert_eq!((tags(&nodes.all[0]), tags(lost)), (1, 0));
}

/// As after an outage of the database, in which nobody could say that it lives: it logs its own.
pub fn what_a_live_node_did_it_logs_itself() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    // The first has every turn.
    std::thread::sleep(Duration::from_secs(3));
    let second = nodes.all[1].serve_with(&Plan::default());
    let mut client = nodes.all[1].client(&second);
    let made = client.kms("CreateKey", json!({})).unwrap();
    nodes.all[1].plan(&Plan { full_audit: true, ..Plan::default() });
    std::thread::sleep(Duration::from_millis(50));
    let outcome = client.kms("TagResource", tagged(&made["KeyMetadata"]["KeyId"]));
    assert!(matches!(outcome, Err(Failed::Fault { status, .. }) if status >= 500), "{outcome:?}");
    for _ in 0..16 {
        nodes.execute("UPDATE nodes SET last_seen = now() - interval '11 minutes'");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!((tags(&nodes.all[0]), tags(&nodes.all[1])), (0, 0));
    nodes.all[1].plan(&Plan::default());
    wait_until(Duration::from_secs(10), "its event is logged", || tags(&nodes.all[1]) == 1);
    second.stop();
    first.stop();
    assert_eq!((tags(&nodes.all[0]), tags(&nodes.all[1])), (0, 1));
}

pub fn a_node_logs_at_its_start_what_is_its_own() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let lost = &nodes.all[1];
    let (key, _) = die_before_the_event(lost);
    assert_eq!((tags(lost), tags(&nodes.all[0])), (0, 0));
    let back = lost.serve();
    assert_eq!((tags(lost), tags(&nodes.all[0])), (1, 0));
    assert_tagged(&mut lost.client(&back), &key);
    back.stop();
    first.stop();
}

pub fn a_node_whose_clock_is_wrong_destroys_nothing() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let astray = nodes.all[1].serve_with(&Plan::default());
    let mut admin = nodes.all[0].client(&first);
    let made = admin.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].clone();
    let schedule = json!({ "KeyId": key, "PendingWindowInDays": 7 });
    admin.kms("ScheduleKeyDeletion", schedule).unwrap();
    nodes.all[1].plan(&Plan { clock_seconds: 864_000, ..Plan::default() });
    let says = |text: &str| astray.stderr().contains(text);
    wait_until(Duration::from_secs(10), "it says so", || says("nothing that is due"));
    std::thread::sleep(Duration::from_secs(3));
    let kept = admin.kms("DescribeKey", json!({ "KeyId": key })).unwrap();
    assert_eq!(kept["KeyMetadata"]["KeyState"], "PendingDeletion");
    nodes.all[1].plan(&Plan::default());
    wait_until(Duration::from_secs(10), "it is right again", || says("agree again"));
}
