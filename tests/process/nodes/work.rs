//! What somebody must do is done once, and what a node leaves behind another one takes care of.
use super::support::{Nodes, ids, nodes_command, wait_until};
use crate::client::Failed;
use crate::events;
use crate::harness::{machine, start};
use crate::roots::support::command;
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

fn logged(node: &Deployment) -> Vec<Value> {
    events::read(&node.data().join("audit"))
}

fn count(nodes: &Nodes, name: &str) -> usize {
    let all = nodes.all.iter().flat_map(logged);
    all.filter(|event| event["eventName"] == name).count()
}

#[test]
fn what_is_due_is_done_once() {
    const SECRETS: usize = 60;
    let _machine = machine(false);
    let nodes = Nodes::new(3);
    let mut served = nodes.serve();
    for n in 0..SECRETS {
        let (node, process) = (&nodes.all[n % 3], &served[n % 3]);
        let mut client = node.client(process);
        let name = format!("due-{n}");
        let token = format!("{n:032}");
        let secret = json!({ "Name": name, "SecretString": "x", "ClientRequestToken": token });
        client.secrets("CreateSecret", secret).unwrap();
        let force = json!({ "SecretId": name, "ForceDeleteWithoutRecovery": true });
        client.secrets("DeleteSecret", force).unwrap();
        // Whoever has the turn goes away in the middle of it; one of the others is next.
        if n == SECRETS / 2 {
            served[0].kill();
            served[0] = nodes.all[0].serve();
        }
    }
    let done = || count(&nodes, "EndSecretVersionDelete");
    wait_until(Duration::from_secs(90), "all are destroyed", || done() >= SECRETS);
    std::thread::sleep(Duration::from_secs(3));
    let mut ended: Vec<String> = nodes
        .all
        .iter()
        .flat_map(logged)
        .filter(|event| event["eventName"] == "EndSecretVersionDelete")
        .map(|event| event["additionalEventData"]["SecretId"].as_str().unwrap().to_owned())
        .collect();
    ended.sort_unstable();
    ended.dedup();
    assert_eq!((ended.len(), done()), (SECRETS, SECRETS), "none twice, none never");
}

#[test]
fn what_a_lost_node_did_is_logged_by_another() {
    let nodes = Nodes::new(2);
    let first = nodes.all[0].serve();
    let lost = &nodes.all[1];
    // It dies once the change is durable and before its event is logged.
    let plan = lost.dir.path().join("plan");
    std::fs::write(&plan, "").unwrap();
    let mut server = command(lost, &["serve"], &[]);
    server.env("CLAVIGER_TORTURE_PLAN", &plan);
    let address = SocketAddr::from(([127, 0, 0, 1], lost.port.number));
    let mut second = start(server, lost.dir.path(), |_| Some(address)).unwrap();
    let id = ids(&nodes_command(lost, &["list"]).stdout).into_iter().find(|(_, own)| *own);
    let id = id.unwrap().0;
    let mut client = lost.client(&second);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].clone();
    // The outbox is emptied first: that commit must not be the one.
    std::thread::sleep(Duration::from_millis(2500));
    std::fs::write(lost.dir.path().join("plan.new"), "kill store.committed 1").unwrap();
    std::fs::rename(lost.dir.path().join("plan.new"), &plan).unwrap();
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

#[test]
fn a_node_logs_at_its_start_what_is_its_own() {
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
