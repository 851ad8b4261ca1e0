//! `claviger dev`: everything for a first try.
use crate::client::{Client, elements, plain};
use crate::events;
use crate::harness::{Exit, Process, program, run, start};
use crate::setup::softhsm;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const ACCOUNT: &str = "123456789012";
const DAY: i64 = 86_400;
/// A first try must not wait. The debug build's cryptography is slower, so it may take longer.
const SECOND_START: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(5) } else { Duration::from_secs(1) };

fn command(dir: &Path, more: &[&str]) -> Command {
    softhsm();
    let mut command = program(None);
    command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(dir.join("dev")).args(more);
    command
}

fn try_dev(dir: &Path, more: &[&str]) -> Result<Process, Exit> {
    start(command(dir, more), dir, |stdout| {
        let (_, rest) = stdout.split_once("claviger dev is ready at http://")?;
        let (address, _) = rest.split_once('\n')?;
        address.parse().ok()
    })
}

pub fn dev(dir: &Path, more: &[&str]) -> Process {
    try_dev(dir, more).unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
}

/// The variables of an env file.
pub fn exports(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let split = |line: &str| {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    text.lines().map(split).collect()
}

pub fn admin(process: &Process, env: &BTreeMap<String, String>) -> Client {
    process.client(&env["AWS_ACCESS_KEY_ID"], &env["AWS_SECRET_ACCESS_KEY"])
}

fn caller(client: &mut Client) -> String {
    let xml = client.query("sts", "GetCallerIdentity", &[]).unwrap().value;
    elements(&xml, "Arn").remove(0)
}

/// The names of the aliases.
fn aliases(client: &mut Client) -> Vec<String> {
    let listed = client.kms("ListAliases", json!({})).unwrap();
    let listed = listed["Aliases"].as_array().unwrap().iter();
    listed.map(|alias| alias["AliasName"].as_str().unwrap().to_owned()).collect()
}

fn clock(address: SocketAddr, body: &str) -> u16 {
    plain(address, "POST", "/_claviger/clock", body.as_bytes()).unwrap().status
}

#[test]
fn the_same_directory_gives_the_same_credentials_keys_and_data() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere.env");
    let process = dev(dir.path(), &[]);
    let env_file = dir.path().join("dev").join("env");
    let env = exports(&env_file);
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"]
    );
    assert_eq!(env["AWS_ENDPOINT_URL"], format!("http://{}", process.address));
    let stdout = process.stdout();
    for line in std::fs::read_to_string(&env_file).unwrap().lines() {
        assert!(stdout.contains(line), "{line} is missing in\n{stdout}");
    }
    let mut client = admin(&process, &env);
    assert_eq!(caller(&mut client), format!("arn:aws:iam::{ACCOUNT}:user/admin"));
    let made = client.kms("CreateKey", json!({"Description": "stays"})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let blob = client.kms("Encrypt", json!({"KeyId": id, "Plaintext": "c3RheXM="})).unwrap();
    let first = process.took;
    assert!(process.stop().status.success());

    let process = dev(dir.path(), &["--env-file", elsewhere.to_str().unwrap()]);
    let took = process.took;
    eprintln!("dev: first start ready in {first:?}, second in {took:?}");
    assert!(took < SECOND_START, "the second start took {took:?}");
    let again = exports(&elsewhere);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"] {
        assert_eq!(again[name], env[name]);
    }
    let mut client = admin(&process, &again);
    let listed = client.kms("ListKeys", json!({})).unwrap();
    assert_eq!(listed["Keys"][0]["KeyId"], id.as_str());
    let blob = blob["CiphertextBlob"].clone();
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": blob})).unwrap();
    assert_eq!(opened["Plaintext"], "c3RheXM=");
}

