//! `claviger secret drain`: who has not moved on, and waiting for them; with the server running, after a
//! restart, and without a server.
use crate::client::{Client, REGION};
use crate::harness::{Exit, program, run};
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

fn drain(deployment: &Deployment, more: &[&str]) -> Exit {
    let mut command = program(deployment.token.as_ref().map(|token| token.conf.as_path()));
    command.args(["secret", "drain", "--config"]).arg(deployment.config());
    command.args(["--insecure-software-root", "--region", REGION, "db"]).args(more);
    run(command)
}

fn report(exit: &Exit) -> Value {
    serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:#?}"))
}

fn value(client: &mut Client, name: &str, token: u8) -> Value {
    let id = if name == "CreateSecret" { "Name" } else { "SecretId" };
    let token = format!("00000000-0000-4000-8000-{token:012}");
    let body = json!({id: "db", "SecretString": token, "ClientRequestToken": token});
    client.secrets(name, body).unwrap()
}

#[test]
fn readers_are_waited_for() {
    let deployment = Deployment::new(false);
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let read = |client: &mut Client| client.secrets("GetSecretValue", json!({"SecretId": "db"}));
    drain(&deployment, &[]).assert(1, &["there is no secret db"]);
    value(&mut client, "CreateSecret", 1);
    read(&mut client).unwrap();
    value(&mut client, "PutSecretValue", 2);
    // Somebody is behind: to look is no failure, to wait in vain is.
    let seen = drain(&deployment, &[]);
    seen.assert(0, &[]);
    assert!(seen.stdout.contains("HAS NOT READ THE CURRENT VERSION"), "{seen:#?}");
    let waited = drain(&deployment, &["--wait", "--timeout", "3", "--json"]);
    waited.assert(1, &["have not moved on: 1"]);
    assert_eq!(report(&waited)["drained"], false);
    assert_eq!(report(&waited)["versions"][1]["versionStages"], json!(["AWSPREVIOUS"]));
    assert_eq!(report(&waited)["versions"][1]["readers"][0]["standing"], "behind");
    assert!(report(&waited)["versions"][1]["readers"][0]["lastRead"].is_string());
    // Whoever reads the current version while somebody waits ends the wait.
    let waited = thread::scope(|scope| {
        let wait = scope.spawn(|| drain(&deployment, &["--wait", "--timeout", "60", "--json"]));
        thread::sleep(Duration::from_secs(2));
        read(&mut client).unwrap();
        wait.join().unwrap()
    });
    waited.assert(0, &[]);
    assert_eq!(report(&waited)["drained"], true);
    // What was read last is known after a stop, also without a server.
    let before = report(&drain(&deployment, &["--json"]));
    process.stop().assert(0, &[]);
    assert_eq!(report(&drain(&deployment, &["--json"])), before);
    // Nobody reads while nothing runs.
    drain(&deployment, &["--wait"]).assert(1, &["no server is running"]);
    drain(&deployment, &["--timeout", "3"]).assert(2, &["--wait"]);
}
