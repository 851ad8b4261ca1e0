//! `[[endpoint]]`: one server, several listeners, and what policies know of each.
use crate::client::{Client, Failed, get};
use crate::events;
use crate::harness::Port;
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::net::SocketAddr;

const LET_THROUGH: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": ["kms:*", "iam:*"], "Resource": "*"},
    {"Effect": "Deny", "Principal": "*", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"}]}"#;

/// A section for an endpoint on this port.
fn section(id: &str, port: &Port, more: &str) -> String {
    format!(
        "[[endpoint]]\nid = {id:?}\nvpc = \"vpc-1a2b3c4d\"\nlisten = \"127.0.0.1:{}\"\n{more}\n",
        port.number
    )
}

fn refusal(outcome: Result<Value, Failed>) -> String {
    match outcome {
        Err(Failed::Fault { status: 400, code, message, .. }) => {
            assert_eq!(code, "AccessDeniedException");
            message
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn each_listener_is_what_it_is_declared_to_be() {
    let mut deployment = Deployment::blank(false);
    let (guarded, open) = (Port::free(), Port::free());
    let file = deployment.dir.path().join("endpoint.json");
    std::fs::write(&file, LET_THROUGH).unwrap();
    deployment.more = section("vpce-guarded", &guarded, &format!("policy = {file:?}"))
        + &section("vpce-open", &open, "trusted_proxies = [\"10.0.0.0/8\"]");
    deployment.init();
    let process = deployment.serve();
    let (id, secret) = &deployment.admin;
    let at = |port: &Port| SocketAddr::from(([127, 0, 0, 1], port.number));
    let client = |port: &Port| Client::new(at(port), id, secret);
    let (mut through, mut beside) = (client(&guarded), client(&open));
    let mut straight = deployment.client(&process);

    // A key that is used through one endpoint only.
    let made = straight.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["Arn"].clone();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": crate::setup::ACCOUNT}}},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-guarded"}}}]});
    let body = json!({"KeyId": key, "Policy": policy.to_string()});
    straight.kms("PutKeyPolicy", body).unwrap();
    let encrypt = json!({"KeyId": key, "Plaintext": "YQ=="});
    through.kms("Encrypt", encrypt.clone()).unwrap();
    for other in [&mut beside, &mut straight] {
        let text = refusal(other.kms("Encrypt", encrypt.clone()));
        assert!(text.ends_with("with an explicit deny in a resource-based policy"), "{text}");
    }
    // What the endpoint's own policy does not let through.
    let body = json!({"KeyId": key});
    let text = refusal(through.kms("ScheduleKeyDeletion", body.clone()));
    assert!(text.ends_with("with an explicit deny in a VPC endpoint policy"), "{text}");
    let text = refusal(through.secrets("ListSecrets", json!({})));
    let end = "because no VPC endpoint policy allows the secretsmanager:ListSecrets action";
    assert!(text.ends_with(end), "{text}");
    beside.secrets("ListSecrets", json!({})).unwrap();
    beside.kms("ScheduleKeyDeletion", body).unwrap();

    // The API's listener has the pages of this machine, and counts everybody's connections.
    for port in [&guarded, &open] {
        assert_ne!(get(at(port), "/metrics").unwrap().status, 200);
    }
    let page = get(process.address, "/metrics").unwrap().text();
    let line = page.lines().find(|line| line.starts_with("claviger_connections_open ")).unwrap();
    let count: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 4, "three clients and this one: {page}");

    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    let events = events::read(&deployment.data().join("audit"));
    let endpoints = |name: &str| {
        let of = events.iter().filter(|event| event["eventName"] == name);
        of.map(|event| event.get("vpcEndpointId").cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(endpoints("CreateKey"), [Value::Null]);
    assert_eq!(endpoints("Encrypt"), [json!("vpce-guarded"), json!("vpce-open"), Value::Null]);
    assert_eq!(endpoints("ScheduleKeyDeletion"), [json!("vpce-guarded"), json!("vpce-open")]);
    assert!(events.iter().all(|event| {
        event.get("vpcEndpointId").is_none() || event["sourceIPAddress"] == "127.0.0.1"
    }));
}

#[test]
fn what_is_no_endpoint_ends_the_start() {
    let mut deployment = Deployment::new(false);
    let port = Port::free();
    let at = |name: &str| deployment.dir.path().join(name);
    let statement = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;
    let nobody = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    for (name, text) in [("nobody", nobody.as_str()), ("junk", "junk"), ("empty", "")] {
        std::fs::write(at(name), text).unwrap();
    }
    let policy = |name: &str| section("vpce-1", &port, &format!("policy = {:?}", at(name)));
    let same = section("vpce-1", &deployment.port, "");
    let cases = [
        (policy("missing"), 3, ["missing", "No such file"]),
        (policy("."), 3, [".", "directory"]),
        (policy("empty"), 3, ["empty", "not an endpoint policy"]),
        (policy("junk"), 3, ["junk", "not an endpoint policy"]),
        (policy("nobody"), 3, ["nobody", "Principal"]),
        (section("vpc-1", &port, ""), 3, ["endpoint.id", "vpc-1"]),
        (section("vpce-1", &port, "proxies = []"), 3, ["unknown field", "proxies"]),
        (same, 6, ["cannot listen", "127.0.0.1"]),
    ];
    for (more, code, words) in cases {
        deployment.more = more;
        deployment.write_config(&deployment.text(&deployment.data()));
        deployment.run("serve").assert(code, &words);
    }
}
