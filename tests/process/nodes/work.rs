//! What somebody must do is done once, and what a node leaves behind another one takes care of.
use super::support::{Nodes, ids, nodes_command, wait_until};
use crate::client::{Client, Failed};
use crate::events;
use crate::harness::{Process, machine, start};
use crate::roots::support::command;
use crate::setup::Deployment;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use claviger::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server with a plan of what is to go wrong, in which nothing stands yet.
fn serve_with_plan(node: &Deployment) -> (Process, PathBuf) {
    let plan = node.dir.path().join("plan");
    std::fs::write(&plan, "").unwrap();
    let mut server = command(node, &["serve"], &[]);
    server.env("CLAVIGER_TORTURE_PLAN", &plan);
    let address = SocketAddr::from(([127, 0, 0, 1], node.port.number));
    let served = start(server, node.dir.path(), |_| Some(address)).unwrap();
    (served, plan)
}

fn write_plan(plan: &Path, text: &str) {
    let new = plan.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, plan).unwrap();
}

fn logged(node: &Deployment) -> Vec<Value> {
    events::read(&node.data().join("audit"))
}

fn count(nodes: &Nodes, name: &str) -> usize {
    let all = nodes.all.iter().flat_map(logged);
    all.filter(|event| event["eventName"] == name).count()
}

/// Makes a key whose material ends in so many seconds.
fn make_expiring(client: &mut Client, seconds: i64) {
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
        "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": SystemClock.now().secs() + seconds,
    });
    client.kms("ImportKeyMaterial", material).unwrap();
}

pub fn what_is_due_is_done_once() {
    const KEYS: usize = 24;
    const DONE: &str = "DeleteExpiredKeyMaterial";
    let _machine = machine(false);
    let nodes = Nodes::new(3);
    let mut served = nodes.serve();
    for n in 0..KEYS {
        make_expiring(&mut nodes.all[n % 3].client(&served[n % 3]), 4);
        // Whoever has the turn may go away in the middle of it.
        if n == KEYS / 2 {
            served[0].kill();
            served[0] = nodes.all[0].serve();
        }
    }
    wait_until(Duration::from_secs(90), "all are ended", || count(&nodes, DONE) >= KEYS);
    std::thread::sleep(Duration::from_secs(3));
    let all = nodes.all.iter().flat_map(logged).filter(|event| event["eventName"] == DONE);
    let key = |event: Value| event["serviceEventDetails"]["keyId"].as_str().unwrap().to_owned();
    let mut ended: Vec<String> = all.map(key).collect();
    let count = ended.len();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!((ended.len(), count), (KEYS, KEYS), "none twice, none never");
}

pub fn what_a_lost_node_did_is_logged_by_another() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let lost = &nodes.all[1];
    // It dies once the change is durable and before its event is logged.
    let (mut second, plan) = serve_with_plan(lost);
    let id = ids(&nodes_command(lost, &["list"]).stdout).into_iter().find(|(_, own)| *own);
    let id = id.unwrap().0;
    let mut client = lost.client(&second);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].clone();
    // The outbox is emptied first: that commit must not be the one.
    std::thread::sleep(Duration::from_millis(2500));
    write_plan(&plan, "kill store.committed 1");
    std::thread::sleep(Duration::from_millis(50));
    let tagged = json!({ "KeyId": key, "Tags": [{ "TagKey": "lost", "TagValue": "x" }] });
    let outcome = client.kms("TagResource", tagged);
    assert!(matches!(outcome, Err(Failed::Lost(_))), "{outcome:?}");
    wait_until(Duration::from_secs(5), "it is dead", || !second.is_alive());
    let tags = |node: &Deployment| {
        let all = logged(node);
        all.iter().filter(|event| event["eventName"] == "TagResource").count()
    };
    let mut admin = nodes.all[0].client(&first);
    let kept = admin.kms("ListResourceTags", json!({ "KeyId": key })).unwrap();
    assert_eq!(kept["Tags"].as_array().unwrap().len(), 1, "the change is durable: {kept}");

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
    let (second, plan) = serve_with_plan(&nodes.all[1]);
    let mut client = nodes.all[1].client(&second);
    let made = client.kms("CreateKey", json!({})).unwrap();
    write_plan(&plan, "full audit");
    std::thread::sleep(Duration::from_millis(50));
    let tagged = json!({ "KeyId": made["KeyMetadata"]["KeyId"], "Tags": [{ "TagKey": "a", "TagValue": "x" }] });
    let outcome = client.kms("TagResource", tagged);
    assert!(matches!(outcome, Err(Failed::Fault { status, .. }) if status >= 500), "{outcome:?}");
    for _ in 0..16 {
        nodes.execute("UPDATE nodes SET last_seen = now() - interval '11 minutes'");
        std::thread::sleep(Duration::from_millis(500));
    }
    let tags = |node: &Deployment| {
        let all = logged(node);
        all.iter().filter(|event| event["eventName"] == "TagResource").count()
    };
    assert_eq!((tags(&nodes.all[0]), tags(&nodes.all[1])), (0, 0));
    write_plan(&plan, "");
    wait_until(Duration::from_secs(10), "its event is logged", || tags(&nodes.all[1]) == 1);
    second.stop();
    first.stop();
    assert_eq!((tags(&nodes.all[0]), tags(&nodes.all[1])), (0, 1));
}

pub fn a_node_logs_at_its_start_what_is_its_own() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let lost = &nodes.all[1];
    let mut second = lost.serve();
    lost.client(&second).kms("CreateKey", json!({})).unwrap();
    second.kill();
    let back = lost.serve();
    let made = |node: &Deployment| {
        let all = logged(node);
        all.iter().filter(|event| event["eventName"] == "CreateKey").count()
    };
    assert_eq!((made(lost), made(&nodes.all[0])), (1, 0));
    back.stop();
    first.stop();
}

pub fn a_node_whose_clock_is_wrong_destroys_nothing() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let (astray, plan) = serve_with_plan(&nodes.all[1]);
    let mut admin = nodes.all[0].client(&first);
    let made = admin.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].clone();
    let schedule = json!({ "KeyId": key, "PendingWindowInDays": 7 });
    admin.kms("ScheduleKeyDeletion", schedule).unwrap();
    write_plan(&plan, "clock 864000");
    let says = |text: &str| astray.stderr().contains(text);
    wait_until(Duration::from_secs(10), "it says so", || says("nothing that is due"));
    std::thread::sleep(Duration::from_secs(3));
    let kept = admin.kms("DescribeKey", json!({ "KeyId": key })).unwrap();
    assert_eq!(kept["KeyMetadata"]["KeyState"], "PendingDeletion");
    write_plan(&plan, "");
    wait_until(Duration::from_secs(10), "it is right again", || says("agree again"));
}
