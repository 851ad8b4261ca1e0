//! Output that nobody reads any more, such as that of `claviger … | head -1`, or that has no space: no command
//! and no server panics because of it.
use crate::harness::{program, start};
use crate::setup::Deployment;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// A pipe whose reader has gone away.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// How a command ends of whose output and errors nobody reads anything.
fn ends(arguments: &[&str], dir: &Path) -> Option<i32> {
    let mut command = program(None);
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command.stdout(unread()).stderr(unread()).status().unwrap().code()
}

#[test]
fn a_command_that_nobody_reads_ends_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-east-1:111122223333:key/a"}]}"#;
    std::fs::write(dir.path().join("policy.json"), policy).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "data = {:?}\nregions = [\"us-east-1\"]\naccount = \"123456789012\"\n[listen]\napi = \"{port}\"\n",
        dir.path().join("data")
    );
    std::fs::write(dir.path().join("claviger.toml"), config).unwrap();
    let with = ["--config", "claviger.toml", "--insecure-software-root"];
    for (arguments, code) in [
        // Its findings are what it is for: who does not get them is told that something is wrong.
        (vec!["policy", "check", "--json", "policy.json"], 1),
        (vec!["policy", "check", "no-such-file"], 2),
        (vec!["serve", "--config", "no-such-file"], 3),
        (vec!["doctor", "--config", "claviger.toml"], 3),
        ([&["serve"], &with[..]].concat(), 5),
        (vec!["verify", "no-such-file"], 1),
        (vec!["torture", "--program", "/bin/false", "--kills", "1", "--dir", "torture"], 1),
    ] {
        assert_eq!(ends(&arguments, dir.path()), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_server_whose_log_cannot_be_written_goes_on() {
    let deployment = Deployment::new(true);
    let serve = deployment.command("serve");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>/dev/full"]).arg(serve.get_program());
    command.args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Something to say on every thread.
    command.env("CLAVIGER_LOG", "trace").stdin(Stdio::null());
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let process = start(command, deployment.dir.path(), |_| Some(address)).unwrap();
    let mut client = deployment.client(&process);
    let key = client.kms("CreateKey", json!({})).unwrap();
    let encrypt = json!({"KeyId": key["KeyMetadata"]["KeyId"], "Plaintext": "aGVsbG8="});
    client.kms("Encrypt", encrypt).unwrap();
    client.kms("DescribeKey", json!({"KeyId": "no-such-key"})).unwrap_err();
    let stopped = process.stop();
    assert!(stopped.status.success(), "{stopped:#?}");
}