#[test]
fn further_accounts_have_the_credentials_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let more = ["--credentials", "test:test:000000000000", "--credentials", "two:a:b:111111111111"];
    let process = dev(dir.path(), &more);
    let mut one = process.client("test", "test");
    assert_eq!(caller(&mut one), "arn:aws:iam::000000000000:root");
    // A secret may have colons; a key and an account may not.
    let mut two = process.client("two", "a:b");
    assert_eq!(caller(&mut two), "arn:aws:iam::111111111111:root");
    one.kms("CreateKey", json!({})).unwrap();
    assert_eq!(one.kms("ListKeys", json!({})).unwrap()["Keys"].as_array().unwrap().len(), 1);
    assert_eq!(two.kms("ListKeys", json!({})).unwrap()["Keys"].as_array().unwrap().len(), 0);
    let wrong = process.client("test", "tset").kms("ListKeys", json!({})).unwrap_err();
    assert_eq!(wrong.code(), "InvalidSignatureException");
    drop(process);
    // Again, and now without them: they stay.
    let process = dev(dir.path(), &more);
    assert_eq!(caller(&mut process.client("test", "test")), "arn:aws:iam::000000000000:root");
}

#[test]
fn a_reset_empties_the_store_and_keeps_the_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let process = dev(dir.path(), &["--credentials", "test:test:000000000000"]);
    let env = exports(&dir.path().join("dev").join("env"));
    let mut client = admin(&process, &env);
    let made = client.kms("CreateKey", json!({})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    client.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": id})).unwrap();
    client.query("iam", "CreateUser", &[("UserName", "somebody")]).unwrap();
    assert_eq!(plain(process.address, "GET", "/_claviger/reset", b"").unwrap().status, 405);
    assert_eq!(plain(process.address, "POST", "/_claviger/other", b"").unwrap().status, 404);
    assert_eq!(plain(process.address, "POST", "/_claviger/reset", b"").unwrap().status, 200);

    let empty = |client: &mut Client| {
        let keys = client.kms("ListKeys", json!({})).unwrap();
        assert_eq!(keys["Keys"], json!([]));
        assert_eq!(aliases(client), ["alias/aws/secretsmanager"]);
        let gone = client.kms("DescribeKey", json!({"KeyId": id})).unwrap_err();
        assert_eq!(gone.code(), "NotFoundException");
        let users = client.query("iam", "ListUsers", &[]).unwrap().value;
        assert_eq!(elements(&users, "UserName"), ["admin"]);
    };
    empty(&mut client);
    assert_eq!(caller(&mut process.client("test", "test")), "arn:aws:iam::000000000000:root");
    // What is made anew works, also after a restart.
    client.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": id})).unwrap_err();
    assert_eq!(plain(process.address, "POST", "/_claviger/reset", b"").unwrap().status, 200);
    assert!(process.stop().status.success());
    let process = dev(dir.path(), &[]);
    empty(&mut admin(&process, &exports(&dir.path().join("dev").join("env"))));
}

