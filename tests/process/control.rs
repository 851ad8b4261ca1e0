//! The operator's commands: over the control socket of a running server, and without one.
use crate::client::Client;
use crate::events;
use crate::harness::{Exit, run};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const OTHER: &str = "444455556666";
const THIRD: &str = "555566667777";

fn socket(deployment: &Deployment) -> PathBuf {
    deployment.data().join("control.sock")
}

/// `claviger NAME… --config FILE MORE…`
fn control(deployment: &Deployment, name: &[&str], more: &[&str]) -> Exit {
    let mut command = deployment.command(name[0]);
    if let [_, sub] = name {
        // The subcommand stands before its options.
        let conf = deployment.token.as_ref().map(|token| token.conf.as_path());
        command = crate::harness::program(conf);
        command.args([name[0], sub, "--config"]).arg(deployment.config());
        command.arg("--insecure-software-root");
    }
    command.args(more);
    run(command)
}

fn json_of(exit: &Exit) -> Value {
    assert!(exit.status.success(), "{exit:#?}");
    serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:#?}"))
}

fn credentials(exit: &Exit) -> (String, String) {
    assert!(exit.status.success(), "{exit:#?}");
    let value = |name: &str| {
        let line = exit.stdout.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {exit:#?}")).to_owned()
    };
    (value("AWS_ACCESS_KEY_ID="), value("AWS_SECRET_ACCESS_KEY="))
}

fn accounts(deployment: &Deployment) -> Value {
    json_of(&control(deployment, &["account", "list"], &["--json"]))
}

fn ids(accounts: &Value) -> Vec<&str> {
    accounts.as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect()
}

#[test]
fn accounts_are_made_with_the_server_running_and_without() {
    let deployment = Deployment::new(false);
    assert!(!socket(&deployment).exists());
    // Without a server.
    let made = control(&deployment, &["account", "create"], &["--name", "acme", OTHER]);
    let other = credentials(&made);
    assert!(!socket(&deployment).exists());
    assert_eq!(ids(&accounts(&deployment)), [ACCOUNT, OTHER]);
    // With one.
    let process = deployment.serve();
    let metadata = socket(&deployment).metadata().unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let third = credentials(&control(&deployment, &["account", "create"], &[THIRD]));
    for (key, secret) in [&other, &third] {
        let mut client: Client = process.client(key, secret);
        client.kms("CreateKey", json!({})).unwrap();
    }
    let listed = accounts(&deployment);
    assert_eq!(ids(&listed), [ACCOUNT, OTHER, THIRD]);
    assert_eq!(listed[1]["alias"], "acme");
    assert_eq!(
        (&listed[1]["users"], &listed[1]["keys"], &listed[0]["keys"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let table = control(&deployment, &["account", "list"], &[]).stdout;
    assert!(table.lines().next().unwrap().starts_with("ACCOUNT"), "{table}");
    assert!(table.lines().nth(2).unwrap().ends_with("acme"), "{table}");
    // What is there already, or cannot be, is refused and changes nothing.
    let create = |more: &[&str]| control(&deployment, &["account", "create"], more);
    create(&[OTHER]).assert(1, &["exists already"]);
    create(&["--name", "acme", "666677778888"]).assert(1, &["acme already exists"]);
    create(&["--name", "A", "666677778888"]).assert(1, &["cannot be an account alias"]);
    create(&["12345"]).assert(2, &["twelve digits"]);
    create(&[]).assert(2, &["<ID>"]);
    assert_eq!(ids(&accounts(&deployment)).len(), 3);
    // A refused command shows no secret.
    assert!(!create(&[OTHER]).stdout.contains("AWS_SECRET"));
    process.stop();
    assert!(!socket(&deployment).exists(), "a stop takes the socket away");
    let made = |account: &str| {
        let events = events::read(&deployment.data().join("audit"));
        let made = events
            .into_iter()
            .filter(|e| e["eventName"] == "CreateAccount" && e["recipientAccountId"] == account);
        made.collect::<Vec<_>>()
    };
    for (account, key) in [(OTHER, &other.0), (THIRD, &third.0)] {
        let [event] = &*made(account) else { panic!("{account}: {:?}", made(account)) };
        assert_eq!(event["serviceEventDetails"]["accessKeyId"], json!(key));
        assert_eq!(event["resources"][0]["ARN"], format!("arn:aws:iam::{account}:root"));
        assert!(!event.to_string().contains(&other.1));
        assert!(!event.to_string().contains(&third.1));
    }
}

#[test]
fn a_dead_servers_socket_is_in_nobodys_way() {
    let deployment = Deployment::new(false);
    let mut process = deployment.serve();
    process.kill();
    assert!(socket(&deployment).exists());
    assert_eq!(ids(&accounts(&deployment)), [ACCOUNT]);
    let process = deployment.serve();
    assert_eq!(ids(&accounts(&deployment)), [ACCOUNT]);
    // Found by its directory alone.
    let mut command = crate::harness::program(None);
    command.args(["account", "list", "--json", "--data"]).arg(deployment.data());
    assert_eq!(ids(&json_of(&run(command))), [ACCOUNT]);
    process.stop();
    let mut command = crate::harness::program(None);
    command.args(["account", "list", "--data"]).arg(deployment.data());
    run(command).assert(1, &["no server is running in"]);
}

#[test]
fn many_at_once_and_one_account_once() {
    let deployment = Deployment::new(false);
    let _process = deployment.serve();
    let create = || control(&deployment, &["account", "create"], &[OTHER]);
    let outcomes: Vec<Exit> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..12).map(|_| scope.spawn(create)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|exit| exit.status.success()).count(), 1);
    for exit in outcomes.iter().filter(|exit| !exit.status.success()) {
        exit.assert(1, &["exists already"]);
    }
    assert_eq!(ids(&accounts(&deployment)), [ACCOUNT, OTHER]);
}

#[test]
fn dev_takes_commands_too() {
    let dir = tempfile::tempdir().unwrap();
    let _process = crate::dev::dev(dir.path(), &["--insecure-software-root"]);
    let command = |sub: &str, more: &[&str]| {
        let mut command = crate::harness::program(None);
        command.args(["account", sub, "--data"]).arg(dir.path().join("dev")).args(more);
        run(command)
    };
    credentials(&command("create", &[OTHER]));
    let listed = json_of(&command("list", &["--json"]));
    assert_eq!(ids(&listed), ["123456789012", OTHER]);
}

/// Sends bytes as they are and reads until the server closes.
fn raw(deployment: &Deployment, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket(deployment)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may close before it has read all of it.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut text = String::new();
    // A connection that is reset has said all that it will.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn what_is_no_command_harms_nothing() {
    let deployment = Deployment::new(false);
    let mut process = deployment.serve();
    let deep = "[".repeat(100_000);
    let secret =
        r#"{"CreateAccount":{"id":"x","alias":null,"access_key_id":"AKIA","secret":"hush"}}"#;
    for bytes in [
        "",
        "\n",
        "{",
        "null\n",
        "\"ListAccounts\" \"ListAccounts\"\n",
        "{\"Drop\":{}}\n",
        &deep,
        "\0\0\0\n",
        "GET / HTTP/1.1\r\n\r\n",
        secret,
        "{\"WhatIf\":{\"policy\":\"{}\",\"attach_to\":{\"User\":\"a\"},\"replace\":null,\
          \"span\":{\"Last\":-1}}}\n",
    ] {
        let answer = raw(&deployment, bytes.as_bytes());
        assert!(answer.starts_with("{\"error\":\"no command"), "{bytes:.40}: {answer}");
        assert!(!answer.contains("hush"), "{answer}");
    }
    let huge = vec![b' '; 300 * 1024];
    let answer = raw(&deployment, &huge);
    // Reset or answered: but not taken.
    assert!(answer.is_empty() || answer.contains("bytes at most"), "{answer}");
    // One that says nothing keeps nobody else out.
    let idle: Vec<_> = (0..7).map(|_| UnixStream::connect(socket(&deployment)).unwrap()).collect();
    assert_eq!(raw(&deployment, b"\"ListAccounts\"\n").matches("\"id\"").count(), 1);
    drop(idle);
    assert!(process.is_alive());
    let mut client = deployment.client(&process);
    client.kms("ListKeys", json!({})).unwrap();
}

#[test]
fn a_call_is_explained_with_the_server_running_and_without() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let mut admin = deployment.client(&process);
    let made = admin.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let mut query = |name: &str, parameters: &[(&str, &str)]| {
        admin.query("iam", name, parameters).unwrap().value
    };
    query("CreateUser", &[("UserName", "ann")]);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": "kms:Encrypt", "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:App": "x"}}}]});
    let policy = policy.to_string();
    let put = [("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &*policy)];
    query("PutUserPolicy", &put);
    let xml = query("CreateAccessKey", &[("UserName", "ann")]);
    let element = |name: &str| crate::client::elements(&xml, name).remove(0);
    let mut ann = process.client(&element("AccessKeyId"), &element("SecretAccessKey"));
    let mut encrypt = |app: &str| {
        let body = json!({"KeyId": key, "Plaintext": "YQ==", "EncryptionContext": {"App": app}});
        ann.kms("Encrypt", body).is_ok()
    };
    assert!(encrypt("x"));
    assert!(!encrypt("y"));
    let audit = deployment.data().join("audit");
    let calls: Vec<Value> =
        events::read(&audit).into_iter().filter(|e| e["eventName"] == "Encrypt").collect();
    let [good, bad] = &*calls else { panic!("{calls:#?}") };
    let explain = |more: &[&str]| control(&deployment, &["explain"], more);
    let event = |event: &Value| {
        json_of(&explain(&["--json", "--event", event["eventID"].as_str().unwrap()]))
    };
    let check = || {
        assert_eq!(event(good)["now"], "allowed");
        assert_eq!(event(good)["same"], true);
        let report = event(bad);
        assert_eq!((&report["now"], &report["same"]), (&json!("denied"), &json!(true)));
        assert_eq!(
            report["questions"][0]["policies"][0]["missed"][0]["why"],
            "the condition StringEquals kms:EncryptionContext:App does not hold: the request has y"
        );
        let ann = format!("arn:aws:iam::{ACCOUNT}:user/ann");
        let asked = ["--principal", &ann, "--action", "kms:Encrypt", "--resource", &key];
        assert!(explain(&asked).stdout.contains("is not authorized to perform: kms:Encrypt"));
        let given = ["--context", "kms:EncryptionContext:App=x"];
        let report = explain(&[&asked[..], &given].concat());
        assert!(report.stdout.starts_with("User: ") && report.stdout.contains("is authorized"));
        let file = deployment.dir.path().join("deny.json");
        let deny = policy.replace("Allow", "Deny");
        std::fs::write(&file, deny).unwrap();
        let file = file.to_str().unwrap();
        let report = explain(&["--what-if", file, "--attach-to", "user/ann", "--last", "50"]);
        assert!(report.stdout.contains("allowed -> denied: 1 times"), "{report:#?}");
        assert!(report.stdout.contains(good["eventID"].as_str().unwrap()), "{report:#?}");
    };
    check();
    process.stop();
    check();
    // Arguments that do not fit together.
    for (more, part) in [
        (&[][..], "required"),
        (&["--principal", "x"], "--action"),
        (
            &["--event", "x", "--principal", "y", "--action", "z", "--resource", "*"],
            "cannot be used",
        ),
        (&["--what-if", "f"], "--attach-to"),
        (&["--event", "x", "--replace", "y"], "--what-if"),
        (&["--what-if", "f", "--attach-to", "secret/x"], "wanted: user/NAME"),
        (&["--what-if", "f", "--attach-to", "user/x", "--since", "yesterday"], "wanted: a moment"),
    ] {
        explain(more).assert(2, &[part]);
    }
    explain(&["--event", "absent"]).assert(1, &["the audit log has no event absent"]);
    explain(&["--what-if", "/nowhere", "--attach-to", "user/x"]).assert(1, &["/nowhere"]);
}
