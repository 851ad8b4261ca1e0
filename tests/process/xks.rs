//! `[xks]`: the proxy of a served deployment, asked by curl, and its credentials exchanged by SIGHUP.
use crate::client::get;
use crate::harness::Port;
use crate::setup::Deployment;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const IDS: [&str; 2] = ["XKSPROXYACCESSKEYIDA", "XKSPROXYACCESSKEYIDB"];
const SECRETS: [&str; 2] = [
    "Zmlyc3Qgc2VjcmV0IG9mIHRoZSBwcm94eSwgMzIgYnl0ZXM=",
    "c2Vjb25kIHNlY3JldCBvZiB0aGUgcHJveHksIDMyIGJ5dGU=",
];

fn credential(path: &Path, n: usize) {
    let text = json!({"XksProxyAuthenticationCredential":
        {"AccessKeyId": IDS[n], "RawSecretAccessKey": SECRETS[n]}});
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.to_string().as_bytes()).unwrap();
}

/// Asks with curl; the status and the answer.
fn ask(port: &Port, what: &str, n: usize, body: &Value) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{}/p/kms/xks/v1{what}", port.number);
    let user = format!("{}:{}", IDS[n], SECRETS[n]);
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"])
        .args(["-H", "Content-Type:application/json"])
        .args(["--aws-sigv4", "aws:amz:us-west-2:kms-xks-proxy", "--user", &user])
        .args(["--data-binary", "@-", "--write-out", "\n%{http_code}", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl 7.75 or later is installed");
    child.stdin.take().unwrap().write_all(body.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "curl: {:?}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn the_proxy_is_served_and_its_credentials_are_exchanged() {
    let mut deployment = Deployment::new(false);
    let process = deployment.serve();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", crate::setup::ACCOUNT)},
            "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "cks.kms.amazonaws.com"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}]});
    let made = deployment.client(&process).kms("CreateKey", json!({"Policy": policy.to_string()}));
    let key = made.unwrap()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    assert_eq!(process.stop().status.code(), Some(0));

    let port = Port::free();
    let file = deployment.dir.path().join("xks.json");
    credential(&file, 0);
    deployment.more = format!(
        "[xks]\nlisten = \"127.0.0.1:{}\"\nbudget_ms = 250\n[[xks.store]]\nprefix = \"/p\"\n\
         account = \"{}\"\nregion = \"us-west-2\"\ncredentials = [{file:?}]\n\
         [[xks.store.key]]\nid = \"k\"\nkms_key = \"{key}\"\n",
        port.number,
        crate::setup::ACCOUNT
    );
    let process = deployment.serve();
    let at = SocketAddr::from(([127, 0, 0, 1], port.number));
    assert_eq!(get(at, "/ping").unwrap().status, 200);
    let health =
        json!({"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "r"}});
    assert_eq!(ask(&port, "/health", 0, &health).0, 200);
    assert_eq!(ask(&port, "/health", 1, &health).0, 401);

    credential(&file, 1);
    kill_process(process.pid(), Signal::HUP).unwrap();
    let exchanged = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        ask(&port, "/health", 1, &health).0 == 200
    });
    assert!(exchanged);
    assert_eq!(ask(&port, "/health", 0, &health).0, 401);

    let metadata = json!({"awsPrincipalArn": "p", "kmsKeyArn": "k", "kmsOperation": "Encrypt",
        "kmsRequestId": "r"});
    let body = json!({"requestMetadata": metadata, "plaintext": "YQ==",
        "encryptionAlgorithm": "AES_GCM"});
    // The budget is a real one here, and the machine may be slow for a moment.
    let sealed = (0..20).map(|_| ask(&port, "/keys/k/encrypt", 1, &body)).find(|one| one.0 == 200);
    let (_, mut sealed) = sealed.expect("one of twenty in time");
    sealed["requestMetadata"] = metadata;
    sealed["encryptionAlgorithm"] = json!("AES_GCM");
    let opened =
        (0..20).map(|_| ask(&port, "/keys/k/decrypt", 1, &sealed)).find(|one| one.0 == 200);
    assert_eq!(opened.expect("one of twenty in time").1["plaintext"], "YQ==");
    assert_eq!(process.stop().status.code(), Some(0));
    // Every use is in the log, and no plaintext.
    let events = crate::events::read(&deployment.data().join("audit"));
    let uses = events.iter().filter(|event| event["eventSource"] == "kms-xks-proxy");
    assert!(uses.filter(|event| event["eventName"] == "Decrypt").count() > 0);
    assert!(!events.iter().any(|event| event.to_string().contains("YQ==")));
}

/// What the configuration says of the proxy is looked at before anything is served.
#[test]
fn a_bad_section_ends_the_start() {
    let mut deployment = Deployment::new(false);
    let port = Port::free();
    let file = deployment.dir.path().join("missing.json");
    deployment.more = format!(
        "[xks]\nlisten = \"127.0.0.1:{}\"\n[[xks.store]]\naccount = \"{}\"\nregion = \"us-west-2\"\n\
         credentials = [{file:?}]\n[[xks.store.key]]\nid = \"k\"\n\
         kms_key = \"arn:aws:kms:eu-west-1:{}:key/1234\"\n",
        port.number,
        crate::setup::ACCOUNT,
        crate::setup::ACCOUNT
    );
    let Err(exit) = deployment.try_serve() else { panic!("served without credentials") };
    exit.assert(3, &["missing.json"]);
}