#[test]
fn moving_the_clock_ends_a_deletion_window() {
    let dir = tempfile::tempdir().unwrap();
    let process = dev(dir.path(), &[]);
    let env_file = dir.path().join("dev").join("env");
    let mut client = admin(&process, &exports(&env_file));
    let made = client.kms("CreateKey", json!({})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    client.kms("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": id})).unwrap();
    let window = json!({"KeyId": id, "PendingWindowInDays": 7});
    client.kms("ScheduleKeyDeletion", window).unwrap();

    for bad in [
        "",
        "{",
        "[1]",
        "{}",
        "{\"advance_seconds\": \"1\"}",
        "{\"advance_seconds\": -1}",
        "{\"advance_seconds\": 1, \"more\": 1}",
        "{\"advance_seconds\": 9e18}",
        "{\"advance_seconds\": 9223372036854775807}",
        "{\"advance_seconds\": 1}{}",
    ] {
        assert_eq!(clock(process.address, bad), 400, "{bad}");
    }
    assert_eq!(plain(process.address, "GET", "/_claviger/clock", b"").unwrap().status, 405);
    assert_eq!(clock(process.address, &format!("{{\"advance_seconds\": {}}}", 6 * DAY)), 200);
    let waiting = client.kms("DescribeKey", json!({"KeyId": "alias/a"})).unwrap();
    assert_eq!(waiting["KeyMetadata"]["KeyState"], "PendingDeletion");
    // The lead outlives the process.
    drop(client);
    assert!(process.stop().status.success());
    let process = dev(dir.path(), &[]);
    let mut client = admin(&process, &exports(&env_file));
    assert_eq!(clock(process.address, &format!("{{\"advance_seconds\": {}}}", 2 * DAY)), 200);
    for name in [id.as_str(), "alias/a"] {
        let gone = client.kms("DescribeKey", json!({"KeyId": name})).unwrap_err();
        assert_eq!(gone.code(), "NotFoundException", "{name}: {gone:?}");
    }
    assert_eq!(aliases(&mut client), ["alias/aws/secretsmanager"]);
    let events = events::read(&dir.path().join("dev").join("data").join("audit"));
    let deleted: Vec<_> = events.iter().filter(|e| e["eventName"] == "DeleteKey").collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0]["eventType"], "AwsServiceEvent");
    assert_eq!(deleted[0]["resources"][0]["ARN"], arn.as_str());
    assert_eq!(deleted[0]["recipientAccountId"], ACCOUNT);
}

#[test]
fn what_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let with = |arguments: &[&str]| {
        let mut command = program(None);
        command.arg("dev").arg("--data").arg(dir.path().join("dev")).args(arguments);
        run(command)
    };
    for address in ["0.0.0.0:0", "192.0.2.1:4566", "[::]:0"] {
        with(&["--listen", address]).assert(3, &["loopback", "configure TLS"]);
    }
    assert!(!dir.path().join("dev").exists(), "a refused start makes no directory");
    for credentials in [
        "test",
        "test:test",
        "test:test:1",
        ":test:000000000000",
        "test::000000000000",
        "test:test:00000000000x",
    ] {
        with(&["--credentials", credentials]).assert(2, &["KEY:SECRET:ACCOUNT"]);
    }
    with(&["--listen", "localhost"]).assert(2, &["--listen"]);
    with(&["--unknown"]).assert(2, &["--unknown"]);
    // One directory, one process.
    let process = dev(dir.path(), &[]);
    let second = try_dev(dir.path(), &[]).unwrap_err();
    second.assert(5, &["another process"]);
    let mut command = program(None);
    command.args(["dev", "--data"]).arg(dir.path().join("other")).arg("--listen");
    command.arg(process.address.to_string());
    run(command).assert(6, &["cannot listen on", &process.address.to_string()]);
}

#[test]
fn functions_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("functions.toml");
    let arguments = ["--insecure-software-root", "--functions", path.to_str().unwrap()];
    try_dev(dir.path(), &arguments).unwrap_err().assert(3, &["functions.toml", "No such file"]);
    let section = "[[function]]\narn = 'arn:aws:lambda:us-east-1:123456789012:function:rotate'\n\
                   role = 'arn:aws:iam::123456789012:role/rotation'\n";
    for (rest, reason) in [
        ("", "exactly one of strategy, python and url"),
        ("strategy = 'none'\n", "unknown variant"),
        ("strategy = 'single-user'\n", "hosts: list the databases that secrets may name"),
        ("python = '/nowhere/f.py'\n", "python: /nowhere/f.py"),
        ("url = 'http://192.0.2.1'\n", "plain HTTP"),
    ] {
        std::fs::write(&path, format!("{section}{rest}")).unwrap();
        try_dev(dir.path(), &arguments).unwrap_err().assert(3, &["functions.toml", reason]);
    }
    let rest = "strategy = 'single-user'\nhosts = ['127.0.0.1']\n";
    std::fs::write(&path, format!("{section}{rest}")).unwrap();
    dev(dir.path(), &arguments).stop().assert(0, &[]);
}
