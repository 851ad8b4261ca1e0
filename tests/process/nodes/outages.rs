//! What becomes of secrets that two nodes write while their database fails: nothing that was acknowledged is
//! lost, nothing is there twice, and service comes back by itself.
use super::support::{Nodes, each};
use crate::client::{Client, Failed, get};
use crate::databases::Postgres;
use crate::harness::{Process, machine, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// From the end of an outage to service.
const BACK: Duration = Duration::from_secs(10);
const SECRETS: usize = 2;
/// By each node into each secret, at most: of a secret a hundred versions are kept.
const PUTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(60);

fn secret(outage: &str, number: usize) -> String {
    format!("{}-{number}", outage.replace(' ', "-"))
}

fn token(node: usize, put: usize) -> String {
    format!("{node}-{put:030}")
}

/// Of what is tried again: whether it is done. A request whose outcome is not known may have taken effect.
fn is_done(outcome: Result<Value, Failed>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Failed::Lost(_)) => false,
        Err(Failed::Fault { status, code, .. })
            if status >= 500 || code == "ThrottlingException" =>
        {
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Puts one version after the other, each as often as it takes until it is acknowledged. Answers how many.
fn put_on(mut client: Client, node: usize, secret: &str, stop: &AtomicBool) -> usize {
    for put in 0..PUTS {
        if stop.load(Ordering::SeqCst) {
            return put;
        }
        let version = token(node, put);
        let body =
            json!({ "SecretId": secret, "SecretString": version, "ClientRequestToken": version });
        while !is_done(client.secrets("PutSecretValue", body.clone())) {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(PAUSE);
    }
    PUTS
}

/// The versions are those that were put, each once and with its value; the labels are where one of the last
/// puts has left them.
fn check(client: &mut Client, secret: &str, puts: [usize; 2]) {
    let all = json!({ "SecretId": secret, "IncludeDeprecated": true, "MaxResults": 100 });
    let all = client.secrets("ListSecretVersionIds", all).unwrap();
    let versions = all["Versions"].as_array().unwrap();
    let id = |version: &Value| version["VersionId"].as_str().unwrap().to_owned();
    let mut found: Vec<String> = versions.iter().map(id).collect();
    found.sort_unstable();
    let by = |node: usize| (0..puts[node]).map(move |put| token(node, put));
    let mut put: Vec<String> = by(0).chain(by(1)).chain([token(9, 0)]).collect();
    put.sort_unstable();
    assert_eq!(found, put, "{secret}");
    for version in put {
        let body = json!({ "SecretId": secret, "VersionId": version });
        let got = client.secrets("GetSecretValue", body).unwrap();
        assert_eq!(got["SecretString"], version, "{secret}");
    }
    let stages = versions.iter().filter_map(|version| version["VersionStages"].as_array());
    let mut labels: Vec<&str> = stages.flatten().map(|label| label.as_str().unwrap()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["AWSCURRENT", "AWSPREVIOUS"], "{secret}: {all}");
    let current = client.secrets("GetSecretValue", json!({ "SecretId": secret })).unwrap();
    let last = [token(0, puts[0] - 1), token(1, puts[1] - 1)];
    assert!(last.contains(&id(&current)), "{secret}: {current}");
}

/// How long it takes until a node reads, writes, and says that it is ready.
fn back(served: &Process, client: &mut Client, key: &str, secret: &str) -> Duration {
    let token = format!("back-{secret:->32}");
    let body = json!({ "Name": secret, "SecretString": "x", "ClientRequestToken": token });
    wait_until(BACK, "service is back", || {
        let made = client.secrets("CreateSecret", body.clone());
        // By an attempt before, of which only the answer was lost.
        let is_there = made.as_ref().is_err_and(|error| error.code() == "ResourceExistsException");
        (is_there || is_done(made))
            && is_done(client.kms("Encrypt", json!({ "KeyId": key, "Plaintext": "YQ==" })))
            && get(served.address, "/readyz").is_ok_and(|answer| answer.status == 200)
    })
}

type Outage<'a> = &'a dyn Fn(&mut Postgres, &Nodes);

fn suffer(
    database: &mut Postgres,
    nodes: &Nodes,
    served: &[Process],
    (name, outage): (&str, Outage<'_>),
) {
    let client = |node: usize| nodes.all[node].client(&served[node]);
    let mut admin = client(0);
    let made = admin.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    for number in 0..SECRETS {
        let (name, token) = (secret(name, number), token(9, 0));
        let body = json!({ "Name": name, "SecretString": token, "ClientRequestToken": token });
        admin.secrets("CreateSecret", body).unwrap();
    }
    let stop = AtomicBool::new(false);
    let (times, puts) = std::thread::scope(|scope| {
        let writer = |writer: usize| {
            let (client, stop) = (client(writer % 2), &stop);
            scope.spawn(move || put_on(client, writer % 2, &secret(name, writer / 2), stop))
        };
        let writers: Vec<_> = (0..2 * SECRETS).map(writer).collect();
        std::thread::sleep(5 * PAUSE);
        outage(database, nodes);
        let times = each([0, 1], |node| {
            let probe = format!("{}-probe-{node}", name.replace(' ', "-"));
            back(&served[node], &mut client(node), key, &probe)
        });
        std::thread::sleep(5 * PAUSE);
        stop.store(true, Ordering::SeqCst);
        let puts: Vec<usize> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        (times, puts)
    });
    eprintln!(
        "{name}: service is back {times:?} after the end; {} puts",
        puts.iter().sum::<usize>()
    );
    for number in 0..SECRETS {
        check(&mut client(1), &secret(name, number), [puts[2 * number], puts[2 * number + 1]]);
    }
}

/// Half of all commits are thrown back for so long.
fn throw_back(nodes: &Nodes) {
    nodes.execute(
        "CREATE FUNCTION throw_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF random() < 0.5 THEN RAISE EXCEPTION 'injected' USING ERRCODE = '40001'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER throw_back BEFORE UPDATE ON head FOR EACH ROW EXECUTE FUNCTION throw_back()",
    );
    std::thread::sleep(Duration::from_secs(2));
    nodes.execute("DROP FUNCTION throw_back() CASCADE");
}

fn wait<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(what)
}

#[test]
fn when_the_database_fails_nothing_is_lost_and_service_comes_back() {
    let _machine = machine(false);
    let mut database = Postgres::start();
    let nodes = Nodes::on(&database, 2);
    let served = nodes.serve();
    let outages: [(&str, Outage<'_>); 6] = [
        ("killed", &|database, _| database.bounce(Signal::KILL)),
        ("restarted fast", &|database, _| database.bounce(Signal::INT)),
        ("restarted immediately", &|database, _| database.bounce(Signal::QUIT)),
        ("paused", &|database, _| wait(database.pause(Duration::from_secs(5)))),
        ("connections used up", &|database, _| wait(database.use_up(Duration::from_secs(2)))),
        ("transactions thrown back", &|_, nodes| throw_back(nodes)),
    ];
    for outage in outages {
        suffer(&mut database, &nodes, &served, outage);
    }
}
